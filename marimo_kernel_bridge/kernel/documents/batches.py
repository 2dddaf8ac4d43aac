"""An agent's batch of changes as changes of a document: which cells it names, where new ones go, what has changed meanwhile.

Also their effect on a copy of the document, and the changes that undo it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.open_documents import ShownCell
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.document import ChangeText, Delete, Insert, Move, base_of
from marimo_kernel_bridge.protocol.document_edits import EditConflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Document, VersionOf
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document import DocumentChange


@dataclass(frozen=True)
class Batch:
    """An agent's changes for one document. `conflicts` are cells with another text than the agent has read.

    `gone` are cells, and places of new cells, that the document does not have any more.
    """

    changes: tuple[DocumentChange, ...]
    conflicts: tuple[EditConflict, ...] = ()
    gone: tuple[EditConflict, ...] = ()


def batch_for(
    document: Document,
    changes: Sequence[Change],
    key_of: Callable[[str], str | None],
    fits: Callable[[str, str, int], bool],
) -> Batch:
    """Return the changes of a document that a batch asks for. Raises `BridgeError`: bad_request, no_such_cell.

    `key_of` returns the key for an id of the kernel or of the front end, None if the document has lost the cell. `fits`:
    whether a text of a cell is the one of a version.
    """
    if not changes:
        raise BridgeError("bad_request", "The batch is empty.", "Give at least one change.")
    building = _Building(document, key_of, fits)
    for change in changes:
        building.add(change)
    return Batch(tuple(building.made), tuple(building.conflicts), tuple(building.gone))


class _Building:
    """A batch that is being translated, and the order of the document after it."""

    def __init__(
        self,
        document: Document,
        key_of: Callable[[str], str | None],
        fits: Callable[[str, str, int], bool],
    ) -> None:
        self.made: list[DocumentChange] = []
        self.conflicts: list[EditConflict] = []
        self.gone: list[EditConflict] = []
        self._document, self._key_of, self._fits = document, key_of, fits
        self._order, self._tokens, self._touched = list(document.cells), set[str](), set[str]()

    def add(self, change: Change) -> None:
        """Translate a change."""
        if isinstance(change, AddCell):
            self._insert(change)
            return
        if change.cell_id in self._tokens:
            raise BridgeError(
                "bad_request", f"{change.cell_id} is new in this batch.", "Add it with its final text."
            )
        key = self._find(change.cell_id)
        if key is None:
            return
        if key in self._touched:
            raise BridgeError("bad_request", f"The batch changes cell {key} twice.", "Make it one change.")
        self._touched.add(key)
        match change:
            case ChangeCell(version=version, code=code):
                self.made.append(ChangeText(key, self._base(key, version), code))
            case DeleteCell(version=version):
                self.made.append(Delete(key, self._base(key, version)))
                self._order.remove(key)
            case MoveCell(after=behind):  # its text does not matter
                after = None if behind is None else self._anchor(behind, key)
                self._order.remove(key)
                self._place(key, after)
                self.made.append(Move(key, after))
            case _:
                assert_never(change)

    def _insert(self, change: AddCell) -> None:
        token = f"new{len(self._tokens) + 1}"
        if change.after is not None:
            after = self._anchor(change.after, token)
        else:
            after = self._order[-1] if self._order and not change.first else None
        self.made.append(Insert(token, after, change.type, change.code))
        self._place(token, after)
        self._tokens.add(token)

    def _place(self, key: str, after: str | None) -> None:
        self._order.insert(self._order.index(after) + 1 if after in self._order else 0, key)

    def _find(self, cell_id: str) -> str | None:
        key = cell_id if cell_id in self._tokens else self._key_of(cell_id)
        if key is None:
            self.gone.append(EditConflict(cell_id, None))
        return key

    def _anchor(self, cell_id: str, key: str) -> str | None:
        """Return the key of the cell behind which another one goes."""
        after = self._find(cell_id)
        if after == key or (after in self._document.cells and after not in self._order):
            why = "has no place behind itself" if after == key else f"goes behind {cell_id}, which is deleted"
            raise BridgeError("bad_request", f"{key} {why}; nothing was changed.", "Name another cell.")
        return after

    def _base(self, key: str, version: int) -> str:
        code = self._document.cells[key].code
        if not self._fits(key, code, version):
            self.conflicts.append(EditConflict(key, code))
        return base_of(code)


def rebased(changes: Sequence[DocumentChange], cells: Mapping[str, ShownCell]) -> list[DocumentChange]:
    """Return changes for the texts and the places that a document has now; a new cell without its place comes last."""
    tokens = {change.token for change in changes if isinstance(change, Insert)}
    last = next(reversed(list(cells)), None)
    placed = [
        msgspec.structs.replace(change, after=last)
        if isinstance(change, Insert) and change.after is not None and change.after not in {*tokens, *cells}
        else change
        for change in changes
    ]
    return [
        replace_base(change, cells[change.key].code)
        if isinstance(change, ChangeText | Delete) and change.key in cells
        else change
        for change in placed
    ]


def replace_base(change: ChangeText | Delete, code: str) -> ChangeText | Delete:
    """Return a change for another text."""
    if isinstance(change, ChangeText):
        return ChangeText(change.key, base_of(code), change.code)
    return Delete(change.key, base_of(code))


def after_changes(
    document: Document,
    changes: Sequence[DocumentChange],
    added: Mapping[str, str],
    author: str,
    version_of: VersionOf,
) -> tuple[dict[str, ShownCell], list[DocumentChange]]:
    """Return the cells of a document after changes, and the changes that undo them. `added`: keys of new cells by token."""
    cells, order = dict(document.cells), list(document.cells)
    inverse: list[DocumentChange] = []

    def place(key: str, after: str | None) -> None:
        behind = None if after is None else added.get(after, after)
        order.insert(order.index(behind) + 1 if behind in order else 0, key)

    def before(key: str) -> str | None:
        at = order.index(key)
        return order[at - 1] if at else None

    for change in changes:
        match change:
            case ChangeText(key=key, code=code) if key in cells:
                inverse.append(ChangeText(key, base_of(code), cells[key].code))
                cells[key] = replace(cells[key], code=code, by=author, version=version_of(key, code))
            case Insert(token=token, after=after, type=kind, code=code) if token in added:
                key = added[token]
                if key in order:  # the front end has said so already
                    order.remove(key)
                cells[key] = ShownCell(key, kind, code, author, version_of(key, code))
                place(key, after)
                inverse.append(Delete(key, base_of(code)))
            case Delete(key=key) if key in cells:
                cell, token = cells.pop(key), f"again{len(inverse) + 1}"
                inverse = [_after_token(one, key, token) for one in inverse]  # it comes back with another key
                inverse.append(Insert(token, before(key), cell.type, cell.code))
                order.remove(key)
            case Move(key=key, after=after) if key in cells:
                inverse.append(Move(key, before(key)))
                order.remove(key)
                place(key, after)
            case _:
                pass  # the front end has said so already
    return {key: cells[key] for key in order}, inverse[::-1]


def is_told(change: DocumentChange, added: Mapping[str, str], before: Document, now: Document) -> bool:
    """Return whether a front end has told of a text by itself since `before`: the person may have typed on since."""
    match change:
        case ChangeText(key=key) if key in now.cells and key in before.cells:
            return now.cells[key].code != before.cells[key].code
        case Insert(token=token):
            return added.get(token) in now.cells
        case _:
            return False


def _after_token(change: DocumentChange, key: str, token: str) -> DocumentChange:
    if isinstance(change, Insert | Move) and change.after == key:
        return msgspec.structs.replace(change, after=token)
    return change


def with_key(change: DocumentChange, key: str, new: str) -> DocumentChange:
    """Return a change after a cell got another key."""
    if not isinstance(change, Insert) and change.key == key:
        change = msgspec.structs.replace(change, key=new)
    return _after_token(change, key, new)
