"""Turning an .ipynb into a reactive notebook: what each cell becomes, and what is told about it.

Does not know marimo's file format, which `marimo_format/` reads and writes.
"""
