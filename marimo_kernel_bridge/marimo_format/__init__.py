"""marimo's file formats, read and written by marimo itself."""
