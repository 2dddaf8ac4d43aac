"""What is done with requests that wait behind the present one, before their turn.

JupyterLab sends all requests of a Run All at once. Looking at them lets each cell run exactly once whatever the order
of the cells in the document: a cell that comes later but is needed now runs now, and its own request is answered when
its turn comes. After a reload of the page, requests for what is still fresh are answered without running at all.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

from marimo_kernel_bridge.kernel.messaging.waiting import Queue
from marimo_kernel_bridge.kernel.notebook.document_order import AS_FAST_AS_CODE, seconds_between, sent_at_once

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable, Entry
    from marimo_kernel_bridge.kernel.messaging.waiting import Answer, Waiting
    from marimo_kernel_bridge.protocol.notebook import CellError
    from marimo_kernel_bridge.runtime.interface import Runtime


class Arrivals(Protocol):
    """The requests of JupyterLab that were received and not yet handled, oldest first."""

    def now(self) -> list[Waiting]: ...

    async def soon(self) -> list[Waiting]:
        """Wait a little, until no more arrive."""
        ...

    def sent_apart(self, seconds: float) -> None:
        """Note how far apart two requests were sent by code, as those of a Run All are."""
        ...


class Notebook(Protocol):
    """What is needed of the session."""

    cells: CellTable

    @property
    def runtime(self) -> Runtime: ...

    def is_stale(self, cell_id: str) -> bool: ...

    def expect(self, request: Waiting) -> Entry:
        """Make ready the cell of a request whose turn comes later."""
        ...


class LookAhead:
    """See the module. `arrivals` is None where there is no queue to look at."""

    def __init__(self, notebook: Notebook) -> None:
        self.arrivals: Arrivals | None = None
        self._notebook = notebook
        self._queue = Queue()
        self._clock = itertools.count(1)
        self._asked: dict[str, int] = {}  # cell id -> when its newest request came, as a number
        self._asked_by: dict[str, str] = {}  # cell id -> message id of that request
        self._asked_before: dict[str, int] = {}  # and the one before that
        self._burst: dict[str, None] = {}  # cells of the newest requests, sent too fast for a person
        self._waited = False  # for more of them, because others already waited
        self._newest: Address | None = None
        self._in_order: set[str] = set()  # requests whose cells have been put into their order, by message id
        self._order: object = None  # of the cells since then

    def __contains__(self, cell_id: str) -> bool:
        """Tell whether a cell's own request waits."""
        return cell_id in self._queue

    def asked(self, cell_id: str, address: Address) -> None:
        """Note that there is a request for a cell; once for each request."""
        if self._asked_by.get(cell_id) == address.parent["msg_id"]:
            return
        self._asked_by[cell_id] = address.parent["msg_id"]
        if cell_id in self._asked:
            self._asked_before[cell_id] = self._asked[cell_id]
        self._asked[cell_id] = next(self._clock)
        before, self._newest = self._newest, address
        same_page = before is not None and before.session == address.session
        apart = seconds_between(before.parent, address.parent) if before is not None and same_page else None
        if apart is None or apart >= AS_FAST_AS_CODE:
            self._begin_burst()
        elif self.arrivals is not None and address.dialect == "lab":
            self.arrivals.sent_apart(apart)
        if cell_id in self._burst:
            self._begin_burst()
        self._burst[cell_id] = None

    def _begin_burst(self) -> None:
        self._burst.clear()
        self._waited = False

    def turn_of(self, address: Address, cell_id: str) -> None:
        """Forget a request whose turn has come, to run or to be aborted."""
        self._queue.take_turn(address.parent["msg_id"], cell_id)

    def ran(self, cell_id: str, execution_count: int | None, error: CellError | None) -> None:
        """Note that a cell ran before its turn."""
        self._queue.ran(cell_id, execution_count, error)

    def withdraw(self, cell_id: str) -> None:
        """Let a cell's waiting request run as if it had not been looked at."""
        self._queue.withdraw(cell_id)

    def forget(self, cell_id: str) -> None:
        """Drop what is known of a cell."""
        self.withdraw(cell_id)
        for known in (self._asked, self._asked_before, self._asked_by):
            known.pop(cell_id, None)

    async def look(self, entry: Entry, body: Body) -> list[Entry]:
        """Learn of the cells whose requests wait, so that those which `entry` needs can run first.

        Returns the cells to put into the graph, after `entry`: in a conflict the earlier request wins.
        """
        if entry.address.dialect != "lab" or self.arrivals is None:
            return []
        needy = self._needs_later_cells(entry, body)
        upcoming = await self.arrivals.soon() if needy else self.arrivals.now()
        cells = self._notebook.cells
        ahead: list[Entry] = []
        changed: list[str] = []
        for request in self._queue.new(upcoming):
            known = cells.by_front_end(request.notebook_cell_id, request.address)
            if known is entry or self._replayed(known, request):
                continue
            if known is not None and known.cell.code != request.code:
                changed.append(known.cell.cell_id)
            other = self._notebook.expect(request)
            self._queue.add(other.cell.cell_id, request)
            ahead.append(other)
        self._arrange(entry, upcoming)
        # Their values stay until they run: an error may abort their requests.
        self._notebook.runtime.set_aside(changed)
        return ahead

    def _arrange(self, entry: Entry, upcoming: list[Waiting]) -> None:
        """Learn the order of the document from a Run All."""
        if not upcoming:
            self._arrange_what_came_apart(entry.address.session)
            return
        cells, own = self._notebook.cells, entry.address.parent["msg_id"]
        if cells.order is self._order and {own, upcoming[-1].msg_id} <= self._in_order:
            return  # they come in order, so there is none that was not in it
        known = [cells.by_front_end(request.notebook_cell_id, request.address) for request in upcoming]
        order = [entry.cell.cell_id, *(other.cell.cell_id for other in known if other is not None)]
        headers = [entry.address.parent, *(request.address.parent for request in upcoming)]
        if len(set(order)) == len(order) > 1 and sent_at_once(headers):
            cells.arrange(order)
            self._in_order = {own, *(request.msg_id for request in upcoming)}
            self._order = cells.order

    def _arrange_what_came_apart(self, session: str) -> None:
        """Learn the order from a Run All of which nothing waits: each request was answered before the next one came."""
        if all(
            other.cell.cell_id in self._burst
            for other in self._notebook.cells
            if other.address.session == session and other.cell.notebook_cell_id and not other.deleted
        ):
            self._notebook.cells.arrange(self._burst)

    def _needs_later_cells(self, entry: Entry, body: Body) -> bool:
        """Tell whether a cell cannot run, ran before what it needs the last time, or may now: worth a short wait."""
        runtime, cell_id = self._notebook.runtime, entry.cell.cell_id
        names = runtime.parse(cell_id, body.code)
        if names is None:
            return False
        if runtime.unresolved(names):
            return True
        asked = self._asked[cell_id]
        before = self._asked_before.get(cell_id, asked)
        definers = {definer for name in names.uses for definer in runtime.definers(name)} - {cell_id}
        if any(before < self._asked.get(definer, 0) < asked for definer in definers):
            return True
        # What it uses may be among the requests that are on their way, and about to change.
        if self._waited or not definers - self._burst.keys() or not (self.arrivals and self.arrivals.now()):
            return False
        self._waited = True
        return True

    async def answer(self, request: Waiting) -> Answer | None:
        """Return how to answer a request without running its cell, None if it must run.

        After a reload of the page, Run All shows again what is fresh; a single cell that is run, runs.
        """
        answer = self._queue.take_turn(request.msg_id)
        if answer is not None:
            cell = self._notebook.cells[answer.cell_id].cell
            became_stale = answer.replay and self._notebook.is_stale(answer.cell_id)
            return None if became_stale or cell.code != request.code else answer
        if self.arrivals is None:
            return None
        by_front_end = self._notebook.cells.by_front_end
        known = by_front_end(request.notebook_cell_id, request.address)
        if not self._is_fresh(known, request):
            return None
        upcoming = self.arrivals.now() or await self.arrivals.soon()
        others = [other for other in upcoming if other.notebook_cell_id != request.notebook_cell_id]
        if not others or not self._replayed(known, request):
            return None
        for other in others:  # decided now, while the last of them still has others beside it
            self._replayed(by_front_end(other.notebook_cell_id, other.address), other)
        return self._queue.take_turn(request.msg_id)

    def _replayed(self, known: Entry | None, request: Waiting) -> bool:
        """Decide for a request whether it need not run; then it is answered with what its cell showed."""
        if known is None or not self._is_fresh(known, request):
            return False
        self._queue.replay(known.cell.cell_id, request, known.cell.execution_count)
        return True

    def _is_fresh(self, known: Entry | None, request: Waiting) -> bool:
        """Tell whether a request of another page would show again what its cell showed."""
        return not (
            known is None
            or known.address.session == request.address.session
            or known.cell.code != request.code
            or known.cell.status != "ok"
            or known.deleted
            or self._notebook.is_stale(known.cell.cell_id)
        )
