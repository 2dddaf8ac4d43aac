"""Lookahead over queued execute_requests, before their turn.

JupyterLab sends all requests of a Run All at once. Reading them ahead lets each cell run exactly once, in any order of
the cells in the document: a later cell that is needed runs now, and its own request is answered when its turn comes.
After a reload of the page, requests for cells whose outputs are fresh are answered without a run.

Decides; runs no cell itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.notebook.request_bursts import sent_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.cells import Body, Entry
    from marimo_kernel_bridge.kernel.messaging.requests import LabRequest
    from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswer
    from marimo_kernel_bridge.kernel.notebook.graph import NotebookGraph
    from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestQueue
    from marimo_kernel_bridge.kernel.notebook.requested_cells import RequestedCells
    from marimo_kernel_bridge.kernel.notebook.state import NotebookState


class Lookahead:
    """Finds the queued requests whose cells the current one needs, and those that need no run."""

    def __init__(
        self,
        state: NotebookState,
        graph: NotebookGraph,
        requested: RequestedCells,
        queue: RequestQueue,
        prepare: Callable[[Entry, str], Body],
    ) -> None:
        self._cells, self._early, self._router = state.cells, state.early, state.router
        self._graph = graph
        self._requested = requested
        self._bursts = requested.bursts
        self._queue = queue
        self._prepare = prepare
        self._arranged: set[str] = set()  # requests whose cells have been put into their order, by message id
        self._order: object = None  # of the cells since then

    async def look(self, entry: Entry, body: Body) -> list[Entry]:
        """Read the queued requests, so that the cells which `entry` needs can run first.

        Returns the cells to put into the graph, after `entry`: in a conflict the earlier request wins.
        """
        if entry.address.dialect != "lab":
            return []
        needy = self._needs_later_cells(entry, body)
        queued = await self._queue.soon() if needy else self._queue.now()
        entries: list[Entry] = []
        changed: list[str] = []
        for request in self._early.unseen(queued):
            cell = self._cells.by_front_end(request.notebook_cell_id, request.address)
            if cell is entry or self._replayed(cell, request):
                continue
            if cell is not None and cell.cell.code != request.code:
                changed.append(cell.cell.cell_id)
            other = self._expect(request)
            self._early.add(other.cell.cell_id, request)
            entries.append(other)
        self._arrange(entry, queued)
        # Their values stay until they run: an error may abort their requests.
        self._graph.runtime.set_aside(changed)
        return entries

    def _expect(self, request: LabRequest) -> Entry:
        """Prepare the cell of a request whose turn comes later."""
        entry = self._requested.entry_for(request)
        entry.body = self._prepare(entry, request.code)
        self._router.restart(entry)  # the page cleared it when it sent the request
        self._cells.change(entry.cell.cell_id, status="queued", error=None)
        return entry

    def _arrange(self, entry: Entry, queued: list[LabRequest]) -> None:
        """Take the order of the document from a Run All, unless the open document has said it."""
        if self._requested.follows_document:
            return
        if not queued:
            self._arrange_newest_burst(entry.address.session)
            return
        own_id = entry.address.parent["msg_id"]
        if self._cells.order is self._order and {own_id, queued[-1].msg_id} <= self._arranged:
            return  # they come in order, so there is none that was not in it
        others = [self._cells.by_front_end(request.notebook_cell_id, request.address) for request in queued]
        order = [entry.cell.cell_id, *(other.cell.cell_id for other in others if other is not None)]
        headers = [entry.address.parent, *(request.address.parent for request in queued)]
        if len(set(order)) == len(order) > 1 and sent_at_once(headers):
            self._cells.arrange(order)
            self._arranged = {own_id, *(request.msg_id for request in queued)}
            self._order = self._cells.order

    def _arrange_newest_burst(self, session: str) -> None:
        """Take the order from a Run All of which nothing waits: each request was answered before the next one came."""
        if all(
            other.cell.cell_id in self._bursts.cell_ids
            for other in self._cells
            if other.address.session == session and other.cell.notebook_cell_id and not other.deleted
        ):
            self._cells.arrange(self._bursts.cell_ids)

    def _needs_later_cells(self, entry: Entry, body: Body) -> bool:
        """Return whether a cell cannot run, ran before what it needs the last time, or may now: worth a short wait."""
        runtime, cell_id = self._graph.runtime, entry.cell.cell_id
        names = runtime.parse(cell_id, body.code)
        if names is None:
            return False
        if runtime.unresolved(names):
            return True
        definers = {definer for name in names.uses for definer in runtime.definers(name)} - {cell_id}
        before = entry.requested_before or entry.requested_at
        if any(before < self._requested_at(definer) < entry.requested_at for definer in definers):
            return True
        # What it uses may be among the requests that are on their way, and about to change.
        if self._bursts.waited or not definers - self._bursts.cell_ids.keys() or not self._queue.now():
            return False
        self._bursts.waited = True
        return True

    def _requested_at(self, cell_id: str) -> int:
        entry = self._cells.get(cell_id)
        return 0 if entry is None else entry.requested_at

    async def answer(self, request: LabRequest) -> EarlyAnswer | None:
        """Return how to answer a request without running its cell, None if it must run.

        After a reload of the page, Run All shows again what is fresh; a single cell that is run, runs.
        """
        answer = self._early.dequeue(request.msg_id)
        if answer is not None:
            became_stale = answer.replay and answer.cell_id in self._graph.stale
            same_code = self._cells[answer.cell_id].cell.code == request.code
            return answer if same_code and not became_stale else None
        entry = self._cells.by_front_end(request.notebook_cell_id, request.address)
        if not self._is_fresh(entry, request):
            return None
        queued = self._queue.now() or await self._queue.soon()
        others = [other for other in queued if other.notebook_cell_id != request.notebook_cell_id]
        if not others or not self._replayed(entry, request):
            return None
        for other in others:  # decided now, while the last of them still has others beside it
            self._replayed(self._cells.by_front_end(other.notebook_cell_id, other.address), other)
        return self._early.dequeue(request.msg_id)

    def _replayed(self, entry: Entry | None, request: LabRequest) -> bool:
        """Decide whether a request need not run; then it is answered with what its cell showed."""
        if entry is None or not self._is_fresh(entry, request):
            return False
        self._early.replay(entry.cell.cell_id, request, entry.cell.execution_count)
        return True

    def _is_fresh(self, entry: Entry | None, request: LabRequest) -> bool:
        """Return whether a request of another page would show again what its cell showed."""
        return not (
            entry is None
            or entry.address.session == request.address.session
            or entry.cell.code != request.code
            or entry.cell.status != "ok"
            or entry.deleted
            or entry.cell.cell_id in self._graph.stale
        )
