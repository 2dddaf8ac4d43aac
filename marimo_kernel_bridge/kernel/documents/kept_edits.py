"""Changes that agents make in the kernel's own cells because no document is there: kept, to be offered when one attaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel.documents.batches import after_changes, batch_for
from marimo_kernel_bridge.kernel.documents.open_documents import differences
from marimo_kernel_bridge.kernel.documents.operations import new_id
from marimo_kernel_bridge.kernel.documents.proposals import Proposal
from marimo_kernel_bridge.protocol.changes import AddCell
from marimo_kernel_bridge.protocol.document import ChangeText, Delete, Insert, Move
from marimo_kernel_bridge.protocol.document_edits import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document import DocumentChange


_MOST_TOGETHER: Final = 100
"""Changes that are offered together."""


@dataclass(frozen=True)
class CoveredEdit:
    """A batch for the kernel's cells as changes of a document, made before it was applied. `before` is what they were."""

    author: str
    changes: tuple[DocumentChange, ...]
    before: Document


class KeptEdits:
    """Records what agents change in the kernel's own cells."""

    def __init__(self, documents: SharedDocuments) -> None:
        self._documents = documents

    def about_to_apply(self, changes: Sequence[Change], author: str) -> CoveredEdit:
        """Return a batch that fits the kernel's cells as changes of a document. On the main thread."""
        before = self._documents.cells.as_document()
        batch = batch_for(before, changes, self._documents.cells.own_key, lambda *_: True)
        return CoveredEdit(author, batch.changes, before)

    def applied(self, edit: CoveredEdit, added: Sequence[str]) -> None:
        """Keep a batch that was applied; `added` are the ids of its new code cells. On the main thread."""
        ids = iter(added)
        names = {
            change.token: next(ids, change.token) if change.type == "code" else f"text-{new_id()}"
            for change in edit.changes
            if isinstance(change, Insert)
        }
        changes = [_renamed(change, names) for change in edit.changes]
        self._documents.timers.add_callback(lambda: self._keep(edit, changes, names))

    def _keep(self, edit: CoveredEdit, changes: list[DocumentChange], names: dict[str, str]) -> None:
        """Keep changes, in place of older ones of the same cells. On the control thread."""
        documents = self._documents
        cells, _ = after_changes(
            edit.before, changes, {name: name for name in names.values()}, edit.author, lambda *_: 0
        )
        documents.journal.note(differences(edit.before.cells, cells), by=edit.author)
        kept = [one for one in documents.proposals if one.kept and one.open]
        changed: list[Proposal] = []
        news: list[DocumentChange] = []
        for change in changes:
            older = _take_over(kept, change)
            if older is None:
                news.append(change)
            elif older not in changed:
                changed.append(older)
        unseen = next(
            (one for one in kept if one.author == edit.author and not one.decisions and not documents.open),
            None,
        )
        if unseen is not None and unseen.open and len(unseen.changes) + len(news) <= _MOST_TOGETHER:
            unseen.changes += news
            documents.propose(unseen)  # which bounds the texts that are kept
        elif news:
            documents.propose(Proposal(new_id(), edit.author, news, kept=True))
        for older in changed:
            (documents.show if older.open else documents.withdraw)(older)


def _renamed(change: DocumentChange, names: dict[str, str]) -> DocumentChange:
    if isinstance(change, Insert):
        after = names.get(change.after or "", change.after)
        return Insert(names[change.token], after, change.type, change.code)
    if isinstance(change, Move):
        return Move(change.key, names.get(change.after or "", change.after))
    return change


def _take_over(kept: list[Proposal], change: DocumentChange) -> Proposal | None:
    """Let an older kept change become this one. Return its proposal; None if there is none, so that the change is new."""
    if not isinstance(change, ChangeText | Delete):
        return None
    for proposal in kept:
        for number, older in enumerate(proposal.changes):
            if number in proposal.decisions:
                continue
            if isinstance(older, Insert) and older.token == change.key:
                if isinstance(change, Delete):
                    proposal.decisions[number] = Decision(number, "gone")
                else:
                    proposal.changes[number] = Insert(older.token, older.after, older.type, change.code)
                return proposal
            if isinstance(older, ChangeText) and older.key == change.key:
                proposal.changes[number] = change
                return proposal
    return None


def of_the_kernel(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that the kernel's own cells can have: it has no text cells."""
    return [change for change in changes if not (isinstance(change, AddCell) and change.type != "code")]
