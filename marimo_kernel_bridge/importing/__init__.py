"""Conversion of an .ipynb to a reactive notebook: the code of each cell, and the report on it.

Does not know marimo's file format, which `marimo_format/` reads and writes.
"""
