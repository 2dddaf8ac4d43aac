"""marimo's own server, in a thread of the kernel: its editor and its app view, on the cells of this notebook."""
