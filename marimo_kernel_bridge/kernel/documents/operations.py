"""The newest operations that documents have applied: their authors, and the changes that undo them. Values only."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import with_key

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.document import DocumentChange

_KEPT: Final = 100
_MOST_TEXT: Final = 5_000_000  # characters in one that can be undone


@dataclass(frozen=True)
class AppliedOperation:
    """An operation that a client's document has applied. `inverse` are the changes that undo it."""

    op_id: str
    client: str
    author: str
    inverse: tuple[DocumentChange, ...]
    run: bool


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

    def remove(self, op_id: str) -> None:
        """Forget an operation, because it is being undone."""
        self._operations.pop(op_id, None)

    def get(self, op_id: str) -> AppliedOperation:
        """Return an operation. Raises `BridgeError`: no_such_edit."""
        operation = self._operations.get(op_id)
        if operation is None:
            raise BridgeError(
                "no_such_edit",
                f"The kernel knows no applied change {op_id!r}.",
                f"It keeps the newest {_KEPT} that are not undone; a restart forgets all.",
            )
        return operation
