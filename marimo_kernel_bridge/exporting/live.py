"""The notebook of a running kernel as an .ipynb: the kernel's code and outputs, merged into the file on disk.

A kernel knows the cells that have run, and the document that a front end with the extension has open: then that is exported, with
its texts. Without one, Markdown and order come from the notebook on disk, if it is known; where that and the kernel differ, the
kernel takes precedence.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.open_document import as_notebook
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook, read_notebook
from marimo_kernel_bridge.notebooks.marimo_file import KERNELSPEC_METADATA, code_cell
from marimo_kernel_bridge.notebooks.nbformat_json import is_cell_id, lines
from marimo_kernel_bridge.protocol.messages import METADATA_KEY
from marimo_kernel_bridge.protocol.regular_files import is_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, OutputJSON
    from marimo_kernel_bridge.protocol.document_edits import DocumentContent
    from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs


@dataclass(frozen=True)
class LiveNotebook:
    """The notebook of a kernel, as an .ipynb. `cells` are the kernel's cells, by their ids in the document.

    `newer` are ids of cells whose code differs from the file, `added` of cells that are not in the file, and `not_run`
    of code cells in the file that have not run in this kernel. `path` is the file's, if it could be read. `shown_in` is the front end
    whose open document it is: then that stands for the file.
    """

    document: DocumentJSON
    cells: dict[str, Cell]
    path: Path | None = None
    newer: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    shown_in: str | None = None

    def notes(self, *, of_kernel: bool = False) -> list[str]:
        """Return one line for each way in which the result differs from the file, with the kernel's own ids if asked."""
        notes = []
        ids = {name: cell.cell_id for name, cell in self.cells.items()} if of_kernel else {}
        newer, added = ([ids.get(name, name) for name in names] for names in (self.newer, self.added))
        where = "saved notebook" if self.shown_in is None else "document"
        if self.shown_in is not None:
            notes.append(
                f"This is the document that is open in {self.shown_in}, with text that is not saved."
            )
        elif self.path is None:
            notes.append(
                "It is not known which notebook the kernel belongs to: the export has only the cells that have run."
            )
        if newer:
            notes.append(
                f"The export has the kernel's code, which is newer than the saved notebook's, of {_cells(newer)}."
            )
        if added:
            notes.append(f"The export also has {_cells(added)}, run in the kernel and not in the {where}.")
        if self.not_run:
            notes.append(
                f"Not run in this kernel, and so exported as in the {where}: {_cells(self.not_run)}."
            )
        return notes


def _cells(ids: Sequence[str]) -> str:
    return f"{'cell' if len(ids) == 1 else 'cells'} {', '.join(ids)}"


async def read_live(client: KernelClient, notebook: str | None) -> LiveNotebook:
    """Read the notebook of a reactive kernel, also while it runs a cell. Raises `BridgeError`: not_reactive, ..."""
    cells = [
        await client.reads.read_cell(cell.cell_id)
        for cell in await client.reads.list_cells()
        if cell.notebook_cell_id is not None or cell.status != "superseded"
    ]
    disk = await asyncio.to_thread(_on_disk, notebook)
    if disk is not None and disk.path is not None and client.reads.redacted:
        disk = parse_notebook(disk.path, await client.reads.redact(disk.document))
    content = await client.document.read()
    if content is not None:
        return await asyncio.to_thread(of_document, content, disk, cells)
    return await asyncio.to_thread(merged, disk, cells)


def _on_disk(notebook: str | None) -> Notebook | None:
    if notebook is None or not is_file(notebook):
        return None
    try:
        return read_notebook(Path(notebook))
    except BridgeError:
        return None


def merged(disk: Notebook | None, cells: Sequence[CellWithOutputs]) -> LiveNotebook:
    """Merge the cells of a kernel into the file's notebook; a cell that is not in the file follows its predecessor."""
    if disk is None:
        made = [
            (id_in_file(live.cell), with_outputs(code_cell(id_in_file(live.cell), live.cell.code), live))
            for live in cells
        ]
        document = {
            "cells": [cell for _, cell in made],
            "metadata": {"kernelspec": KERNELSPEC_METADATA},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        return LiveNotebook(document, {name: live.cell for (name, _), live in zip(made, cells, strict=True)})
    at = places(disk, [live.cell for live in cells])
    return _merged(disk, cells, {number: cells[live] for number, live in at.items()}, text_of="kernel")


def of_document(
    content: DocumentContent, disk: Notebook | None, cells: Sequence[CellWithOutputs]
) -> LiveNotebook:
    """Return the document that is open, with the outputs of the kernel's cells, and metadata of the file."""
    live = {one.cell.notebook_cell_id: one for one in cells if one.cell.notebook_cell_id is not None}
    at = {
        number: live[cell.key]
        for number, cell in enumerate(content.cells)
        if cell.type == "code" and cell.key in live
    }
    notebook = _merged(as_notebook(content, disk), cells, at, text_of="document")
    front_end = content.active.front_end if content.active is not None else None
    return replace(notebook, path=None if disk is None else disk.path, shown_in=front_end)


def _merged(
    disk: Notebook,
    cells: Sequence[CellWithOutputs],
    at: dict[int, CellWithOutputs],
    *,
    text_of: Literal["kernel", "document"],
) -> LiveNotebook:
    originals: list[CellJSON] = disk.document["cells"]
    written: list[tuple[str, CellJSON]] = [
        (cell.cell_id, original) for cell, original in zip(disk.cells, originals, strict=True)
    ]
    live_cells: dict[str, Cell] = {}
    newer: list[str] = []
    for number, live in at.items():
        name, original = written[number]
        live_cells[name] = live.cell
        if text_of == "kernel" and disk.cells[number].source.strip() != live.cell.code.strip():
            newer.append(name)
            original = {**original, "source": lines(live.cell.code)}
        written[number] = (name, with_outputs(original, live))
    not_run = [
        cell.cell_id
        for number, cell in enumerate(disk.cells)
        if cell.kind == "code" and cell.source.strip() and number not in at
    ]
    added = _insert(written, cells, at, live_cells)
    document = {**disk.document, "cells": [cell for _, cell in written]}
    if added:
        document["nbformat_minor"] = max(5, int(document.get("nbformat_minor") or 5))
        document["cells"] = [{"id": name, **cell} for name, cell in written]
    return LiveNotebook(document, live_cells, disk.path, tuple(newer), tuple(added), tuple(not_run))


def places(disk: Notebook, cells: Sequence[Cell]) -> dict[int, int]:
    """Find a kernel's cells in the file: by nbformat's id, or by equal code, because VS Code has ids of its own."""
    found: dict[int, int] = {}
    by_id = {cell.cell_id: number for number, cell in enumerate(disk.cells) if cell.kind == "code"}
    others = []
    for live, cell in enumerate(cells):
        number = by_id.get(cell.notebook_cell_id or "")
        if number is None or number in found:
            others.append(live)
        else:
            found[number] = live
    by_code: dict[str, list[int]] = {}
    for number in reversed(range(len(disk.cells))):
        if number not in found and disk.cells[number].kind == "code":
            by_code.setdefault(disk.cells[number].source.strip(), []).append(number)
    for live in others:
        if same := by_code.get(cells[live].code.strip()):
            found[same.pop()] = live
    return found


def _insert(
    written: list[tuple[str, CellJSON]],
    cells: Sequence[CellWithOutputs],
    at: dict[int, CellWithOutputs],
    live_cells: dict[str, Cell],
) -> list[str]:
    """Insert cells that are not in the file after the cell that the kernel saw before them; return their ids."""
    names = {live.cell.cell_id: written[number][0] for number, live in at.items()}
    before: str | None = None
    behind: dict[str | None, list[tuple[str, CellJSON]]] = {}
    added = []
    for live in cells:
        in_file = names.get(live.cell.cell_id)
        if in_file is not None:
            before = in_file
            continue
        name = id_in_file(live.cell)
        behind.setdefault(before, []).append((name, with_outputs(code_cell(name, live.cell.code), live)))
        live_cells[name] = live.cell
        added.append(name)
    placed = [one for cell in written for one in (cell, *behind.pop(cell[0], ()))]
    written[:] = [*placed, *behind.get(None, ())]
    return added


def with_outputs(original: CellJSON, live: CellWithOutputs) -> CellJSON:
    count = live.cell.execution_count
    return {**original, "execution_count": count, "outputs": list(_outputs(live.outputs, count))}


def _outputs(outputs: Iterable[OutputJSON], count: int | None) -> Iterable[OutputJSON]:
    for output in outputs:
        own = (output.get("metadata") or {}).get(METADATA_KEY)
        if isinstance(own, dict) and "notice" in own:
            continue  # of the kernel, on what the page shows: the document shows what runs
        kept = {key: value for key, value in output.items() if key != "transient"}
        if kept.get("output_type") == "execute_result" and kept.get("execution_count") is None:
            kept["execution_count"] = count
        yield kept


def id_in_file(cell: Cell) -> str:
    """Return an id that nbformat allows."""
    name = cell.notebook_cell_id or ""
    return name if is_cell_id(name) else cell.cell_id
