"""What marimo's objects show, as Jupyter outputs."""
