"""Changes of documents: the orders for them, what follows from the front end's answer, and decisions on proposals.

`agent_requests` and `front_end_requests` say what is wanted; nothing here parses messages. For the control thread.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import after_changes, is_told
from marimo_kernel_bridge.kernel.documents.operations import AppliedOperation
from marimo_kernel_bridge.kernel.documents.order_queue import Operation
from marimo_kernel_bridge.kernel.documents.proposals import Proposal
from marimo_kernel_bridge.protocol.document import (
    Apply,
    ChangeText,
    Delete,
    Insert,
    Move,
    Rename,
    Run,
    Save,
    base_of,
)
from marimo_kernel_bridge.protocol.document_edits import DocumentEdit, EditConflict
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.changes import ExpectedRun, GraphProblem
    from marimo_kernel_bridge.protocol.document import Decided, DocumentChange, Done

READ_ONLY = "The document that is open cannot be changed: it is read-only."
_NO_ANSWER = "The document is open, but its front end does not answer."


@dataclass(frozen=True)
class Wanted:
    """A change of a document that somebody wants. `on_conflict`: what happens if a text is another by then."""

    author: str
    changes: tuple[DocumentChange, ...]
    run: bool = True
    note: str = ""
    on_conflict: str = "refuse"
    would_run: tuple[ExpectedRun, ...] = ()
    problems: tuple[GraphProblem, ...] = ()


class DocumentChanges:
    """Carries out changes of documents."""

    def __init__(self, documents: SharedDocuments) -> None:
        self._documents = documents
        self._agents = documents.notebook.agents
        self._runs = documents.notebook.runs

    # -- changes that are applied ----------------------------------------------------------------------------------

    def apply(self, document: Document, wanted: Wanted, answer: Callable[[DocumentEdit], None]) -> None:
        """Have a front end apply a change; `answer` gets the result when there is one."""
        op_id = new_id()
        sent: dict[str, Document] = {}  # what the document of each client was when it was given the order

        def order(view: Document) -> Apply:
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
                answer(DocumentEdit("kept", op_id, would_run=wanted.would_run, message=_NO_ANSWER))
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
                self._take_back(wanted, done, view)

        self._documents.orders.submit(
            Operation(
                op_id,
                document,
                "apply",
                order,
                answered,
                _failing(answer),
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

    def undo(self, op_id: str, author: str, answer: Callable[[DocumentEdit], None]) -> None:
        """Undo an applied operation, if no text has changed since. Raises `BridgeError`: no_such_edit, no_document."""
        operation = self._documents.applied.get(op_id)
        document = self._documents.open.get(operation.client) or self._documents.open.active()
        if document is None:
            raise BridgeError("no_document", "The document of this change is not open any more.")
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
        wanted = Wanted(author, operation.inverse, operation.run)
        if conflicts:
            answer(self.conflict(document, wanted, conflicts))
            return

        def undone(edit: DocumentEdit) -> None:
            if edit.outcome == "refused":
                self._documents.applied.add(operation)
            answer(edit)

        self.apply(document, wanted, undone)
        self._documents.applied.remove(op_id)  # to undo a deletion twice would make the cell twice

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

    # -- other orders --------------------------------------------------------------------------------------------

    def run(
        self, document: Document, keys: Sequence[str], author: str, answer: Callable[[DocumentEdit], None]
    ) -> None:
        """Have a front end run cells as they are."""
        op_id = new_id()

        def order(view: Document) -> Run:
            for key in keys:
                cell = view.cells.get(key)
                if cell is not None:
                    self._agents.wrote(key, cell.code, self._author_of(view, key))
                    self._agents.ordered(key, cell.code, author, op_id)
            return Run(to=view.client, op_id=op_id, author=author, keys=list(keys))

        self._documents.orders.submit(
            Operation(op_id, document, "run", order, self._simple(op_id, author, answer), _failing(answer))
        )

    def run_again(self, document: Document, key: str) -> None:
        """Have a front end run a cell, because it cannot show the outputs of its last run."""
        if "run" in document.can:
            self.run(document, [key], NOTEBOOK, lambda _: None)

    def save(
        self, document: Document, name: str | None, author: str, answer: Callable[[DocumentEdit], None]
    ) -> None:
        """Have a front end save or rename its notebook."""
        op_id, ability = new_id(), "save" if name is None else "rename"

        def order(view: Document) -> Save | Rename:
            if name is None:
                return Save(to=view.client, op_id=op_id)
            return Rename(to=view.client, op_id=op_id, name=name)

        self._documents.orders.submit(
            Operation(op_id, document, ability, order, self._simple(op_id, author, answer), _failing(answer))
        )

    def _simple(
        self, op_id: str, author: str, answer: Callable[[DocumentEdit], None]
    ) -> Callable[[Done | None, Document | None], None]:
        """Return what takes the answer to an order that changes no text."""

        def answered(done: Done | None, view: Document | None) -> None:
            if done is None or view is None:
                answer(DocumentEdit("refused", None, message=_NO_ANSWER))
            elif done.result == "applied":
                answer(
                    DocumentEdit("applied", op_id, view.front_end, runs=self._runs_of(op_id, author, done))
                )
            else:
                answer(DocumentEdit("refused", None, view.front_end, message=done.message or "Refused."))

        return answered

    # -- proposals -----------------------------------------------------------------------------------------------

    def decided(self, document: Document, request: Decided) -> None:
        """Take over a person's decision. Raises `BridgeError`: no_such_edit, bad_request."""
        documents = self._documents
        proposal = documents.proposals.decide(request)
        decision = proposal.decisions.get(request.change)
        if decision is not None and decision.decision == "accepted" and decision.code is not None:
            self._agents.wrote(decision.cell, decision.code, proposal.author)
            if request.runs:
                self._runs.expect(proposal.op_id, proposal.author, len(request.runs))
                if any(run.msg_id is None for run in request.runs):
                    self._agents.ordered(decision.cell, decision.code, proposal.author, proposal.op_id)
        if proposal.open:
            documents.show(proposal, besides=document.client)
        else:
            documents.withdraw(proposal)

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
        documents.applied.add(AppliedOperation(op_id, view.client, wanted.author, tuple(inverse), wanted.run))
        deleted = [change.key for change in changes if isinstance(change, Delete)]
        moves = any(isinstance(change, Move) for change in changes)
        if deleted or moves or done.added:
            documents.follow(view)
        if deleted or moves:
            documents.notebook.follow_agent(list(view.cells), deleted, run=wanted.run)
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
            self._runs_of(op_id, wanted.author, done),
            problems=wanted.problems,
            would_run=wanted.would_run,
        )

    def _take_back(self, wanted: Wanted, done: Done, view: Document) -> None:
        """Remove the new cells that a second view of a shared document has made for one order."""
        twice = tuple(
            Delete(done.added[change.token], base_of(change.code))
            for change in wanted.changes
            if isinstance(change, Insert) and change.token in done.added
        )
        if twice:
            self.apply(view, Wanted(NOTEBOOK, twice, run=wanted.run), lambda _: None)

    def _runs_of(self, op_id: str, author: str, done: Done) -> tuple[str, ...]:
        """Return the ids by which the runs of an order can be read."""
        if done.runs:
            self._runs.expect(op_id, author, len(done.runs))
        ids = [run.msg_id for run in done.runs if run.msg_id is not None]
        return tuple(ids) if len(ids) == len(done.runs) else (op_id,)

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

    def _author_of(self, view: Document, key: str) -> str:
        """Return who wrote a cell's text: a page does not know that after it was loaded again."""
        cell, ran = view.cells[key], self._documents.cells.by_key(key)
        return ran.edited_by if ran is not None and ran.code == cell.code else cell.by


def _failing(answer: Callable[[DocumentEdit], None]) -> Callable[[], None]:
    """Return what answers where an answer of a front end cannot be taken over."""
    message = "The kernel failed to take over the front end's answer; its log says why. This is a bug."
    return lambda: answer(DocumentEdit("refused", None, message=message))


def new_id() -> str:
    """Return the id of a new operation."""
    return uuid.uuid4().hex[:12]
