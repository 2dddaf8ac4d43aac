"""The requests of front ends about their documents: exactly one reply to each. For the control thread."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, assert_never

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import document as wire
from marimo_kernel_bridge.protocol.messages import encode_error
from marimo_kernel_bridge.protocol.names import agent_name
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.documents.decisions import Decisions
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.kernel.documents.undoing import Undoing


class FrontEndRequests:
    """Answers front ends, and takes over what they say of their documents."""

    def __init__(self, documents: SharedDocuments, undoing: Undoing, decisions: Decisions) -> None:
        self._documents = documents
        self._undoing = undoing
        self._decisions = decisions

    def reply_to(self, content: object) -> dict[str, Any]:
        """Parse the content of a request, and return that of the reply."""
        try:
            try:
                return wire.encode_reply(self._answer(wire.decode_front_end_request(content)))
            except BridgeError as refusal:
                error = refusal
        except Exception:
            self._documents.log.exception("A front end's document request failed")
            error = BridgeError(
                "bad_request", "The kernel failed to answer; its log says why.", "This is a bug."
            )
        return {**encode_error(error), "protocol": wire.DOCUMENT_PROTOCOL}

    def _answer(self, request: wire.FrontEndRequest) -> wire.Reply:  # noqa: C901, PLR0911  # one for each
        documents = self._documents
        if isinstance(request, wire.Attach):
            return self._attach(request)
        document = documents.open.get(request.client)
        if document is not None:
            documents.open.heard(document)
        if isinstance(request, wire.Done):  # also from one that was forgotten meanwhile
            documents.orders.answered(request)
            return wire.Noted(attach=document is None, over=documents.orders.is_over(request.op_id))
        if document is None:
            return wire.Noted(attach=not isinstance(request, wire.Detach))
        match request:
            case wire.Changed():
                return self._changed(document, request)
            case wire.Decided():
                self._decisions.decided(document, request)
            case wire.Undo(op_id=op_id):
                self._undoing.undo_for_person(op_id)
            case wire.Pause(paused=paused):
                documents.notebook.agents.paused = paused
                documents.tell_agents()
                return wire.Noted(paused=documents.notebook.agents.paused)
            case wire.Compare():
                found = documents.comparison.of(document)
                return wire.Compared(
                    list(found.changed),
                    list(found.never_run),
                    list(found.stale),
                    list(found.failed),
                    list(found.kernel_only),
                    list(found.to_run),
                )
            case wire.Detach():
                documents.forget(document.client)
            case _:
                assert_never(request)
        return wire.Noted()

    def _attach(self, request: wire.Attach) -> wire.Attached:
        documents, notebook = self._documents, self._documents.notebook
        document, found = documents.open.attach(request)
        documents.log.info("%s %s has attached %s", document.front_end, request.version, document.path)
        documents.journal.note(found)
        self._note_authors(request.cells)
        documents.follow(document)
        documents.orders.attached(document)
        documents.newest.release(document.client)
        documents.watch_pauses()
        document.took_over = document.adopts
        return wire.Attached(
            documents.agents(),
            notebook.agents.paused,
            notebook.mode,
            documents.cells.parents(document) if document.adopts else {},
            documents.proposals.open_for(document),
            documents.states(document),
            getattr(sys.modules.get("marimo"), "__version__", ""),
        )

    def _changed(self, document: Document, request: wire.Changed) -> wire.Noted:
        documents = self._documents
        path = document.path
        for cell in request.cells:
            if cell.was is not None and cell.was != cell.key and cell.was in document.cells:
                documents.rename_cell(document, cell.was, cell.key)
        found = documents.open.change(document, request)
        if found is None:
            return wire.Noted(attach=True)
        documents.journal.note(documents.orders.attributed(document, found))
        self._note_authors(request.cells)
        if document.path != path:
            documents.proposals.renamed(path, document.path)
            documents.applied.renamed(path, document.path)
        documents.follow(document if request.order is not None or document.path != path else None)
        documents.newest.release(document.client)
        if found:
            documents.tell_states(document)
        # One that shows late outputs from now on must know the requests that they come for.
        return wire.Noted(attach=document.adopts and not document.took_over)

    def _note_authors(self, cells: list[wire.DocumentCell]) -> None:
        for cell in cells:
            if cell.by is not None and cell.by != NOTEBOOK and cell.type == "code":
                self._documents.notebook.agents.wrote(cell.key, cell.code, agent_name(cell.by))
