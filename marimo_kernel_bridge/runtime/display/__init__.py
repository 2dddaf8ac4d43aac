"""The display of marimo's objects as Jupyter outputs."""
