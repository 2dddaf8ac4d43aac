"""The code that a kernel was given and a session's file has not, for the case that the kernel dies before it is read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.live import id_in_file
from marimo_kernel_bridge.notebooks.marimo_file import code_cell
from marimo_kernel_bridge.notebooks.nbformat_json import lines
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON
    from marimo_kernel_bridge.protocol.notebook import Cell


_TOP: Final = -1
"""The place before the first cell."""


@dataclass(frozen=True)
class Listing:
    """The cells that a kernel had when it was last asked, at a time in seconds since the epoch."""

    cells: tuple[Cell, ...] = ()
    at: float = 0.0

    @cached_property
    def codes(self) -> dict[str, str]:
        """The code of each cell, by its id."""
        return {cell.cell_id: cell.code for cell in self.cells}

    @cached_property
    def ids(self) -> dict[str, str]:
        """The id in the file of each cell, by the kernel's."""
        return {cell.cell_id: id_in_file(cell) for cell in self.cells}


def with_unsaved_code(
    disk: Notebook, runs: Iterable[Run], listed: Listing
) -> tuple[DocumentJSON, dict[str, tuple[str, ...]]]:
    """Return the notebook with the code that runs, in their order, have given the kernel since it was last asked.

    New cells are behind those that they were to follow, else at the end. What the runs deleted or moved stays where it is. The second
    value are the ids in the file of the cells that each run has added.
    """
    document = _Document(disk, listed.ids)
    added: dict[str, tuple[str, ...]] = {}
    for run in runs:
        if run.ended_at is not None and run.ended_at <= listed.at:
            continue
        batch: dict[str, str] = {}
        for change, cell_id in _changes(run):
            if isinstance(change, ChangeCell):
                document.change(change.cell_id, change.code)
                continue
            known, name = _known(cell_id, change.code, listed), f"new{len(batch) + 1}"
            batch[name] = known or cell_id or f"{run.run_id}-{len(batch) + 1}"
            if known is None:
                document.add(batch[name], change, batch)
        added[run.run_id] = tuple(batch.values())
    return document.json(), added


def _known(cell_id: str | None, code: str, listed: Listing) -> str | None:
    """Return the id in the file of a cell that the kernel had when it was asked; one with the same code if its id is not known."""
    if cell_id is not None:
        return listed.ids.get(cell_id)
    return next((listed.ids[known] for known, text in listed.codes.items() if text == code), None)


def _changes(run: Run) -> Iterator[tuple[AddCell | ChangeCell, str | None]]:
    """Yield what a run changes, unless the kernel did not take it, and the ids of the cells that it has added as far as they are known."""
    try:
        report = run.edit_report()
    except BridgeError:
        return
    became_no_cell = run.kind == "execute" and run.reply is not None and not run.cell_ids
    if run.cancelled or became_no_cell or (report is not None and not report.applied):
        return
    ids = iter(run.cell_ids if report is None else report.added)
    for change in run.changes:
        if isinstance(change, AddCell):
            yield change, next(ids, None)
        elif isinstance(change, ChangeCell):
            yield change, None


class _Document:
    """A document that gets more code. `ids` are those of its cells, by the kernel's."""

    def __init__(self, disk: Notebook, ids: Mapping[str, str]) -> None:
        self._before = disk.document
        self._ids = ids
        self._cells: list[CellJSON] = []
        self._following: dict[int, int] = {}  # by place in the list: the cell behind it, where there is one
        self._places: dict[str, int] = {}
        self._last = _TOP
        for cell, original in zip(disk.cells, disk.document["cells"], strict=True):
            self._insert({"id": cell.cell_id, **original}, self._last)
        self._changed = False

    def change(self, cell_id: str, code: str) -> None:
        place = self._place(cell_id)
        if place is None:
            self._insert(code_cell(self._ids.get(cell_id, cell_id), code), self._last)
        else:
            self._cells[place] = {**self._cells[place], "source": lines(code)}
        self._changed = True

    def add(self, cell_id: str, change: AddCell, batch: Mapping[str, str]) -> None:
        """Add a cell, unless the file has it: another server may have written it. `batch` are ids of cells by their names in the batch."""
        if self._place(cell_id) is not None:
            return
        before = None if change.after is None else self._place(batch.get(change.after, change.after))
        if change.first:
            before = _TOP
        self._insert(code_cell(cell_id, change.code), self._last if before is None else before)
        self._changed = True

    def json(self) -> DocumentJSON:
        if not self._changed:
            return self._before
        cells, place = [], self._following.get(_TOP)
        while place is not None:
            cells.append(self._cells[place])
            place = self._following.get(place)
        minor = max(5, int(self._before.get("nbformat_minor") or 5))
        return {**self._before, "cells": cells, "nbformat": 4, "nbformat_minor": minor}

    def _insert(self, cell: CellJSON, before: int) -> None:
        place = len(self._cells)
        self._cells.append(cell)
        self._places.setdefault(cell["id"], place)
        if before in self._following:
            self._following[place] = self._following[before]
        else:
            self._last = place
        self._following[before] = place

    def _place(self, cell_id: str) -> int | None:
        return self._places.get(self._ids.get(cell_id, cell_id))
