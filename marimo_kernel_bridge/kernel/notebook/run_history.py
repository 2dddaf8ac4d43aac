"""The history of runs: which cells each request ran, in which order, how they ended. The newest thousand requests.

Runs nothing. The main thread writes; reports may be read on any thread.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK, CellRun, RunReport, joined

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.cells import Address
    from marimo_kernel_bridge.protocol.notebook import Cell

RUNS_KEPT = 1000
_LATE = 10.0  # seconds in which an idle kernel gets the request of a front end that was to send one
CELLS_KEPT = 10_000  # executions in one run: a loop through `mo.state` need not end


@dataclass
class _Operation:
    """The runs of the requests that a front end sends because of one order; `expected` so many."""

    client: str
    run_ids: list[str] = field(default_factory=list)
    expected: int = 0
    noted_at: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)


@dataclass
class Run:
    """A run that is being recorded; `report()` returns it as a frozen value."""

    run_id: str
    client: str
    address: Address
    requested: tuple[str, ...] = ()
    cells: list[CellRun] = field(default_factory=list)
    finished: bool = False
    still_stale: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    started_at: float = field(default_factory=time.time)
    not_run: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()

    def report(self) -> RunReport:
        return RunReport(
            self.run_id,
            self.requested,
            self.client,
            self.finished,
            tuple(self.cells),
            self.still_stale,
            self.superseded,
            self.started_at,
            self.not_run,
            self.not_taken,
        )

    def note(self, cell: Cell, duration: float, *, changed: bool = False) -> None:
        """Note how one execution of a cell ended; `duration` 0.0: it did not run."""
        if len(self.cells) >= CELLS_KEPT:
            del self.cells[0]
        self.cells.append(
            CellRun(
                cell.cell_id,
                cell.notebook_cell_id,
                cell.status,
                cell.execution_count,
                duration,
                cell.error,
                changed,
            )
        )

    def ran(self, cell_id: str) -> bool:
        """Return whether a cell's body ran."""
        return any(run.cell_id == cell_id and run.duration > 0 for run in self.cells)

    def set_count(self, cell_id: str, execution_count: int | None) -> None:
        """Set the execution count of a cell's executions to that of its reply."""
        self.cells = [
            replace(run, execution_count=execution_count) if run.cell_id == cell_id else run
            for run in self.cells
        ]


class RunHistory:
    """The runs of the newest requests."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._operations: OrderedDict[str, _Operation] = OrderedDict()
        self._current: Run | None = None
        self._follow_ups = itertools.count(1)

    @property
    def current(self) -> Run:
        """The run of the newest request, which also records later runs of dependents."""
        assert self._current is not None, "no run is open"
        return self._current

    @property
    def started(self) -> bool:
        """Whether there has been any run."""
        return self._current is not None

    def open(
        self, address: Address, client: str, requested: tuple[str, ...], operation: str | None = None
    ) -> Run:
        """Begin the run of a request, which may be one of those of an operation on a document."""
        run = Run(address.parent["msg_id"], client, address, requested)
        if operation is not None:
            self._operation(operation, client).run_ids.append(run.run_id)
        self._current = self._runs[run.run_id] = run
        while len(self._runs) > RUNS_KEPT:
            self._runs.popitem(last=False)
        return run

    def resume(self, run: Run) -> None:
        """Make a run the current one again, after another that was opened within it."""
        self._current = self._runs[run.run_id] = run

    def expect(self, operation: str, client: str, requests: int) -> None:
        """Note that a front end sends more requests because of an order, or that some are aborted (less than 0). Any thread."""
        known = self._operation(operation, client)
        known.expected += requests
        known.noted_at = time.monotonic()

    def _operation(self, operation: str, client: str) -> _Operation:
        known = self._operations.setdefault(operation, _Operation(client))
        while len(self._operations) > RUNS_KEPT:
            self._operations.popitem(last=False)
        return known

    def follow_up(self) -> None:
        """Begin a run for what a thread or a widget causes after the newest request is over."""
        last = self.current
        if last.finished:
            run = self.open(last.address, NOTEBOOK, ())
            del self._runs[run.run_id]
            run.run_id = f"{last.address.parent['msg_id']}~{next(self._follow_ups)}"
            self._runs[last.run_id] = last
            self._runs[run.run_id] = run

    def close(self, still_stale: tuple[str, ...], *, settled: bool) -> RunReport:
        """End the current run. If all is settled, what earlier runs left over has run by now, too."""
        self.current.still_stale = still_stale
        if settled:
            for run in reversed(self._runs.values()):
                if run.finished:
                    break
                run.finished, run.still_stale = True, still_stale
        return self.current.report()

    def report(self, run_id: str) -> RunReport:
        """Return what a request caused, or all requests of an operation. Raises `BridgeError`: no_such_run."""
        run = self._runs.get(run_id)
        operation = self._operations.get(run_id) if run is None else None
        if operation is not None:
            runs = [self._runs[one] for one in list(operation.run_ids) if one in self._runs]
            idle = self._current is None or self._current.finished
            none_come = idle and time.monotonic() - operation.noted_at > _LATE
            reports = [one.report() for one in runs]
            return joined(
                run_id,
                operation.client,
                reports,
                started_at=min([operation.started_at, *(report.started_at for report in reports)]),
                finished=(none_come or len(reports) >= operation.expected)
                and all(report.finished for report in reports),
            )
        if run is None:
            raise BridgeError(
                "no_such_run",
                f"The kernel knows no run {run_id!r}.",
                f"It keeps the newest {RUNS_KEPT}; a restart forgets all.",
            )
        return run.report()

    def newest(self, limit: int) -> list[RunReport]:
        """Return what the newest requests caused, the newest first."""
        runs = list(self._runs.values())
        return [run.report() for run in reversed(runs[-limit:])]
