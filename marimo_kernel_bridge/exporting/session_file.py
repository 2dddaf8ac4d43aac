"""The file of a session's notebook, as it is to be written: the kernel's cells, in their order, among what only the file has. Pure.

Unlike an export, which leaves out nothing that a file has, it lets go of cells that the kernel had and has no more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.exporting.live import id_in_file, places, with_outputs
from marimo_kernel_bridge.notebooks.marimo_file import code_cell
from marimo_kernel_bridge.notebooks.nbformat_json import lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON
    from marimo_kernel_bridge.protocol.notebook import CellWithOutputs

_TOP = ""


def session_document(
    disk: Notebook, cells: Sequence[CellWithOutputs], known: Collection[str]
) -> DocumentJSON:
    """Return the notebook with the kernel's cells.

    `known` are the ids, in the file, of cells that the kernel has had. What the kernel does not know stays behind the
    cell before it: Markdown, and code that never got into the kernel. A cell that has not run in this kernel keeps its outputs.
    """
    # Under the kernel's own id in the file, a cell that no front end has shown.
    found = places(disk, [replace(live.cell, notebook_cell_id=id_in_file(live.cell)) for live in cells])
    follows: dict[str, list[CellJSON]] = {_TOP: []}
    originals: dict[int, CellJSON] = {}
    before = _TOP
    for number, (cell, original) in enumerate(zip(disk.cells, disk.document["cells"], strict=True)):
        place = found.get(number)
        if place is not None:
            before = cells[place].cell.cell_id
            originals[place] = {"id": cell.cell_id, **original}
            follows[before] = []
        elif cell.kind != "code" or cell.cell_id not in known:
            follows[before].append({"id": cell.cell_id, **original})
    written = follows[_TOP]
    for number, live in enumerate(cells):
        original = originals.get(number) or code_cell(id_in_file(live.cell), live.cell.code)
        present = {**original, "source": lines(live.cell.code)}
        ran = live.cell.execution_count is not None or live.outputs
        written.append(with_outputs(present, live) if ran else present)
        written += follows.get(live.cell.cell_id, ())
    minor = max(5, int(disk.document.get("nbformat_minor") or 5))
    return {**disk.document, "cells": written, "nbformat": 4, "nbformat_minor": minor}
