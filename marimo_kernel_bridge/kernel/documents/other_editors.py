"""Changes that a person makes in another editor of the notebook, carried to the document that is open. For the control thread."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import batch_for
from marimo_kernel_bridge.kernel.documents.document_changes import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.documents.document_changes import DocumentChanges
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.changes import Change


class OtherEditors:
    """Carries a person's changes to the document in which they were last. A pause of agents is no matter of theirs."""

    def __init__(self, documents: SharedDocuments, changes: DocumentChanges) -> None:
        self._documents = documents
        self._changes = changes

    def carry(self, changes: Sequence[Change], author: str, answer: Callable[[bool], None]) -> None:
        """Apply changes in the open document, whose front end runs the cells. `answer` gets whether it did, once."""
        try:
            self._documents.orders.when_free(partial(self._carry, changes, author, answer))
        except BridgeError:  # too many wait
            answer(False)  # noqa: FBT003  # the only argument

    def _carry(self, changes: Sequence[Change], author: str, answer: Callable[[bool], None]) -> None:
        documents = self._documents
        document = documents.open.active()
        batch = None
        if document is not None and "apply" in document.can:
            with suppress(BridgeError):  # of a cell that is the kernel's only
                key_of = partial(documents.cells.key_of, document)
                batch = batch_for(document, changes, key_of, documents.versions.fits)
        if document is None or batch is None or batch.gone or batch.conflicts:
            answer(False)  # noqa: FBT003  # the only argument
        else:
            wanted = Wanted(author, batch.changes)
            self._changes.apply(document, wanted, lambda edit: answer(edit.outcome == "applied"))
