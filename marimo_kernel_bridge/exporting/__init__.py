"""Export of notebooks, from files and live kernels, to other formats (docs/exporting.md).

Every export passes through an .ipynb (nbformat 4, as JSON). Nothing here imports marimo.
"""
