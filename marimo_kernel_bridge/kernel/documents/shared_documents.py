"""The state that open documents and agents share, and what front ends are told without having asked.

Composes the parts of this package. `front_end_requests` and `agent_requests` answer the messages. For the control thread,
except where a docstring says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.kernel.documents.comparison import DocumentComparison
from marimo_kernel_bridge.kernel.documents.journal import Journal
from marimo_kernel_bridge.kernel.documents.kernel_cells import KernelCells
from marimo_kernel_bridge.kernel.documents.newest_text import NewestText
from marimo_kernel_bridge.kernel.documents.open_documents import OpenDocuments
from marimo_kernel_bridge.kernel.documents.operations import AppliedOperations
from marimo_kernel_bridge.kernel.documents.order_queue import Limits, OrderQueue, Timers
from marimo_kernel_bridge.kernel.documents.plain_orders import PlainOrders
from marimo_kernel_bridge.kernel.documents.proposals import Proposals, note_present
from marimo_kernel_bridge.kernel.documents.text_versions import TextVersions
from marimo_kernel_bridge.protocol.document import (
    AgentAction,
    AgentInfo,
    AgentsOrder,
    Outputs,
    ShownOutputs,
    State,
    Withdraw,
)
from marimo_kernel_bridge.protocol.document_edits import CellChange

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection

    from marimo_kernel_bridge.kernel.documents.kernel_cells import KnownCells
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.proposals import Proposal
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.document import CellState, Order


_MOVED_KEPT: Final = 1_000


class ControlTimers(Timers, Protocol):
    """The event loop of the control thread."""

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call a function in the control thread; any thread."""
        ...


class File(Protocol):
    """The notebook's file."""

    open_as: str | None


class Host(Protocol):
    """The parts of the kernel that open documents use."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def file(self) -> File: ...

    @property
    def log(self) -> logging.Logger: ...


class SharedDocuments:
    """The open documents, and what agents want of them."""

    def __init__(self, host: Host, timers: ControlTimers, send: Callable[[Order], None]) -> None:
        self.notebook = host.notebook
        self.log = host.log
        self.timers = timers
        self.send = send
        self._file = host.file
        self.cells = KernelCells(host.notebook)
        self.versions = TextVersions(self.cells.by_key, host.notebook.cells.shown_versions)
        self.open = OpenDocuments(self.versions.of)
        self.proposals = Proposals()
        self.journal = Journal()
        self.applied = AppliedOperations()
        self.limits = Limits()
        self.orders = OrderQueue(self.open, self.send, self.timers, self.limits, host.log)
        self.plain_orders = PlainOrders(self.orders, self.cells, host.notebook)
        self.newest = NewestText(self.open, self.send, self.timers, self.limits)
        self.comparison = DocumentComparison(host.notebook, self.cells)
        self._told: dict[str, dict[str, CellState]] = {}  # the states that each client knows
        self._told_agents: tuple[list[tuple[str, int, int]], bool] | None = None
        self._unheard: dict[str, str] = {}  # the newest requests of cells that have moved in VS Code
        self._ran_at: dict[str, float] = {}  # when cells ran, as the journal knows it
        self._due = False
        self._watches = False  # whether a timer is set that looks for pauses
        self._followed: Document | None = None  # the document whose order the kernel's cells have
        host.notebook.settled.append(self.refresh_soon)
        host.notebook.outputs.views.add_documents(self)

    def adopt(self, key: str) -> bool:
        """Return whether a page shows late outputs of a cell. Any thread."""
        return any(
            document.adopts and not document.away and key in document.cells for document in self.open.all()
        )

    # -- what front ends and the kernel know of documents ---------------------------------------------------------

    def follow(self, changed: Document | None = None) -> None:
        """Let the kernel's cells have the order of the active document, and its file the document's name.

        `changed` is a document whose order or name is another one.
        """
        active = self.open.active()
        if active is self._followed and active is not changed:
            return
        self._followed = active
        self._file.open_as = None if active is None else active.path
        self.notebook.document.follow(None if active is None else list(active.cells))

    def forget(self, client: str) -> None:
        """Forget a client that has gone."""
        self.open.detach(client)
        self.orders.detached(client)
        self._told.pop(client, None)
        self.newest.release(client)
        self.follow()

    def rename_cell(self, document: Document, key: str, new: str) -> None:
        """Take over a new key of a cell. What comes for its earlier requests is not shown any more."""
        cell = document.cells[key]
        entry = self.notebook.cells.with_key(key)
        if entry is not None:
            self._unheard[new] = entry.address.parent["msg_id"]
            self._unheard.pop(key, None)
            while len(self._unheard) > _MOVED_KEPT:
                del self._unheard[next(iter(self._unheard))]
        self.versions.renamed(key, new, cell.code)
        self.cells.rename(key, new)
        self.proposals.rename_cell(key, new)
        self.applied.rename_cell(key, new)
        document.cells = {
            new if other == key else other: replace(shown, key=new) if other == key else shown
            for other, shown in document.cells.items()
        }

    # -- what front ends are told --------------------------------------------------------------------------------

    def agents(self) -> list[AgentInfo]:
        """Return the agents that use the kernel."""
        return [
            AgentInfo(
                agent.name,
                agent.last_heard,
                agent.runs,
                agent.refused,
                agent.told,
                [AgentAction(action.at, action.what) for action in reversed(agent.actions)],
            )
            for agent in self.notebook.agents
        ]

    def states(self, document: Document, known: KnownCells | None = None) -> dict[str, CellState]:
        """Return the states of a document's cells, which its client knows from now on."""
        states = (known or self.cells.known()).states(document)
        self._told[document.client] = states
        return dict(states)

    def refresh_soon(self) -> None:
        """Tell front ends what is new of cells and agents. Any thread."""
        if not self._due and (self.open or self.journal.is_read):
            self._due = True
            self.timers.add_callback(self._refresh)

    def _refresh(self) -> None:
        self._due = False
        try:
            self._note_runs()
            documents = self.open.all()
            clients = {document.client for document in documents}
            self._told = {client: told for client, told in self._told.items() if client in clients}
            known = self.cells.known() if documents else None
            for document in documents:
                self.tell_states(document, known)
            if documents:
                self.tell_agents()
        except Exception:
            self.log.exception("Documents could not be told what is new")

    def tell_states(self, document: Document, known: KnownCells | None = None) -> None:
        """Send a document the states of the cells that have changed."""
        told = self._told.get(document.client, {})
        news = {key: state for key, state in self.states(document, known).items() if told.get(key) != state}
        if news:
            self.send(State(to=document.client, cells=news))

    def watch_pauses(self) -> None:
        """Tell front ends of a pause that the person makes or ends elsewhere, as long as any is there."""
        if not self._watches:
            self._watches = True
            self.timers.call_later(self.limits.look, self._look_for_pause)

    def _look_for_pause(self) -> None:
        self._watches = False
        if self.open:
            self.watch_pauses()
            self.tell_agents()

    def show_outputs(self, cell_ids: Collection[str]) -> None:
        """Show the outputs that the kernel has of cells in documents that have lost theirs. Any thread."""
        self.timers.add_callback(lambda: self._show_outputs(cell_ids))

    def _show_outputs(self, cell_ids: Collection[str]) -> None:
        shown = {
            key: ShownOutputs(list(outputs), entry.cell.execution_count)
            for key, entry in self.cells.entries().items()
            if entry.cell.cell_id in cell_ids and (outputs := entry.log.outputs())
        }
        for document in self.open.all():
            if cells := {key: outputs for key, outputs in shown.items() if key in document.cells}:
                self.send(Outputs(to=document.client, cells=cells))

    def tell_agents(self) -> None:
        """Send who is attached, if that has changed."""
        agents, paused = self.agents(), self.notebook.agents.paused
        known = [(agent.name, agent.runs, agent.refused) for agent in agents], paused
        if known != self._told_agents:
            self._told_agents = known
            self.send(AgentsOrder(agents=agents, paused=paused))

    def _note_runs(self) -> None:
        """Record in the journal which cells have run, and find those whose new outputs no front end can show."""
        for entry in self.notebook.cells:
            cell = entry.cell
            if cell.last_run_at is None or self._ran_at.get(cell.cell_id) == cell.last_run_at:
                continue
            self._ran_at[cell.cell_id] = cell.last_run_at
            key = cell.notebook_cell_id or cell.cell_id
            if key in self._unheard and self._unheard.pop(key) == entry.address.parent["msg_id"]:
                self._show_again(key)
            self.journal.add(CellChange(0, cell.last_run_at, cell.last_run_by or "", "ran", key))
        if len(self._ran_at) > 2 * len(self.notebook.cells) + 100:
            self._ran_at = {
                cell_id: at for cell_id, at in self._ran_at.items() if cell_id in self.notebook.cells
            }

    def _show_again(self, key: str) -> None:
        """Have a moved cell of VS Code run again: it does not get the outputs of the request before."""
        for document in self.open.all():
            if key in document.cells and not document.away:
                self.plain_orders.run_again(document, key)
                return

    # -- proposals -----------------------------------------------------------------------------------------------

    def propose(self, proposal: Proposal) -> str | None:
        """Keep a proposal and show it. Return the front end that shows it, None if none does now."""
        for dropped in self.proposals.add(proposal):
            self.proposals.withdraw(dropped)
            self.withdraw(dropped)
        if proposal.kept:
            for document in self._views(proposal):
                note_present(proposal, document)
        return self.show(proposal) if proposal.open else None

    def offer_no_more(self, document: Document) -> None:
        """Take from the kept proposals what a document has by now."""
        for proposal in self.proposals:
            decided = len(proposal.decisions)
            if proposal.kept and proposal.open:
                note_present(proposal, document)
            if len(proposal.decisions) > decided:
                (self.show if proposal.open else self.withdraw)(proposal)

    def show(self, proposal: Proposal, besides: str | None = None) -> str | None:
        """Show an open proposal in the views of its document; not in that of the client `besides`."""
        shown_in = None
        for document in self._views(proposal):
            if document.client != besides:
                self.send(proposal.order(document))
            if not document.away:
                shown_in = shown_in or document.front_end
        return shown_in

    def shown_in(self, proposal: Proposal) -> str | None:
        """Return the front end that shows a proposal."""
        return next((document.front_end for document in self._views(proposal) if not document.away), None)

    def _views(self, proposal: Proposal) -> list[Document]:
        return [
            document
            for document in self.open.all()
            if proposal.document in {None, document.path} and "propose" in document.can
        ]

    def withdraw(self, proposal: Proposal) -> None:
        """Remove a proposal from all documents, and tell who waits for it."""
        self.send(Withdraw(op_id=proposal.op_id))
        waiting, proposal.waiting = proposal.waiting, []
        for act in waiting:
            act()
