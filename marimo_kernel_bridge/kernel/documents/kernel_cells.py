"""The kernel's cells as a document names them, and what its graph says of changes of the document. Any thread.

Plans while a cell runs, from what the graph has published: the running cell may change it, so a plan is a forecast. Which
changes are made is decided by the front end, and the graph decides again when the cells run.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.documents.open_documents import Document, ShownCell
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    ChangeCell,
    DeleteCell,
    ExpectedRun,
    GraphProblem,
    MoveCell,
)
from marimo_kernel_bridge.protocol.document import CellState, ChangeText, Delete, Insert, Move
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document import DocumentChange
    from marimo_kernel_bridge.protocol.notebook import Cell

_RENAMED_KEPT = 1_000
_STATES_KEPT = 50_000
_NEW = re.compile(r"\bnew\d+\b")
_NOWHERE = Address("agent", {"msg_id": "", "msg_type": ""}, "")


@dataclass(frozen=True)
class KnownCells:
    """The kernel's cells at one moment, by key, and their keys by the kernel's ids.

    `found` are states of cells by key, each with what it was found from: most are asked for again and again.
    """

    cells: Mapping[str, Cell]
    keys: Mapping[str, str]
    found: dict[str, tuple[Cell | None, str, Mapping[str, str], CellState]]

    def states(self, document: Document) -> dict[str, CellState]:
        """Return what the kernel knows of the code cells of a document, by key. For the control thread."""
        return {key: self._state(key, shown) for key, shown in document.cells.items() if shown.type == "code"}

    def _state(self, key: str, shown: ShownCell) -> CellState:
        cell, known = self.cells.get(key), self.found.get(key)
        if known is not None and known[0] is cell and known[1] == shown.code and known[2] is self.keys:
            return known[3]
        state = _state(cell, shown, self.keys)
        self.found[key] = cell, shown.code, self.keys, state
        return state


class KernelCells:
    """The kernel's cells, by the keys that front ends have for them."""

    def __init__(self, notebook: NotebookSession) -> None:
        self._notebook = notebook
        self._known = KnownCells({}, {}, {})
        self._renamed: OrderedDict[str, str] = (
            OrderedDict()
        )  # new keys by those that the table has until no cell runs

    def rename(self, key: str, new: str) -> None:
        """Take over the new key that a document has for a cell."""
        self._renamed[key] = new
        while len(self._renamed) > _RENAMED_KEPT:
            self._renamed.popitem(last=False)
        self._notebook.document.rename_cell(key, new)

    def snapshot(self) -> list[Cell]:
        """Return all cells with their place in the graph, under the keys of now."""
        cells = self._notebook.view.snapshot()
        if not self._renamed:
            return cells
        return [
            replace(
                cell, notebook_cell_id=self._renamed.get(cell.notebook_cell_id or "", cell.notebook_cell_id)
            )
            for cell in cells
        ]

    def entries(self) -> dict[str, Entry]:
        """Return the cells that have a key."""
        return {
            self._renamed.get(entry.cell.notebook_cell_id, entry.cell.notebook_cell_id): entry
            for entry in self._notebook.cells
            if entry.cell.notebook_cell_id is not None and not entry.deleted and not entry.detached
        }

    def _own_entries(self) -> dict[str, Entry]:
        return {
            entry.cell.notebook_cell_id or entry.cell.cell_id: entry
            for entry in self._notebook.cells
            if not entry.deleted
        }

    def by_key(self, key: str) -> Cell | None:
        """Return a cell, None if it never ran."""
        entry = self._notebook.cells.with_key(key)
        if entry is None and key in self._renamed.values():
            entry = self.entries().get(key)
        return None if entry is None else entry.cell

    def key_of(self, document: Document, cell_id: str) -> str | None:
        """Return a document's key for a cell, None if the document has lost it. Raises `BridgeError`: no_such_cell."""
        if cell_id in document.cells:
            return cell_id
        entry = self._notebook.cells.get(cell_id) or self._notebook.cells.with_key(cell_id)
        if entry is None:
            raise BridgeError(
                "no_such_cell",
                f"The open document has no cell {cell_id!r}.",
                "Read the document again to see its cells.",
            )
        key = entry.cell.notebook_cell_id or (cell_id if not document.client else None)
        key = self._renamed.get(key or "", key)
        if key is None:
            raise BridgeError(
                "no_such_cell",
                f"The cell {cell_id!r} is in the kernel only, not in the open document.",
                "Change it by itself: a batch has cells of the document, or cells of the kernel only.",
            )
        return key if key in document.cells else None

    def own_key(self, cell_id: str) -> str:
        """Return the key of a cell in `as_document`. Raises `BridgeError`: no_such_cell."""
        cell = self._notebook.cells.find(cell_id).cell
        return cell.notebook_cell_id or cell.cell_id

    def has_version(self, key: str, _code: str, version: int) -> bool:
        """Return whether a cell of `as_document` is at a version."""
        return self._notebook.cells.find(key).cell.version == version

    def as_document(self) -> Document:
        """Return the kernel's own cells as a document, for changes while none is open."""
        cells = [entry.cell for entry in self._notebook.cells if not entry.deleted]
        shown = {
            key: ShownCell(key, "code", cell.code, cell.edited_by, cell.version)
            for cell in cells
            for key in [cell.notebook_cell_id or cell.cell_id]
        }
        return Document("", "", "", None, frozenset({"apply"}), shown)

    def parents(self, document: Document) -> dict[str, str]:
        """Return the ids of the newest requests of a document's cells, by key."""
        return {
            key: entry.address.parent["msg_id"]
            for key, entry in self.entries().items()
            if key in document.cells
        }

    def known(self) -> KnownCells:
        """Return what the kernel knows of its cells now."""
        cells = {cell.notebook_cell_id: cell for cell in self.snapshot() if cell.notebook_cell_id is not None}
        keys = {cell.cell_id: key for key, cell in cells.items()}
        if keys != self._known.keys or len(self._known.found) > _STATES_KEPT:
            self._known = KnownCells(cells, keys, {})
        return replace(self._known, cells=cells)

    # -- forecasts ------------------------------------------------------------------------------------------------

    def plan(
        self, document: Document, changes: Sequence[DocumentChange], roots: Sequence[str] = ()
    ) -> tuple[tuple[GraphProblem, ...], tuple[ExpectedRun, ...]]:
        """Return the problems of the graph after changes, and the cells that would run. Ids are keys where there are any.

        `roots` are keys of cells that run as they are.
        """
        entries = self.entries() if document.client else self._own_entries()
        ids = [entries[key].cell.cell_id for key in roots if key in entries]
        batch, labels = _for_the_kernel(document, changes, entries)
        if not self._notebook.loaded or not (batch or ids):
            return (), ()
        plan = self._notebook.edits.foresee(batch, _NOWHERE, ids)
        keys = {entry.cell.cell_id: key for key, entry in entries.items() if key in document.cells} | labels
        problems = tuple(
            GraphProblem(
                problem.kind,
                _NEW.sub(lambda match: labels.get(match[0], match[0]), problem.message),
                tuple(keys.get(cell_id, cell_id) for cell_id in problem.cells),
                problem.names,
            )
            for problem in plan.problems
        )
        runs = (ExpectedRun(keys.get(run.cell_id, run.cell_id), run.last_seconds) for run in plan.would_run)
        return problems, tuple(runs)


def _state(cell: Cell | None, shown: ShownCell, keys: Mapping[str, str]) -> CellState:
    if cell is None:
        return CellState()
    upstream = [keys[other] for other in cell.upstream if other in keys]
    return CellState(
        cell.cell_id,
        cell.status,
        cell.stale,
        cell.code != shown.code,
        None if cell.edited_by == NOTEBOOK else cell.edited_by,
        list(cell.defines),
        upstream,
    )


def _for_the_kernel(
    document: Document, changes: Sequence[DocumentChange], entries: Mapping[str, Entry]
) -> tuple[list[Change], dict[str, str]]:
    """Return changes of a document as changes of the kernel's cells, and the names of the new ones in problems.

    A cell that never ran is new to the kernel.
    """
    batch: list[Change] = []
    labels: dict[str, str] = {}
    types = {key: cell.type for key, cell in document.cells.items()}

    def behind(after: str | None) -> str | None:
        """Return the kernel's id of the nearest cell above that it knows."""
        keys = list(document.cells)
        known = keys[: keys.index(after) + 1] if after in document.cells else []
        return next((entries[key].cell.cell_id for key in reversed(known) if key in entries), None)

    def add(label: str, code: str, after: str | None) -> None:
        place = behind(after)
        batch.append(AddCell(code=code, after=place, first=place is None))
        labels[f"new{len(labels) + 1}"] = label

    for change in changes:
        match change:
            case Insert(token=token, after=after, type="code", code=code):
                add(token, code, after)
            case ChangeText(key=key, code=code) if types.get(key) == "code":
                if key in entries:
                    cell = entries[key].cell
                    batch.append(ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code))
                else:
                    add(key, code, document.before(key))
            case Delete(key=key) if key in entries:
                cell = entries[key].cell
                batch.append(DeleteCell(cell_id=cell.cell_id, version=cell.version))
            case Move(key=key, after=after) if key in entries:
                cell = entries[key].cell
                batch.append(MoveCell(cell_id=cell.cell_id, version=cell.version, after=behind(after)))
            case _:
                pass  # not of the graph
    return batch, labels
