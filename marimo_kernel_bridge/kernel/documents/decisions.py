"""The decisions of people on proposals, as front ends tell of them. For the control thread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.document import Insert
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.documents.document_changes import DocumentChanges
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.proposals import Proposal
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.document import Decided


class Decisions:
    """Takes decisions over."""

    def __init__(self, documents: SharedDocuments, changes: DocumentChanges) -> None:
        self._documents = documents
        self._changes = changes
        self._agents = documents.notebook.agents
        self._runs = documents.notebook.runs

    def decided(self, document: Document, request: Decided) -> None:
        """Take over a person's decision. Raises `BridgeError`: no_such_edit, bad_request."""
        documents = self._documents
        proposal = documents.proposals.get(request.op_id)
        if request.change in proposal.decisions:
            self._decided_before(document, request, proposal)
            return
        documents.proposals.decide(request)
        decision = proposal.decisions.get(request.change)
        if decision is not None and decision.decision == "accepted" and decision.code is not None:
            self._accepted(document, request, proposal, decision.code, decision.cell)
        if proposal.open:  # a page that counts otherwise has missed a decision
            as_told = request.rest == len(proposal.changes) - len(proposal.decisions)
            documents.show(proposal, besides=document.client if as_told else None)
        else:
            documents.withdraw(proposal)

    def _accepted(
        self, document: Document, request: Decided, proposal: Proposal, code: str, key: str | None
    ) -> None:
        """Note whose the accepted text is: the person's, if they have edited it first."""
        proposed = getattr(proposal.changes[request.change], "code", code)
        author = proposal.author if code == proposed else NOTEBOOK
        self._agents.wrote(key, code, author)
        if author == NOTEBOOK and key is not None:
            documents = self._documents
            documents.notebook.document.note_author(key, code, NOTEBOOK)
            documents.journal.edited_before_accepting(key, proposed, code, proposal.author)
            shown = document.cells.get(key)
            if shown is not None and shown.code == code:
                documents.open.put(document, {**document.cells, key: replace(shown, by=NOTEBOOK)})
        if request.runs:
            self._runs.expect(proposal.op_id, proposal.author, len(request.runs))
            if any(run.msg_id is None for run in request.runs):
                self._agents.ordered(key, code, proposal.author, proposal.op_id)

    def _decided_before(self, document: Document, request: Decided, proposal: Proposal) -> None:
        """Remove a cell that two views of a shared document have made, because both were faster than the other's decision."""
        change, decision = proposal.changes[request.change], proposal.decisions[request.change]
        views = [document, *self._documents.open.views_of(document)]
        if (
            isinstance(change, Insert)
            and document.shared_id is not None
            and request.key not in {None, decision.cell}
            and any(decision.cell in view.cells for view in views)
        ):
            made = (request.key or "", change.code if request.code is None else request.code)
            self._changes.take_back(document, [made], run=bool(request.runs))
