"""The document that a person has open as an .ipynb: its texts and order, with the ids and metadata of the saved file. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.marimo_file import KERNELSPEC_METADATA, code_cell, markdown_cell
from marimo_kernel_bridge.notebooks.nbformat_json import is_cell_id, lines

if TYPE_CHECKING:
    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON
    from marimo_kernel_bridge.protocol.document_edits import DocumentContent, NotebookCell


def as_notebook(content: DocumentContent, disk: Notebook | None) -> Notebook:
    """Return the cells of a document in its order, without new outputs. Raises `BridgeError` bad_notebook.

    A saved cell is found by its id, or by its text, because VS Code has ids of its own.
    """
    saved: list[tuple[str, CellJSON]] = []
    if disk is not None:
        saved = [
            (cell.cell_id, original)
            for cell, original in zip(disk.cells, disk.document["cells"], strict=True)
        ]
    by_id = dict(saved)
    by_text: dict[tuple[str, str], list[CellJSON]] = {}
    shown = {cell.key for cell in content.cells}
    for cell_id, original in saved:
        if cell_id not in shown:
            text = "".join(original.get("source") or ())
            by_text.setdefault((original["cell_type"], text), []).append(original)
    cells: list[CellJSON] = []
    for number, cell in enumerate(content.cells, 1):
        same = by_text.get((cell.type, cell.code))
        found = by_id.get(cell.key) or (same.pop(0) if same else None)
        cells.append(_cell(cell, found, f"cell-{number}"))
    base: dict[str, Any] = (
        {"metadata": {"kernelspec": KERNELSPEC_METADATA}} if disk is None else disk.document
    )
    minor = max(5, int(base.get("nbformat_minor") or 5))
    document = {**base, "cells": cells, "nbformat": 4, "nbformat_minor": minor}
    path = disk.path if disk is not None and disk.path is not None else Path("notebook.ipynb")
    return parse_notebook(path, document)


def _cell(cell: NotebookCell, original: CellJSON | None, name: str) -> CellJSON:
    if original is not None and original["cell_type"] == cell.type:
        return {"id": name, **original, "source": lines(cell.code)}
    cell_id = cell.key if is_cell_id(cell.key) else cell.cell_id or name
    made = code_cell(cell_id, cell.code) if cell.type == "code" else markdown_cell(cell_id, cell.code, {})
    return {**made, "cell_type": cell.type}
