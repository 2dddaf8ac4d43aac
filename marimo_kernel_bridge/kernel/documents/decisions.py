"""The decisions of people on proposals, as front ends tell of them. For the control thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.protocol.document import Decided


class Decisions:
    """Takes decisions over."""

    def __init__(self, documents: SharedDocuments) -> None:
        self._documents = documents
        self._agents = documents.notebook.agents
        self._runs = documents.notebook.runs

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
