"""A batch of changes as an edit of marimo's host API: one unit, with what its author last read as the precondition. Pure."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
    from marimo_kernel_bridge.client.marimo_editor.records import Cell, EditResponse, Json
    from marimo_kernel_bridge.protocol.changes import Change

_LETTERS: Final = 4
_SETUP: Final = "setup"
"""The id of marimo's setup cell, which is always the first."""


@dataclass(frozen=True)
class Edit:
    """The body of an edit request, the ids of the cells that it adds, and those whose text is new after it.

    `before` are the cells in their order before it.
    """

    body: Json
    added: tuple[str, ...]
    written: tuple[str, ...]
    before: tuple[Cell, ...] = ()


def edit_of(mirror: Mirror, changes: Sequence[Change]) -> Edit:
    """Return changes as one edit. Raises `BridgeError`: no_such_cell, stale_version, bad_request."""
    batch = _Batch(mirror)
    for change in changes:
        batch.add(change)
    return batch.edit()


def inverse_of(edit: Edit, applied: EditResponse) -> Edit:
    """Return the edit that takes another one back, as long as its cells are as it left them."""
    before = {cell.id: cell for cell in edit.before}
    changes: list[Json] = []
    written: list[str] = []
    for cell_id, version in applied.cells.items():
        old = before.get(cell_id)
        if old is None and version is not None:
            changes.append({"kind": "delete_cell", "base_etag": version.etag, "id": cell_id})
        elif old is not None:
            etag = None if version is None else version.etag
            changes.append({"kind": "put_cell", "base_etag": etag, "cell": _put(old, old.code)})
            written.append(cell_id)
    if applied.document.order != tuple(before):
        etag = applied.document.order_etag
        changes.append({"kind": "set_order", "base_etag": etag, "order": list(before)})
    return Edit({"changes": changes}, (), tuple(written))


def _put(cell: Cell, code: str) -> Json:
    """Return a cell with another code as the API takes it; what it does not get, it sets to the default."""
    return {"id": cell.id, "name": cell.name, "config": msgspec.to_builtins(cell.config), "code": code}


class _Batch:
    """Changes so far, and the order of the cells after them."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._order = [cell.id for cell in mirror.cells]
        self._changes: list[Json] = []
        self._added: list[str] = []
        self._written: list[str] = []
        self._moved = False

    def add(self, change: Change) -> None:
        match change:
            case AddCell():
                self._add(change)
            case ChangeCell():
                cell = self._read(change.cell_id, change.version)
                self._changes.append(
                    {"kind": "put_cell", "base_etag": cell.etag, "cell": _put(cell, change.code)}
                )
                self._written.append(cell.id)
            case DeleteCell():
                cell = self._read(change.cell_id, change.version)
                self._changes.append({"kind": "delete_cell", "base_etag": cell.etag, "id": cell.id})
                self._order.remove(cell.id)
                self._written = [cell_id for cell_id in self._written if cell_id != cell.id]
            case MoveCell():
                cell = self._read(change.cell_id, change.version)
                self._order.remove(cell.id)
                self._order.insert(self._place(change.after, None), cell.id)
                self._moved = True
            case _:
                assert_never(change)

    def edit(self) -> Edit:
        if self._moved and self._mirror.document is not None:
            etag = self._mirror.document.order_etag
            self._changes.append({"kind": "set_order", "base_etag": etag, "order": self._order})
        before = tuple(self._mirror.cells)
        return Edit({"changes": self._changes}, tuple(self._added), tuple(self._written), before)

    def _add(self, change: AddCell) -> None:
        if change.type != "code":
            raise BridgeError(
                "bad_request",
                "marimo's notebooks have no Markdown or raw cells; nothing was changed.",
                'Add a code cell with mo.md(r"""...""").',
            )
        taken = {cell.id for cell in self._mirror.cells} | set(self._added)
        while (cell_id := "".join(secrets.choice(string.ascii_letters) for _ in range(_LETTERS))) in taken:
            pass
        at = self._place(change.after, None if change.first else len(self._order))
        where = {"before": self._order[at]} if at < len(self._order) else {}
        self._changes.append(
            {"kind": "put_cell", "base_etag": None, "cell": {"id": cell_id, "code": change.code}, **where}
        )
        self._order.insert(at, cell_id)
        self._added.append(cell_id)
        self._written.append(cell_id)

    def _place(self, after: str | None, otherwise: int | None) -> int:
        """Return the place behind a cell, `otherwise` without one; None: the top."""
        if after is None:
            top = 1 if self._order[:1] == [_SETUP] else 0
            return top if otherwise is None else otherwise
        if after.startswith("new") and after[3:].isdecimal() and 0 < int(after[3:]) <= len(self._added):
            after = self._added[int(after[3:]) - 1]
        if after not in self._order:
            raise _no_such_cell(after)
        return self._order.index(after) + 1

    def _read(self, cell_id: str, version: int) -> Cell:
        """Return a cell as its author read it."""
        cell = self._mirror.cell(cell_id)
        if cell is None or cell_id not in self._order:
            raise _no_such_cell(cell_id)
        if cell.version != version:
            raise stale(cell)
        return cell


def stale(cell: Cell) -> BridgeError:
    """Return the error for a cell that has another text than its author read."""
    return BridgeError(
        "stale_version",
        f"Cell {cell.id} is at version {cell.version} by now; nothing was changed. Its text is: {cell.code}",
        "Read it again and repeat the change for that text.",
    )


def _no_such_cell(cell_id: str) -> BridgeError:
    return BridgeError("no_such_cell", f"There is no cell {cell_id!r}.", "list_cells shows the ids.")
