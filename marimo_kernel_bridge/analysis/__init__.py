"""Making ordinary notebooks reactive: which names of which cells must be called otherwise, and why.

A pure analysis of cells' Python in document order. Knows nothing of marimo, of files or of kernels.
"""
