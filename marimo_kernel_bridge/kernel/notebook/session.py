"""The state of record of one kernel's notebook, and the requests of its front ends.

Composes the notebook's parts: cells and outputs at once, graph and execution when the runtime is loaded. Knows Jupyter's
messages only as `front_ends.Message`; `zmq_kernel` owns sockets, threads and timers. For the main thread, except where
a docstring says "any thread".
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.kernel.cells import Body, CellTable
from marimo_kernel_bridge.kernel.notebook.agents import Agents
from marimo_kernel_bridge.kernel.notebook.document_order import DocumentOrder
from marimo_kernel_bridge.kernel.notebook.state import NotebookState
from marimo_kernel_bridge.kernel.notebook.view import NotebookView
from marimo_kernel_bridge.kernel.outputs.router import OutputRouter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marimo_kernel_bridge.kernel.cells import Address, Entry
    from marimo_kernel_bridge.kernel.front_ends import Message
    from marimo_kernel_bridge.kernel.messaging.requests import CellRequest, LabRequest
    from marimo_kernel_bridge.kernel.notebook.agent_edits import AgentEdits
    from marimo_kernel_bridge.kernel.notebook.commands import NotebookCommands
    from marimo_kernel_bridge.kernel.notebook.document import Settings
    from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswer
    from marimo_kernel_bridge.kernel.notebook.execution import BodyRunner, Execution
    from marimo_kernel_bridge.kernel.notebook.lookahead import Lookahead
    from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestQueue
    from marimo_kernel_bridge.kernel.notebook.requested_cells import RequestedCells
    from marimo_kernel_bridge.kernel.notebook.run_history import RunHistory
    from marimo_kernel_bridge.protocol.bounds import Exceeded
    from marimo_kernel_bridge.protocol.notebook import CellError
    from marimo_kernel_bridge.runtime.interface import CellHost, Runtime


@dataclass(frozen=True)
class _Loaded:
    """The parts that need the runtime."""

    execution: Execution
    requested: RequestedCells
    lookahead: Lookahead
    commands: NotebookCommands
    runner: BodyRunner


class NotebookSession:
    """The notebook of one kernel: its cells, their state and outputs, and the history of runs."""

    def __init__(
        self,
        send: Callable[[Message], None],
        wake: Callable[[], None],
        queue: RequestQueue,
        *,
        output_limit: int = 0,
        pause_names: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`send` puts a message on iopub; `wake` asks for `run_stale_cells` soon, from any thread.

        `queue` is the shell queue. `output_limit`: characters that one run of a cell may show; 0: any number.
        `pause_names`: see `Agents`.
        """
        self.cells = CellTable()
        self.agents = Agents(pause_names)
        self._state = NotebookState(
            self.cells, OutputRouter(self.cells, send, queue.any_wait, limit=output_limit)
        )
        self.outputs = self._state.router
        self.runs: RunHistory = self._state.runs
        self.view = NotebookView(self.cells, self._state.published)
        self._queue = queue
        self._wake = wake
        self._loaded: _Loaded | None = None
        self.document = DocumentOrder(self.cells, queue)
        self.settled: list[Callable[[], None]] = []
        """Called when a request and what it caused is over."""
        self.path_at_start: tuple[str, ...] = ()
        """`sys.path` before any cell ran."""

    def load(
        self,
        make_runtime: Callable[[CellHost], Runtime],
        runner: BodyRunner,
        exceeded: Callable[[BaseException | None], Exceeded | None],
    ) -> None:
        """Create the runtime and the parts that need it, once.

        `runner` runs the bodies of cells; `exceeded` returns the limit that one has hit, by the exception that ended it.
        """
        self.path_at_start = tuple(sys.path)
        # Imported here, so that the first kernel_info_reply is not delayed.
        from marimo_kernel_bridge.kernel.notebook.commands import NotebookCommands  # noqa: PLC0415
        from marimo_kernel_bridge.kernel.notebook.execution import Execution  # noqa: PLC0415
        from marimo_kernel_bridge.kernel.notebook.lookahead import Lookahead  # noqa: PLC0415
        from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestBursts  # noqa: PLC0415
        from marimo_kernel_bridge.kernel.notebook.requested_cells import RequestedCells  # noqa: PLC0415

        execution = Execution(
            self._state,
            runner,
            make_runtime,
            queue=self._queue,
            wake=self._wake,
            exceeded=exceeded,
        )
        requested = RequestedCells(self.cells, RequestBursts(self._queue), self.agents.author_of)
        lookahead = Lookahead(self._state, execution.graph, requested, self._queue, runner.prepare)
        commands = NotebookCommands(self.cells, execution, runner.prepare)
        self.document.load(execution, requested)
        self._loaded = _Loaded(execution, requested, lookahead, commands, runner)

    @property
    def loaded(self) -> bool:
        """Whether there is a runtime yet; any thread."""
        return self._loaded is not None

    @property
    def runtime(self) -> Runtime:
        """Marimo's runtime."""
        return self._parts.execution.graph.runtime

    @property
    def _parts(self) -> _Loaded:
        assert self._loaded is not None, "load() comes first"
        return self._loaded

    # -- requests of a front end -----------------------------------------------------------------------------------

    async def answer_early(self, request: LabRequest) -> EarlyAnswer | None:
        """Return how to answer a request without running its cell, None if it must run."""
        return await self._parts.lookahead.answer(request)

    def answered(self, answer: EarlyAnswer, request: LabRequest) -> None:
        """Close a request whose cell ran before its turn, or whose outputs are shown again."""
        entry = self.cells[answer.cell_id]
        self.runs.open(request.address, request.author, (answer.cell_id,), request.operation)
        if answer.replay:
            self.cells.move_to(answer.cell_id, request.address)
            self.outputs.replay(entry)
        else:
            self._parts.execution.record(answer.cell_id, entry.cell.duration or 0.0, changed=True)

    def begin(self, request: CellRequest) -> Entry:
        """Begin the request of a cell; return the cell."""
        self.document.arrange()
        request = self.agents.attributed(request)
        entry = self._parts.requested.entry_for(request)
        self._state.early.dequeue(request.msg_id, entry.cell.cell_id)
        self._parts.execution.begin(entry, request)
        return entry

    async def run_requested(self, entry: Entry, body: Body) -> CellError | None:
        """Run the cell of the present execute_request, its stale ancestors first. Return why it did not run."""
        queued = await self._parts.lookahead.look(entry, body)
        return await self._parts.execution.run_requested(entry, body, queued)

    def refuse(self, entry: Entry, code: str) -> None:
        """Register code that is not Python, so that dependents do not use the names of the previous code."""
        self._parts.execution.admit(entry, Body(code, (), "", "none"))

    def end(self, entry: Entry, execution_count: int | None) -> None:
        """Note that the code of an execute_request has run."""
        self._parts.execution.end(entry, execution_count)

    def aborted(self, request: CellRequest) -> None:
        """Record an aborted request for a cell, which gets the later output of the cell nevertheless."""
        notebook_cell_id, address = request.notebook_cell_id, request.address
        if request.operation is not None:
            self.runs.expect(request.operation, request.author, -1)
        entry = None if notebook_cell_id is None else self.cells.by_front_end(notebook_cell_id, address)
        if entry is None:
            return
        cell_id = entry.cell.cell_id
        self.cells.move_to(cell_id, address)
        waited = cell_id in self._state.early
        self._state.early.dequeue(request.msg_id, cell_id)
        if waited:
            self._parts.execution.stale_cells.hold([cell_id])
            self.cells.change(cell_id, status="new")

    def delete(self, notebook_cell_ids: Iterable[str], address: Address) -> None:
        """Drop the names of cells that a front end reports as deleted. A deleted cell returns when it runs again."""
        gone: list[str] = []
        for notebook_cell_id in notebook_cell_ids:
            entry = self.cells.by_front_end(notebook_cell_id, address)
            if entry is not None and not entry.deleted:
                entry.deleted = True
                gone.append(entry.cell.cell_id)
        if gone:
            self._parts.execution.graph.remove(gone)
            self._parts.execution.graph.update()

    # -- after a request -------------------------------------------------------------------------------------------

    async def run_stale_cells(self) -> None:
        """Run the stale cells that are due, until none is left or another request waits."""
        await self._parts.execution.run_stale_cells()

    def close_request(self) -> bool:
        """Send held outputs to VS Code if it is quiet, and end the run. Return whether anything is left to do."""
        self.outputs.release_held()
        report = self._parts.execution.close_run()
        self.agents.charge(report.client, report.run_id, sum(run.duration for run in report.cells))
        for listener in self.settled:
            listener()
        return self.unsettled or self.outputs.holds

    def follow_up(self) -> bool:
        """Begin a run for what happens between requests. Return whether any cell could be stale."""
        if not self.runs.started:
            return False
        self.runs.follow_up()
        return True

    @property
    def unsettled(self) -> bool:
        """Whether `run_stale_cells` would run something."""
        return self._parts.execution.stale_cells.unsettled

    def quiet_in(self) -> float:
        """Return the seconds until VS Code may be called quiet, 0 where it is."""
        return self.outputs.quiet_in()

    # -- checkpoints -----------------------------------------------------------------------------------------------

    @property
    def execution(self) -> Execution:
        """The execution of cells, with their graph."""
        return self._parts.execution

    @property
    def prepare(self) -> Callable[[Entry, str], Body]:
        """Returns the body of a cell's code."""
        return self._parts.runner.prepare

    # -- commands of people and agents --------------------------------------------------------------------

    @property
    def mode(self) -> Literal["autorun", "lazy"]:
        """Whether dependents run by themselves. Any thread."""
        return "autorun" if self._loaded is None else self._loaded.execution.stale_cells.mode

    def apply_settings(self, settings: Settings) -> None:
        """Apply the settings in the notebook's own metadata, between runs."""
        parts = self._parts
        if settings.on_cell_change is not None:
            parts.execution.stale_cells.mode = settings.on_cell_change
        if settings.redefinitions is not None:
            strict = settings.redefinitions == "strict"
            parts.execution.graph.switch_redefinitions(parts.runner.prepare, strict=strict)

    @property
    def commands(self) -> NotebookCommands:
        """The commands of `%marimo`."""
        return self._parts.commands

    @cached_property
    def edits(self) -> AgentEdits:
        """The requests of agents."""
        from marimo_kernel_bridge.kernel.notebook.agent_edits import AgentEdits  # noqa: PLC0415  # agents alone

        parts = self._parts
        return AgentEdits(self._state, parts.execution, parts.runner.prepare)

    # -- for any thread --------------------------------------------------------------------------------------------

    @property
    def running(self) -> tuple[str, float] | None:
        """The running cell, and its start time in seconds since the epoch."""
        return None if self._loaded is None else self._loaded.execution.running
