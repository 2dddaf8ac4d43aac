"""The execution of cells: the requested cell, its stale ancestors, and the stale cells that run by themselves.

Implements `CellHost` for the runtime, owns the graph, and records in the run history what each request caused. Knows
neither the messages of requests nor how a body runs (`BodyRunner`). Main thread only, except `wake` and `later`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.front_ends import Message
from marimo_kernel_bridge.kernel.notebook.anonymous_cells import AnonymousCells
from marimo_kernel_bridge.kernel.notebook.expected_failures import ExpectedFailures
from marimo_kernel_bridge.kernel.notebook.graph import NotebookGraph
from marimo_kernel_bridge.kernel.notebook.stale_cells import StaleCells
from marimo_kernel_bridge.kernel.outputs.delivery import same_outputs
from marimo_kernel_bridge.protocol.notebook import CellError
from marimo_kernel_bridge.protocol.output_log import error_text, strip_ansi, without_edited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from marimo_kernel_bridge.kernel.cells import Address, Allowance, Body, Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.messaging.requests import CellRequest
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.notebook.graph import Superseded
    from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestQueue
    from marimo_kernel_bridge.kernel.notebook.state import NotebookState
    from marimo_kernel_bridge.protocol.bounds import Exceeded
    from marimo_kernel_bridge.protocol.notebook import CellStatus, Output, RunReport
    from marimo_kernel_bridge.runtime.interface import CellHost, GraphError, Outcome, Runtime


class BodyRunner(Protocol):
    """IPython's shell, which runs the body of a cell. `parent` is None for the cell of the current request."""

    @property
    def interrupts(self) -> Interrupts: ...

    async def run_body(
        self, entry: Entry, parent: Header | None, recalled: tuple[object, ...] | None
    ) -> Outcome:
        """Run the body; `recalled` are IPython's last results for it, None: as they are."""
        ...

    def prepare(
        self, entry: Entry, code: str, *, to_run: bool = True, allowance: Allowance | None = None
    ) -> Body: ...

    def take_count(self, code: str) -> int:
        """Return the next execution count, for a cell that runs before its own request."""
        ...


class RunObserver:
    """What is told of the runs of cells. Does nothing, for those that want to know of some moments only."""

    async def cell_begins(self) -> None:
        """Act before a cell begins, when the notebook is as the cells before it have left it."""

    def body_begins(self, entry: Entry) -> None:
        """Note that the code of a cell begins to run."""

    def body_ended(self) -> None:
        """Note that the code of a cell has ended."""

    def cell_ended(self, seconds: float) -> None:
        """Note how long a cell took, when all is recorded of its run."""


class RunObservers(RunObserver):
    """Those that are told, in the order in which they were added."""

    def __init__(self) -> None:
        self._all: list[RunObserver] = []

    def add(self, observer: RunObserver) -> None:
        """Tell one more of the runs from now on."""
        self._all.append(observer)

    async def cell_begins(self) -> None:
        for observer in self._all:
            await observer.cell_begins()

    def body_begins(self, entry: Entry) -> None:
        for observer in self._all:
            observer.body_begins(entry)

    def body_ended(self) -> None:
        for observer in self._all:
            observer.body_ended()

    def cell_ended(self, seconds: float) -> None:
        for observer in self._all:
            observer.cell_ended(seconds)


class Execution:
    """Runs the cells of a notebook. Implements `runtime.interface.CellHost`."""

    def __init__(
        self,
        state: NotebookState,
        runner: BodyRunner,
        make_runtime: Callable[[CellHost], Runtime],
        *,
        queue: RequestQueue,
        wake: Callable[[], None],
        exceeded: Callable[[BaseException | None], Exceeded | None],
    ) -> None:
        """`queue` is the shell queue. `wake` asks for `run_stale_cells` soon, from any thread.

        `exceeded` returns the limit that the code which has just run has hit; its argument is the exception that ended it.
        """
        self._cells, self._router = state.cells, state.router
        self._runs, self._early = state.runs, state.early
        self._runner = runner
        self._queue = queue
        self._wake = wake
        self._exceeded = exceeded
        self.observers = RunObservers()
        self.graph = NotebookGraph(state.cells, make_runtime(self), state.published, runner.interrupts.body)
        self.stale_cells = StaleCells(state.cells, self.graph, state.router)
        self.running: tuple[str, float] | None = None  # the cell, and the start time
        self._anonymous = AnonymousCells()
        self.failures = ExpectedFailures(self.graph.runtime.ancestors)
        self._requested: str | None = None  # the cell that runs under its own execute_request
        self._later: list[Callable[[], Awaitable[None] | None]] = []  # actions deferred while a cell runs
        self._in_stale_cells = False

    # -- requests --------------------------------------------------------------------------------------------------

    def begin(self, entry: Entry, request: CellRequest) -> None:
        """Begin the run of a cell's own request."""
        cell_id = entry.cell.cell_id
        if request.notebook_cell_id is None:
            self._anonymous.add(cell_id)
        else:
            self._anonymous.forget(cell_id)
        self._router.request_begins(entry)
        self._requested = cell_id
        self._runs.open(request.address, request.author, (cell_id,), request.operation)

    def end(self, entry: Entry, execution_count: int | None) -> None:
        """Record that the code of the request has run."""
        self._cells.change(entry.cell.cell_id, execution_count=execution_count)
        self._requested = None
        self._router.request_ends(entry)
        self._runs.current.set_count(entry.cell.cell_id, execution_count)

    def close_run(self) -> RunReport:
        """End the run of a request and of everything that it caused."""
        self.graph.publish()
        for cell_id in self._runs.current.requested:
            if not self.graph.defines_names(cell_id):
                self._anonymous.defines_nothing(cell_id)
        self.forget([cell_id for cell_id in self._anonymous.evict() if not self.graph.defines_names(cell_id)])
        settled = not self.stale_cells.unsettled
        if settled:
            self.stale_cells.come_to_rest()
        return self._runs.close(tuple(sorted(self.stale_cells.due())), settled=settled)

    def forget(self, cell_ids: Iterable[str]) -> None:
        """Drop cells and the names they define, except cells with a queued request."""
        gone = [cell_id for cell_id in cell_ids if cell_id in self._cells and cell_id not in self._early]
        if not gone:
            return
        self.graph.remove(gone)
        for cell_id in gone:
            self._early.withdraw(cell_id)
            self._router.restart(self._cells[cell_id])
            self._cells.forget(cell_id)
            self._anonymous.forget(cell_id)
            self.failures.forget(cell_id)
        self.stale_cells.release(gone)
        self.graph.forget(gone)

    # -- admission and running -------------------------------------------------------------------------------------

    def admit(
        self, entry: Entry, body: Body, *, stale: bool = False, supersede: bool = True
    ) -> CellError | None:
        """Put a cell into the graph, and notify the cells that it supersedes. Return why the graph refuses it."""
        self.stale_cells.release([entry.cell.cell_id])
        admission = self.graph.admit(entry, body, stale=stale, supersede=supersede)
        self._notify_superseded(admission.superseded, entry)
        return admission.refused

    def take_or_leave(self, entry: Entry, names: tuple[str, ...]) -> None:
        """Move the names that a cell wanted to it if it succeeded; record those that it did not get."""
        superseded = self.graph.take_names(entry, names)
        if superseded is None:
            self._runs.current.not_taken += names
        else:
            self._notify_superseded(superseded, entry)

    def _notify_superseded(self, superseded: Iterable[Superseded], by: Entry) -> None:
        for loss in superseded:
            loser = self._cells[loss.cell_id]
            self._anonymous.defines_nothing(loss.cell_id)
            self._runs.current.superseded += (loss.cell_id,)
            if loser.live and loss.was_accepted:
                self._router.append_late(loser, "display_data", notices.superseded(loss.name, by.cell))

    async def run_requested(self, entry: Entry, body: Body, queued: Collection[Entry]) -> CellError | None:
        """Run the cell of the present execute_request, its stale ancestors first. Return why it did not run.

        `queued` are the cells of queued requests, admitted after it: in a conflict the earlier request wins.
        """
        body = self.graph.shared_imports.sharing(entry, body)
        names_to_take = self.graph.names_to_take(entry, body)
        refused = self.admit(entry, body, supersede=not names_to_take)
        if queued:
            self.graph.admit_stale(queued)
            self.graph.refresh_stale()
        if refused is not None:
            return refused
        cell_id = entry.cell.cell_id
        self.stale_cells.come_to_rest()
        self.stale_cells.release_below(cell_id)
        shared = {name: self.graph.runtime.values.get(name) for name in body.shared}
        await self.run({cell_id})
        if rebound := self.graph.shared_imports.rebound(entry, shared):
            self.graph.runtime.set_stale(rebound)
            self.graph.refresh_stale()
        if names_to_take:
            self.take_or_leave(entry, names_to_take)
        cell = entry.cell
        did_not_run = cell.status in {"cancelled", "interrupted"} and not self._runs.current.ran(cell_id)
        return cell.error if did_not_run else None

    async def run(self, cell_ids: Collection[str]) -> None:
        """Run cells, their stale ancestors first; not below a cell whose new code is held.

        A cell that acts outside of the notebook does not run for others if what it reads has not changed.
        """
        for cell_id, above in self.stale_cells.unrun_above(cell_ids).items():
            cell_ids = set(cell_ids) - {cell_id}
            self.show_instead(cell_id, "cancelled", notices.waits_for(self._cells[above].cell))
            self.record(cell_id, 0.0, changed=True)
        runtime = self.graph.runtime
        stale = runtime.stale()
        self.graph.mark_makers(cell_ids)
        left_out = self.graph.leave_out(cell_ids)
        self.graph.publish()
        try:
            await runtime.run(cell_ids)
        finally:
            self.running = None
            self.graph.redefinitions.acting.stand_by(runtime.stale() - stale)
            if left_out:
                runtime.set_stale(left_out | runtime.descendants(*left_out))
            self.graph.refresh_stale()

    async def run_together(self, cell_ids: set[str]) -> None:
        """Run several cells, each once: cells between two of them count as stale, and run in between."""
        if len(cell_ids) > 1:
            self.graph.runtime.set_stale(self.graph.runtime.descendants(*cell_ids))
        if cell_ids:
            await self.run(cell_ids)

    # -- stale cells -----------------------------------------------------------------------------------------------

    async def run_stale_cells(self) -> None:
        """Run the stale cells, until none is left or another request waits. In lazy mode, show which are stale."""
        while self._later:
            awaited = self._later.pop(0)()
            if awaited is not None:
                await awaited
        await self.graph.runtime.run(())  # what was set outside of a run makes its readers stale
        self.graph.refresh_stale()
        self.stale_cells.note_set(self.graph.runtime.take_set())
        outer, self._in_stale_cells = self._in_stale_cells, True
        try:
            if self.stale_cells.run_by_themselves:
                await self._run_due()
        finally:
            self._in_stale_cells = outer
        if not self._queue.any_wait():
            self.stale_cells.caught_up()
            self._redraw_ui_elements()
            self._router.mark_stale(self.stale_cells.marked, self.trigger)

    async def _run_due(self) -> None:
        done: set[str] = set()
        while (due := self.stale_cells.due()) - done and not self.should_pause():
            ready = self.graph.ready(due)
            if not ready:
                continue
            done |= ready
            due = ready
            await self.run(due)
            self.stale_cells.note_runs(due)
            if self.stale_cells.due() >= due:
                return  # no progress: a cell that stays stale must not spin

    def _redraw_ui_elements(self) -> None:
        """Redraw UI elements whose value was set, in cells that show them and did not run."""
        changed = self.graph.runtime.settle_ui_values(release=self.stale_cells.mode == "autorun")
        for cell_id, redrawn in changed.items():
            entry = self._cells.get(cell_id)
            if entry is not None:
                self._router.redraw(entry, self.trigger, redrawn)

    def later(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """Change the graph or the mode as soon as no cell runs, before dependents run. Any thread.

        The action may be a coroutine function if a run has started.
        """
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread and not self._runs.started:
            action()
            return
        self._later.append(action)
        if self._requested is None or not on_main_thread:
            self._wake()  # no request follows that would run stale cells

    # -- CellHost: what the runtime reports and asks ---------------------------------------------------------------

    async def execute(self, cell_id: str) -> Outcome:
        if not self._later:
            await self.observers.cell_begins()
        entry = self._cells[cell_id]
        self.running = cell_id, time.time()
        self._cells.change(cell_id, status="running")
        self.stale_cells.release([cell_id])
        early = cell_id in self._early
        if early:
            self._cells.change(cell_id, execution_count=self._runner.take_count(entry.cell.code))
        requested = cell_id == self._requested
        before = entry.shown_before if requested else entry.log.outputs()
        delivery = None if requested else self._router.begin(entry, self.trigger)
        started = time.monotonic()
        try:
            try:
                self.graph.redefinitions.enter(cell_id)
            except KeyboardInterrupt:  # during a copy; the body then ends at once
                self._runner.interrupts.fall_due()
            self.observers.body_begins(entry)
            outcome = await self._runner.run_body(
                entry, None if delivery is None else delivery.parent, self.graph.results.recall(entry)
            )
            entry.stopped = outcome.stopped
            exceeded = self._exceeded(outcome.error)
            if exceeded is not None:
                self._router.append(entry, "display_data", notices.exceeded(exceeded.told))
            if not outcome.stopped and self.failures.ended(cell_id, outcome.error):
                outcome = replace(outcome, expected=True)
        except BaseException as error:  # outside user code, e.g. in a stream that user code has replaced
            failure = CellError(type(error).__name__, str(error))
            self._cells.change(cell_id, status="error", error=failure)
            raise
        finally:
            self.observers.body_ended()
            duration = max(time.monotonic() - started, 1e-6)
            if self.graph.redefinitions.leave(cell_id) or self.graph.results.are_read:
                self.later(self.graph.update)
            self._notify_redefinitions(entry)
            self._router.end(entry, before)
        if outcome.error is None:
            self.graph.redefinitions.acting.succeeded(cell_id)
        after = entry.log.outputs()
        self._cells.change(
            cell_id,
            status=_status(outcome),
            error=_error_shown(outcome, after, "" if exceeded is None else exceeded.limit),
            last_run_by=self._runs.current.client,
            last_run_at=time.time(),
            duration=duration,
        )
        own = (tuple(without_edited(outputs)) for outputs in (before, after))
        self.record(cell_id, duration, changed=not same_outputs(*own))
        if early:
            self._early.ran(cell_id, entry.cell.execution_count, entry.cell.error)
        self.observers.cell_ended(duration)
        return outcome

    def _notify_redefinitions(self, entry: Entry) -> None:
        """Show once in a cell which names it redefines; not in batch clients, whose saved outputs stay Jupyter's."""
        if not entry.live:
            return
        by_cell: dict[str, list[str]] = {}
        for name, other in self.graph.redefinitions.news(entry.cell.cell_id).items():
            by_cell.setdefault(other, []).append(name)
        if by_cell:
            notice = notices.redefined([(names, self._cells[other].cell) for other, names in by_cell.items()])
            self._router.append(entry, "display_data", notice)

    def cancelled(self, cell_id: str, because: str) -> None:
        if cell_id not in self._cells or cell_id in self._early:
            return
        source = self._cells[because].cell
        if source.error is None and source.status == "ok":
            self._cells.change(cell_id, status="cancelled", error=None)
            notice, entry = notices.stopped(source), self._cells[cell_id]
            if cell_id == self._requested:
                self._router.append(entry, "display_data", notice)
            else:
                self._router.replace(entry, self.trigger, Message("display_data", notice, {}))
        else:
            self.show_instead(cell_id, "cancelled", notices.not_run(source))
        self.record(cell_id, 0.0, changed=True)

    def interrupted(self, cell_id: str) -> None:
        if cell_id in self._early:
            return
        self.stale_cells.hold([cell_id])
        self.show_instead(cell_id, "interrupted", notices.interrupted())
        self.record(cell_id, 0.0, changed=True)

    def should_pause(self) -> bool:
        # Not for values: those of a drag would stop each run before the cells at its end.
        return self._in_stale_cells and self._queue.any_wait(but_values=True)

    def graph_errors_changed(self, errors: dict[str, tuple[GraphError, ...]]) -> None:
        for cell_id, error in self.graph.note_errors(errors):
            if cell_id not in self._early and cell_id != self._requested:
                self.show_instead(cell_id, "refused", error)

    def wake(self) -> None:
        self._wake()

    # -- what cells show and the history records -------------------------------------------------------------------

    @property
    def trigger(self) -> Address:
        """The address of the request that causes the present run."""
        return self._runs.current.address

    def show_instead(self, cell_id: str, status: CellStatus, error: CellError) -> None:
        """Replace a cell's outputs by the reason why it did not run."""
        self._cells.change(cell_id, status=status, error=error)
        if cell_id == self._requested:
            return  # the shell shows it with the reply
        text = f"\x1b[31m{error.ename}\x1b[39m: {error.evalue}"
        content = {"ename": error.ename, "evalue": error.evalue, "traceback": [text]}
        self._router.replace(self._cells[cell_id], self.trigger, Message("error", content, {}))

    def record(self, cell_id: str, duration: float, *, changed: bool = False) -> None:
        """Record in the present run how an execution of a cell ended; `duration` 0.0: it did not run."""
        if self._runs.started:
            self._runs.current.note(self._cells[cell_id].cell, duration, changed=changed)


def _status(outcome: Outcome) -> CellStatus:
    if outcome.error is None or outcome.stopped:
        return "ok"
    return (
        "interrupted" if isinstance(outcome.error, (KeyboardInterrupt, asyncio.CancelledError)) else "error"
    )


def _error_shown(outcome: Outcome, outputs: tuple[Output, ...], limit: str) -> CellError | None:
    """Return the error as it was shown, or as much of it as there is. `limit` is the one that it has hit."""
    if outcome.error is None or outcome.stopped:
        return None
    for output in reversed(outputs):
        if output["output_type"] == "error":
            traceback = tuple(strip_ansi(line) for line in output["traceback"] or ())
            return CellError(output["ename"], strip_ansi(output["evalue"]), traceback, limit)
    return CellError(type(outcome.error).__name__, error_text(outcome.error), limit=limit)
