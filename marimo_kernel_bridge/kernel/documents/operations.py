"""Operations on documents: their ids and runs, and the newest applied ones with the changes that undo them."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import with_key
from marimo_kernel_bridge.protocol.document_edits import DocumentEdit

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.notebook.run_history import RunHistory
    from marimo_kernel_bridge.protocol.document import DocumentChange, Done

NO_ANSWER: Final = "The document is open, but its front end does not answer."

_KEPT: Final = 100
_MOST_TEXT: Final = 5_000_000  # characters in one that can be undone


@dataclass(frozen=True)
class AppliedOperation:
    """An operation that a client's document has applied, of the notebook with `path`. `inverse` are the changes that undo it.

    `undo` is the id of the order for that, once there is one; `undoing`: a front end is to answer it.
    """

    op_id: str
    client: str
    path: str
    shared_id: str | None
    author: str
    inverse: tuple[DocumentChange, ...]
    run: bool
    undo: str | None = None
    undoing: bool = False


class AppliedOperations:
    """The newest applied operations by id."""

    def __init__(self) -> None:
        self._operations: OrderedDict[str, AppliedOperation] = OrderedDict()

    def add(self, operation: AppliedOperation) -> None:
        """Keep an operation, and forget the oldest."""
        if sum(len(getattr(change, "code", "")) for change in operation.inverse) > _MOST_TEXT:
            return
        self._operations[operation.op_id] = operation
        while len(self._operations) > _KEPT:
            self._operations.popitem(last=False)

    def rename_cell(self, key: str, new: str) -> None:
        """Note that a cell has another key."""
        for op_id, operation in self._operations.items():
            inverse = tuple(with_key(change, key, new) for change in operation.inverse)
            self._operations[op_id] = replace(operation, inverse=inverse)

    def renamed(self, before: str, after: str) -> None:
        """Note that a notebook has another path."""
        for op_id, operation in self._operations.items():
            if operation.path == before:
                self._operations[op_id] = replace(operation, path=after)

    def remove(self, op_id: str | None) -> None:
        """Forget an operation, because it is undone."""
        self._operations.pop(op_id or "", None)

    def note_undo(self, op_id: str, undo: str | None, *, undoing: bool) -> None:
        """Note the order that undoes an operation, and whether it is under way. One that nobody has answered keeps its id."""
        if op_id in self._operations:
            self._operations[op_id] = replace(self._operations[op_id], undo=undo, undoing=undoing)

    def get(self, op_id: str) -> AppliedOperation:
        """Return an operation that is not being undone. Raises `BridgeError`: no_such_edit."""
        operation = self._operations.get(op_id)
        if operation is None or operation.undoing:
            raise BridgeError(
                "no_such_edit",
                f"The kernel knows no applied change {op_id!r}.",
                f"It keeps the newest {_KEPT} that are not undone; a restart forgets all.",
            )
        return operation


def failing(answer: Callable[[DocumentEdit], None]) -> Callable[[], None]:
    """Return what answers where an answer of a front end cannot be taken over."""
    message = "The kernel failed to take over the front end's answer; its log says why. This is a bug."
    return lambda: answer(DocumentEdit("refused", None, message=message))


def new_id() -> str:
    """Return the id of a new operation."""
    return uuid.uuid4().hex[:12]


def runs_of(history: RunHistory, author: str, done: Done) -> tuple[str, ...]:
    """Return the ids by which the runs of an order can be read."""
    if done.runs:
        history.expect(done.op_id, author, len(done.runs))
    ids = [run.msg_id for run in done.runs if run.msg_id is not None]
    return tuple(ids) if len(ids) == len(done.runs) else (done.op_id,)
