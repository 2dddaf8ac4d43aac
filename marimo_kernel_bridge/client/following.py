"""Requests that a front end sends because of an agent's change, as one run of the agent's; and runs of other clients.

Owns the reading of their outcomes until all of them, and what depends on them, are over, and the union of these outcomes.
Their outputs are not read from the messages, which are for the person and have the person's secrets: a client reads the
cells.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.runs import Reply, Run
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.inspection import RunOutcome
from marimo_kernel_bridge.protocol.notebook import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.reads import Reads
    from marimo_kernel_bridge.client.run_tracker import RunTracker
    from marimo_kernel_bridge.client.runs import Place

_LOOK_EVERY: Final = 1.0
_ARRIVES_IN: Final = 10.0
"""Seconds after which a request that an idle kernel does not know is taken for one that never ran."""


class DocumentRuns:
    """Follows the requests of front ends that are under way because of a change of this client."""

    def __init__(self, runs: RunTracker, reads: Reads) -> None:
        self._runs = runs
        self._reads = reads
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio holds only weak references to tasks

    def follow(
        self, run_id: str, requests: Sequence[str], place: Place | None = None, *, foreign: bool = False
    ) -> Run:
        """Return requests as one run, which is settled when all of them are over. `foreign`: somebody else sent them."""
        run = Run(
            run_id,
            "document",
            "",
            sent_at=time.time(),
            late_outputs=False,
            follows=tuple(requests),
            foreign=foreign,
            place=place,
        )
        self._runs.add(run)
        if run.follows:
            task = asyncio.create_task(_follow(run, self._runs, self._reads))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._runs.settle(run, Reply("ok"))
        return run

    async def outcome(self, run: Run, *bound: float) -> RunOutcome:
        """Return the common outcome of the requests of a run. Raises `BridgeError`."""
        outcomes = await asyncio.gather(*(self._reads.outcome(request, *bound) for request in run.follows))
        return _union(run.run_id, outcomes)

    def close(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()


async def _follow(run: Run, runs: RunTracker, reads: Reads) -> None:
    """Settle a run when each of its requests, and what depends on it, is over, or will never run."""
    sent = time.monotonic()
    while not run.over:
        change = runs.next_change
        with suppress(BridgeError):  # the kernel's end ends the run; a kernel that is silent is asked again
            outcomes = await asyncio.gather(*(reads.outcome(request) for request in run.follows))
            reports = [outcome.report for outcome in outcomes if outcome.report is not None]
            if reports and run.started_at is None:
                run.started_at = min(report.started_at for report in reports)
            waits = not all(report.finished for report in reports)
            if not waits and len(reports) < len(run.follows):
                waits = time.monotonic() - sent < _ARRIVES_IN or await _is_at_work(reads)
            if not waits:
                reply = Reply("ok" if reports else "aborted", result=_union(run.run_id, outcomes).report)
                runs.settle(run, reply)
                return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY):
                await change.wait()


async def _is_at_work(reads: Reads) -> bool:
    kernel = await reads.describe()
    return kernel.busy or kernel.settling or kernel.queued > 0


def _union(run_id: str, outcomes: Sequence[RunOutcome]) -> RunOutcome:
    """Return one outcome for several requests. A cell that ran for several of them counts once, as it ended last."""
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    cells = {cell.cell_id: cell for outcome in outcomes for cell in outcome.cells}
    if not reports:
        return RunOutcome(None, tuple(cells.values()))
    report = joined(
        run_id,
        reports[-1].client,
        reports,
        started_at=min(report.started_at for report in reports),
        finished=all(report.finished for report in reports),
    )
    return RunOutcome(report, tuple(cells.values()))
