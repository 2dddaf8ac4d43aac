"""Cells of a session's notebook that are no code: the kernel has none, so its file alone has them. Pure.

A batch of changes is carried out on the order of the cells. What is about code goes to the kernel; the rest is done in the file when
that has the kernel's cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from marimo_kernel_bridge.notebooks.nbformat_json import lines
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON
    from marimo_kernel_bridge.protocol.changes import Change


@dataclass
class FileCell:
    """A cell of the notebook: its id in the file, and the kernel's, None of one that is no code. New ones have the batch's name."""

    key: str
    cell_id: str | None


@dataclass
class TextEdits:
    """What a batch does to cells that are no code.

    `order` are the ids in the file after it, `new1` and so on for new cells; `codes` are those of them that are code, in the order
    of the batch.
    """

    order: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    """The ids in the file of new cells that are no code."""
    codes: list[str] = field(default_factory=list)
    added: dict[str, AddCell] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.moved or self.deleted)

    @property
    def new(self) -> tuple[str, ...]:
        """The ids in the file of all new cells, in the order of the batch; "" for code, whose ids are the kernel's."""
        names = sorted((*self.codes, *self.ids), key=lambda name: int(name.removeprefix("new")))
        return tuple(self.ids.get(name, "") for name in names)

    def applied(self, document: DocumentJSON, new_codes: Sequence[str]) -> DocumentJSON:
        """Return the notebook with the texts. `new_codes` are the ids in the file of the new code cells."""
        ids = self.ids | dict(zip(self.codes, new_codes, strict=False))
        placed = {ids.get(name, name) for name in (*self.added, *self.moved)}
        known = {cell["id"]: cell for cell in document["cells"]}
        known |= {ids[name]: _text_cell(ids[name], add) for name, add in self.added.items()}
        known |= {
            key: {**known[key], "source": lines(text)} for key, text in self.changed.items() if key in known
        }
        order = [cell["id"] for cell in document["cells"] if cell["id"] not in placed | self.deleted]
        before: str | None = None
        for key in (ids.get(name, name) for name in self.order):
            if key in placed and key in known:
                order.insert(0 if before is None else order.index(before) + 1, key)
            if key in order:
                before = key
        return {**document, "cells": [known[key] for key in order]}


def split(changes: Sequence[Change], cells: Iterable[FileCell]) -> tuple[tuple[Change, ...], TextEdits]:
    """Return the part of a batch for the kernel, and the part for the file."""
    batch = _Batch(list(cells))
    for change in changes:
        batch.carry_out(change)
    batch.edits.order = [cell.key for cell in batch.order]
    return tuple(batch.for_kernel), batch.edits


class _Batch:
    """A batch that is being carried out on the order of the cells."""

    def __init__(self, order: list[FileCell]) -> None:
        self.order = order
        self.edits = TextEdits()
        self.for_kernel: list[Change] = []
        self._added = 0

    def carry_out(self, change: Change) -> None:
        if isinstance(change, AddCell):
            self._add(change)
            return
        cell = _find(self.order, change.cell_id)
        if cell is None:  # the kernel refuses it
            self.for_kernel.append(change)
        elif isinstance(change, MoveCell):
            self._move(change, cell)
        elif cell.cell_id is not None:
            self.for_kernel.append(change)
        elif isinstance(change, ChangeCell):
            self._change(cell.key, change.code)
        else:
            self._delete(cell)

    def _add(self, change: AddCell) -> None:
        self._added += 1
        is_code = change.type == "code"
        name = f"new{self._added}"
        at = _place(self.order, change.after, first=change.first)
        self.order.insert(at, FileCell(name, f"new{len(self.edits.codes) + 1}" if is_code else None))
        if is_code:
            self.edits.codes.append(name)
            placed = change.after is not None or change.first
            self.for_kernel.append(_after_code(change, self.order, at) if placed else change)
        else:
            self.edits.added[name], self.edits.ids[name] = change, uuid4().hex[:8]

    def _move(self, change: MoveCell, cell: FileCell) -> None:
        self.order.remove(cell)
        at = _place(self.order, change.after, first=change.after is None)
        self.order.insert(at, cell)
        if cell.cell_id is not None:
            self.for_kernel.append(_after_code(change, self.order, at))
        elif cell.key not in self.edits.added:
            self.edits.moved.add(cell.key)

    def _change(self, key: str, text: str) -> None:
        if (add := self.edits.added.get(key)) is None:
            self.edits.changed[key] = text
        else:
            self.edits.added[key] = msgspec.structs.replace(add, code=text)

    def _delete(self, cell: FileCell) -> None:
        self.order.remove(cell)
        if self.edits.added.pop(cell.key, None) is None:
            self.edits.deleted.add(cell.key)
        self.edits.ids.pop(cell.key, None)


def _find(order: Iterable[FileCell], name: str) -> FileCell | None:
    return next((cell for cell in order if name in {cell.key, cell.cell_id}), None)


def _place(order: Sequence[FileCell], after: str | None, *, first: bool) -> int:
    if after is None:
        return 0 if first else len(order)
    found = next((at for at, cell in enumerate(order) if cell.key == after), None)
    if found is None:
        found = next((at for at, cell in enumerate(order) if cell.cell_id == after), len(order) - 1)
    return found + 1


def _after_code(change: Change, order: Sequence[FileCell], at: int) -> Change:
    """Return a change whose cell follows the code before its place, as the kernel names it."""
    before = next((cell.cell_id for cell in reversed(order[:at]) if cell.cell_id is not None), None)
    changed: Change = msgspec.structs.replace(change, after=before)
    if isinstance(changed, AddCell):
        changed = msgspec.structs.replace(changed, first=before is None)
    return changed


def _text_cell(key: str, add: AddCell) -> CellJSON:
    return {"cell_type": add.type, "id": key, "metadata": {}, "source": lines(add.code)}
