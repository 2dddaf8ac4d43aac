"""Changes of documents: the orders for them, what follows from the front end's answer, and proposals instead of them.

`agent_requests` and `undoing` say what is wanted; nothing here parses messages. For the control thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.documents.batches import after_changes, is_told
from marimo_kernel_bridge.kernel.documents.operations import (
    NO_ANSWER,
    AppliedOperation,
    failing,
    new_id,
    runs_of,
)
from marimo_kernel_bridge.kernel.documents.order_queue import Operation
from marimo_kernel_bridge.kernel.documents.proposals import Proposal
from marimo_kernel_bridge.protocol.document import (
    Apply,
    ChangeText,
    Delete,
    Insert,
    Move,
    base_of,
)
from marimo_kernel_bridge.protocol.document_edits import DocumentEdit, EditConflict
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.changes import ExpectedRun, GraphProblem
    from marimo_kernel_bridge.protocol.document import DocumentChange, Done

READ_ONLY = "The document that is open cannot be changed: it is read-only."


@dataclass(frozen=True)
class Wanted:
    """A change of a document that somebody wants. `on_conflict`: what happens if a text is another by then.

    `undoes` is the operation that it is the inverse of.
    """

    author: str
    changes: tuple[DocumentChange, ...]
    run: bool = True
    note: str = ""
    on_conflict: str = "refuse"
    would_run: tuple[ExpectedRun, ...] = ()
    problems: tuple[GraphProblem, ...] = ()
    undoes: str | None = None


class DocumentChanges:
    """Carries out changes of documents."""

    def __init__(self, documents: SharedDocuments) -> None:
        self._documents = documents
        self._agents = documents.notebook.agents
        self._runs = documents.notebook.runs

    def apply(
        self,
        document: Document,
        wanted: Wanted,
        answer: Callable[[DocumentEdit], None],
        op_id: str | None = None,
    ) -> None:
        """Have a front end apply a change; `answer` gets the result when there is one. `op_id`: that of an order given before."""
        op_id = op_id or new_id()
        sent: dict[str, Document] = {}  # what the document of each client was when it was given the order

        def order(view: Document, op_id: str) -> Apply:
            sent[view.client] = replace(view, cells=dict(view.cells))
            self._expect(op_id, wanted)
            return Apply(
                to=view.client,
                op_id=op_id,
                author=wanted.author,
                changes=list(wanted.changes),
                run=wanted.run,
            )

        def answered(done: Done | None, view: Document | None) -> None:
            if done is None or view is None:
                answer(DocumentEdit("kept", op_id, would_run=wanted.would_run, message=NO_ANSWER))
                return
            if done.result == "applied":
                answer(self._applied(op_id, wanted, done, view, sent.get(view.client, view)))
                return
            self._forget_texts(wanted)
            if done.result == "conflict":
                conflicts = tuple(EditConflict(one.key, one.code) for one in done.conflicts)
                self._note_texts(view, done)
                answer(self.conflict(view, wanted, conflicts))
            else:
                answer(DocumentEdit("refused", op_id, view.front_end, message=done.message or "Refused."))

        def late(done: Done, view: Document, before: Document | None) -> None:
            if before is None:  # the agent was told that the change is kept
                self._applied(op_id, wanted, done, view, sent.get(view.client, view))
                self._documents.offer_no_more(view)
            elif view.client != before.client and view.shared_id is not None:
                made = [
                    (done.added[change.token], change.code)
                    for change in wanted.changes
                    if isinstance(change, Insert) and change.token in done.added
                ]
                self.take_back(view, made, run=wanted.run)

        self._documents.orders.submit(
            Operation(
                op_id,
                document,
                "apply",
                order,
                answered,
                failing(answer),
                wanted.author,
                wanted.changes,
                late,
            )
        )

    def conflict(
        self, document: Document, wanted: Wanted, conflicts: tuple[EditConflict, ...]
    ) -> DocumentEdit:
        """Propose a change that met another text, or refuse it."""
        order = tuple(document.cells)
        gone = any(conflict.code is None for conflict in conflicts)
        if wanted.on_conflict == "refuse" or gone:
            message = "A cell of the change is gone." if gone else "The person has changed a cell meanwhile."
            return DocumentEdit(
                "refused", None, document.front_end, conflicts=conflicts, message=message, order=order
            )
        proposed = self.propose(document if document.client else None, wanted, conflict=True)
        return replace(proposed, conflicts=conflicts, order=order)

    def propose(self, document: Document | None, wanted: Wanted, *, conflict: bool = False) -> DocumentEdit:
        """Propose a change to the person."""
        path = None if document is None else document.path
        proposal = Proposal(
            new_id(), wanted.author, list(wanted.changes), wanted.note, path, conflict=conflict
        )
        shown_in = self._documents.propose(proposal)
        return DocumentEdit(
            "proposed", proposal.op_id, shown_in, problems=wanted.problems, would_run=wanted.would_run
        )

    # -- what follows from an answer -------------------------------------------------------------------------------

    def _applied(
        self, op_id: str, wanted: Wanted, done: Done, view: Document, before: Document
    ) -> DocumentEdit:
        documents, changes = self._documents, wanted.changes
        version_of = documents.versions.of
        _, inverse = after_changes(before, changes, done.added, wanted.author, version_of)
        untold = [change for change in changes if not is_told(change, done.added, before, view)]
        cells, _ = after_changes(view, untold, done.added, wanted.author, version_of)
        documents.journal.note(documents.open.put(view, cells), by=wanted.author)
        documents.applied.remove(wanted.undoes)
        documents.applied.add(
            AppliedOperation(
                op_id, view.client, view.path, view.shared_id, wanted.author, tuple(inverse), wanted.run
            )
        )
        deleted = [change.key for change in changes if isinstance(change, Delete)]
        moves = any(isinstance(change, Move) for change in changes)
        if deleted or moves or done.added:
            documents.follow(view)
        if deleted or moves:
            documents.notebook.document.follow_agent(list(view.cells), deleted, run=wanted.run)
        documents.tell_states(view)
        for change in changes:
            if isinstance(change, Insert) and change.token in done.added:
                self._agents.placed(done.added[change.token], change.code)
        added = [done.added.get(change.token, "") for change in changes if isinstance(change, Insert)]
        return DocumentEdit(
            "applied",
            op_id,
            view.front_end,
            tuple(key for key in added if key),
            runs_of(self._runs, wanted.author, done),
            problems=wanted.problems,
            would_run=wanted.would_run,
        )

    def take_back(self, view: Document, made: Sequence[tuple[str, str]], *, run: bool) -> None:
        """Remove new cells, with their texts, that a second view of a shared document has made for one change."""
        if made:
            twice = tuple(Delete(key, base_of(code)) for key, code in made)
            self.apply(view, Wanted(NOTEBOOK, twice, run=run), lambda _: None)

    def _expect(self, op_id: str, wanted: Wanted) -> None:
        """Let the kernel know whose the texts are before they run."""
        for change in wanted.changes:
            if isinstance(change, ChangeText | Insert):
                key = change.key if isinstance(change, ChangeText) else None
                self._agents.wrote(key, change.code, wanted.author)
                if wanted.run:
                    self._agents.ordered(key, change.code, wanted.author, op_id)

    def _forget_texts(self, wanted: Wanted) -> None:
        for change in wanted.changes:
            if isinstance(change, ChangeText | Insert):
                self._agents.forget_text(change.key if isinstance(change, ChangeText) else None, change.code)

    def _note_texts(self, view: Document, done: Done) -> None:
        """Take over the texts that a front end has reported as conflicts."""
        cells = dict(view.cells)
        for conflict in done.conflicts:
            if conflict.code is not None and conflict.key in cells:
                version = self._documents.versions.of(conflict.key, conflict.code)
                cells[conflict.key] = replace(
                    cells[conflict.key], code=conflict.code, by=NOTEBOOK, version=version
                )
        self._documents.journal.note(self._documents.open.put(view, cells))
