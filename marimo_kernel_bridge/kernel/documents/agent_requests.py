"""The requests of agents about open documents: each is answered once, many only when a front end has answered.

For the control thread, except where a docstring says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, assert_never

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import batch_for
from marimo_kernel_bridge.kernel.documents.document_changes import READ_ONLY, Wanted
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.document_edits import (
    LONGEST_WAIT,
    DocumentContent,
    DocumentEdit,
    NotebookCell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.documents.document_changes import DocumentChanges
    from marimo_kernel_bridge.kernel.documents.open_documents import Document, ShownCell
    from marimo_kernel_bridge.kernel.documents.plain_orders import PlainOrders
    from marimo_kernel_bridge.kernel.documents.proposals import Proposal
    from marimo_kernel_bridge.kernel.documents.shared_documents import SharedDocuments
    from marimo_kernel_bridge.kernel.documents.undoing import Undoing
    from marimo_kernel_bridge.protocol.notebook import Cell

Answer: TypeAlias = "Callable[[wire.Result | BridgeError], None]"
"""Takes the result of a request, or why it is refused; once."""

_LONGEST_FILE_NAME: Final = 255
_READS: Final = (wire.ReadDocument, wire.ReadProposal, wire.CompareDocument, wire.ReadChanges)


class AgentRequests:
    """Answers agents."""

    def __init__(
        self, documents: SharedDocuments, changes: DocumentChanges, orders: PlainOrders, undoing: Undoing
    ) -> None:
        self._documents = documents
        self._changes = changes
        self._orders = orders
        self._undoing = undoing

    def handle(self, request: wire.DocumentRequest, answer: Answer) -> None:
        """Answer a request, now or later."""
        once = _Once(answer)
        try:
            act = partial(self._guarded, partial(self._handle, request, once), once)
            if _is_read(request):
                act()
            else:
                self._documents.orders.when_free(act)
        except BridgeError as refusal:
            once(refusal)

    def _guarded(self, act: Callable[[], None], once: _Once) -> None:
        """Act, and answer with what went wrong."""
        try:
            act()
        except BridgeError as refusal:
            once(refusal)
        except Exception:
            self._documents.log.exception("An agent's document request failed")
            once(
                BridgeError("bad_request", "The kernel failed to answer; its log says why.", "This is a bug.")
            )

    def _handle(self, request: wire.DocumentRequest, answer: _Once) -> None:  # noqa: C901  # one for each
        documents = self._documents
        if not _is_read(request) and not isinstance(request, wire.WithdrawProposal):
            documents.notebook.agents.require_not_paused()
        match request:
            case wire.ReadDocument(document=client):
                self._with_newest(client, answer, lambda document: answer(self._content(document)))
            case wire.EditDocument():
                self._edit(request, answer)
            case wire.ReadProposal(op_id=op_id, wait=wait):
                self._read_proposal(op_id, wait, answer)
            case wire.WithdrawProposal(op_id=op_id):
                proposal = documents.proposals.get(op_id)
                documents.proposals.withdraw(proposal)
                documents.withdraw(proposal)
                answer(self._result(proposal))
            case wire.CompareDocument():
                self._compare(answer)
            case wire.SyncDocument(client=author):
                self._with_newest(
                    None, answer, lambda document: self._sync(_required(document), author, answer)
                )
            case wire.ReadChanges(after=after, client=reader):
                self._with_newest(None, answer, lambda _: answer(documents.journal.since(after, reader)))
            case wire.UndoEdit(op_id=op_id, client=author):
                self._undoing.undo(op_id, author, answer)
            case wire.SaveDocument(name=name, client=author):
                self._save(name, author, answer)
            case _:
                assert_never(request)

    def _with_newest(self, client: str | None, answer: _Once, act: Callable[[Document | None], None]) -> None:
        """Act on the active document, or a client's, once it has sent its newest text."""
        document = self._documents.open.active(client)
        if document is None:
            act(None)
            return
        current = document.client
        guarded = partial(self._guarded, lambda: act(self._documents.open.get(current)), answer)
        self._documents.newest.then(document, guarded)

    # -- reading -------------------------------------------------------------------------------------------------

    def _content(self, document: Document | None) -> DocumentContent:
        documents = self._documents
        infos = tuple(one.info for one in documents.open.all())
        if document is None or document.away:
            return DocumentContent(None, infos, (), (), documents.journal.number)
        cells = documents.cells.snapshot()
        ran = {cell.notebook_cell_id: cell for cell in cells if cell.notebook_cell_id is not None}
        return DocumentContent(
            document.info,
            infos,
            tuple(self._cell(cell, ran.get(key)) for key, cell in document.cells.items()),
            tuple(cell.cell_id for cell in cells if cell.notebook_cell_id not in document.cells),
            documents.journal.number,
        )

    def _cell(self, shown: ShownCell, cell: Cell | None) -> NotebookCell:
        same = cell is not None and cell.code == shown.code
        return NotebookCell(
            shown.key,
            None if cell is None else cell.cell_id,
            shown.type,
            shown.code,
            self._documents.versions.of(shown.key, shown.code),
            cell.edited_by if cell is not None and same else shown.by,
            None
            if shown.type != "code"
            else "never"
            if cell is None or cell.last_run_at is None
            else "as_shown"
            if same
            else "changed",
            "new" if cell is None else cell.status,
            cell is not None and cell.stale,
        )

    def _compare(self, answer: _Once) -> None:
        comparison = self._documents.comparison
        self._with_newest(None, answer, lambda document: answer(comparison.of(_required(document))))

    # -- changing ------------------------------------------------------------------------------------------------

    def _edit(self, request: wire.EditDocument, answer: Answer) -> None:
        documents = self._documents
        document = documents.open.active(request.document)
        if document is None and not request.propose:
            answer(DocumentEdit("kept", None, message="No document is open."))
            return
        if document is not None and "apply" not in document.can:
            answer(DocumentEdit("refused", None, document.front_end, message=READ_ONLY))
            return
        plan = document if document is not None else documents.cells.as_document()
        fits = documents.versions.fits if document is not None else documents.cells.has_version
        batch = batch_for(plan, request.changes, partial(documents.cells.key_of, plan), fits)
        wanted = Wanted(request.client, batch.changes, request.run, request.note, request.on_conflict)
        if batch.gone:
            answer(self._changes.conflict(plan, wanted, (*batch.gone, *batch.conflicts)))
            return
        problems, would_run = documents.cells.plan(plan, batch.changes)
        wanted = replace(wanted, problems=problems, would_run=would_run)
        if any(problem.kind != "undefined_name" for problem in problems):
            answer(DocumentEdit("refused", None, plan.front_end, problems=problems, would_run=would_run))
        elif batch.conflicts and (request.on_conflict == "refuse" or not request.dry_run):
            answer(self._changes.conflict(plan, wanted, batch.conflicts))
        elif request.dry_run:
            outcome: Literal["proposed", "applied"] = (
                "proposed" if request.propose or batch.conflicts else "applied"
            )
            answer(DocumentEdit(outcome, None, plan.front_end, (), (), batch.conflicts, problems, would_run))
        elif request.propose or document is None:
            answer(self._changes.propose(document, wanted))
        else:
            self._changes.apply(document, wanted, answer)

    def _sync(self, document: Document, author: str, answer: Answer) -> None:
        self._documents.notebook.agents.require_not_paused()  # also since the document was asked for its text
        found = self._documents.comparison.of(document)
        if "run" not in document.can:
            message = "The front end cannot run cells of this document; ask the person."
            answer(DocumentEdit("refused", None, document.front_end, message=message))
            return
        if not found.to_run:
            answer(DocumentEdit("applied", None, document.front_end, message="Everything is in step."))
            return
        finish = partial(_with_would_run, found.would_run, answer)
        self._orders.run(document, found.to_run, author, finish)

    def _save(self, name: str | None, author: str, answer: Answer) -> None:
        if name is not None and (
            not name.strip() or len(name) > _LONGEST_FILE_NAME or "/" in name or "\\" in name
        ):
            raise BridgeError("bad_request", "The name is that of a file, without a folder.")
        document = _required(self._documents.open.active())
        ability = "save" if name is None else "rename"
        if ability not in document.can:
            message = f"The front end cannot {ability} this document; ask the person."
            answer(DocumentEdit("refused", None, document.front_end, message=message))
            return
        self._orders.save(document, name, author, answer)

    # -- proposals -----------------------------------------------------------------------------------------------

    def _read_proposal(self, op_id: str, wait: float, answer: Answer) -> None:
        proposal = self._documents.proposals.get(op_id)
        if not (proposal.open and wait > 0):  # nor if it is no number
            answer(self._result(proposal))
            return

        def act() -> None:
            answer(self._result(proposal))

        def give_up() -> None:
            if act in proposal.waiting:
                proposal.waiting.remove(act)
                act()

        proposal.waiting.append(act)
        self._documents.timers.call_later(min(wait, LONGEST_WAIT), give_up)

    def _result(self, proposal: Proposal) -> Any:
        return proposal.result(self._documents.shown_in(proposal))


def _is_read(request: wire.DocumentRequest) -> bool:
    """Return whether a request changes nothing, so that it need not wait for its turn."""
    return isinstance(request, _READS) or (isinstance(request, wire.EditDocument) and request.dry_run)


@dataclass
class _Once:
    """Passes the first answer on."""

    answer: Answer
    given: bool = False

    def __call__(self, result: wire.Result | BridgeError) -> None:
        if not self.given:
            self.answer(result)
            self.given = True  # one that cannot be sent is followed by another


def _required(document: Document | None) -> Document:
    if document is None or document.away:
        raise BridgeError(
            "no_document",
            "No front end has attached its document to this kernel.",
            "The person opens the notebook in JupyterLab or VS Code with the extension.",
        )
    return document


def _with_would_run(would_run: Any, answer: Answer, edit: DocumentEdit) -> None:
    answer(replace(edit, would_run=would_run))
