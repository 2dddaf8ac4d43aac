"""A Jupyter client of a running kernel, with the reads and runs of this protocol."""
