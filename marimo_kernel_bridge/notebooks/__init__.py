"""Notebook files as values: .ipynb, marimo files and their origin."""
