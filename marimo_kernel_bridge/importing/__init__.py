"""Turning an .ipynb into a reactive notebook: what each cell becomes, and what is told about it.

Knows nothing of marimo's file format and API, which are `runtime/`'s.
"""
