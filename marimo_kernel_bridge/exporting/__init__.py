"""Notebooks on their way out: from files and live kernels to other formats. What each does: docs/exporting.md.

An .ipynb (nbformat 4, as JSON) is what all of them pass through; here nothing imports marimo.
"""
