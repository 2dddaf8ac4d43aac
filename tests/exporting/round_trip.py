"""Notebooks that are imported and exported again, in memory."""

from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.marimo_format.reader import read_text
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.origin import read_origin, save_origin
from marimo_kernel_bridge.notebooks.restored import restore

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def cell(kind, source, number, **more):
    outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": f"c{number}", "metadata": {}, "source": source, **outputs, **more}


def document(*cells, metadata=None):
    return {"cells": list(cells), "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5}


def codes(*sources):
    return document(*(cell("code", source, number) for number, source in enumerate(sources, start=1)))


class Trip:
    """A notebook that was imported, in a folder of its own."""

    def __init__(self, folder, notebook):
        self.path = folder / "trip.py"
        read = parse_notebook(folder / "trip.ipynb", notebook)
        conversion = convert(read)
        self.text = conversion.text
        file = read_text(self.path, self.text)
        save_origin(read, file, conversion.positions, outputs=True)

    def back(self, edit=None):
        """Edit the text of the file, and export it."""
        text = self.text if edit is None else edit(self.text)
        assert edit is None or text != self.text, "the edit changed nothing"
        return restore(read_text(self.path, text), read_origin(self.path))
