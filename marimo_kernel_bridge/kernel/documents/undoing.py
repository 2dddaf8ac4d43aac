"""The undoing of operations that documents have applied, for agents and for people. For the control thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.document_changes import READ_ONLY, Wanted
from marimo_kernel_bridge.kernel.documents.operations import new_id
from marimo_kernel_bridge.protocol.document import Insert, Move, base_of
from marimo_kernel_bridge.protocol.document_edits import DocumentEdit, EditConflict
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.documents.document_changes import DocumentChanges
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments


class Undoing:
    """Undoes operations."""

    def __init__(self, documents: SharedDocuments, changes: DocumentChanges) -> None:
        self._documents = documents
        self._changes = changes

    def undo(self, op_id: str, author: str, answer: Callable[[DocumentEdit], None]) -> None:
        """Undo an applied operation, if no text has changed since. Raises `BridgeError`: no_such_edit, no_document."""
        applied = self._documents.applied
        operation = applied.get(op_id)
        document = self._documents.open.get(operation.client) or self._documents.open.showing(
            operation.path, operation.shared_id
        )
        if document is None:
            raise BridgeError("no_document", f"{operation.path or 'The notebook'} is not open any more.")
        if "apply" not in document.can:
            answer(DocumentEdit("refused", None, document.front_end, message=READ_ONLY))
            return
        conflicts = tuple(
            EditConflict(
                change.key, None if change.key not in document.cells else document.cells[change.key].code
            )
            for change in operation.inverse
            if not isinstance(change, Insert)
            and (
                change.key not in document.cells
                or (not isinstance(change, Move) and base_of(document.cells[change.key].code) != change.base)
            )
        )
        wanted = Wanted(author, operation.inverse, operation.run, undoes=op_id)
        if conflicts:
            answer(self._changes.conflict(document, wanted, conflicts))
            return

        def undone(edit: DocumentEdit) -> None:
            # What nobody has answered may be asked for again: by the same order, which no page applies twice.
            applied.note_undo(op_id, edit.op_id if edit.outcome == "kept" else None, undoing=False)
            answer(edit)

        order = operation.undo or new_id()
        applied.note_undo(op_id, order, undoing=True)  # to undo a deletion twice would make the cell twice
        try:
            self._changes.apply(document, wanted, undone, order)
        except BridgeError:
            applied.note_undo(op_id, operation.undo, undoing=False)
            raise

    def undo_for_person(self, op_id: str) -> None:
        """Undo an operation because the person wants it. Raises `BridgeError`: no_such_edit, document_changed."""
        refused: list[DocumentEdit] = []
        self.undo(op_id, NOTEBOOK, refused.append)
        if refused and refused[0].conflicts:
            raise BridgeError(
                "document_changed",
                "A cell has changed since; nothing was undone.",
                "Change it by hand, or undo step by step in the editor.",
            )
