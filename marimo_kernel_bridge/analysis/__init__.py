"""Static analysis of cells in document order: which names of which cells must be renamed for a reactive notebook.

Pure. Knows nothing of marimo, files or kernels.
"""
