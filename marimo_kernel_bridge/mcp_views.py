"""Answers made from what the client knows: kernels, their state, cells, runs.

Asks the kernel only on control, so every view is there while a cell runs. Says what is, in words that also say what
to do: a run that is not over is never called done, and silence is never called death.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.connection import runtime_dir
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_outputs import Image, cut, show
from marimo_kernel_bridge.mcp_results import (
    CellLine,
    CellList,
    CellView,
    KernelLine,
    KernelList,
    KernelState,
    RanCell,
    RunView,
    UnusableFile,
    WorkLine,
    first_line,
)
from marimo_kernel_bridge.wire import METADATA_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.discovery import FoundKernel
    from marimo_kernel_bridge.kernel_client import KernelClient
    from marimo_kernel_bridge.mcp_kernels import Attached, Kernels
    from marimo_kernel_bridge.notebook import Cell, CellError, CellRun, KernelDescription, RunReport
    from marimo_kernel_bridge.runs import Run

_SHELL_BOUND: Final = 0.3
"""How long a free shell channel may take to answer before we call the kernel busy."""

_SILENT_RUN: Final = 10.0
"""Seconds without output after which the silence is worth a word."""


@dataclass(frozen=True)
class Window:
    """Which part of a long text to show: about `budget` characters from `offset` on."""

    budget: int
    offset: int = 0


def kernel_list(found: list[FoundKernel], kernels: Kernels) -> KernelList:
    lines: list[KernelLine] = []
    unusable: list[UnusableFile] = []
    ended = 0
    for kernel in found:
        if kernel.info is not None:
            attached = kernels.at(kernel.path.resolve())
            lines.append(
                KernelLine(
                    connection_file=kernel.path.name,
                    kernel=f"{kernel.info.implementation} ({kernel.info.language} {kernel.info.language_version})",
                    reactive=kernel.info.reactive,
                    notebook=kernel.notebook,
                    connected_as=attached.handle if attached else None,
                    busy=kernel.description.busy if kernel.description else None,
                    cells=kernel.description.cells if kernel.description else None,
                    warnings=kernel.warnings,
                )
            )
        elif kernel.problem is not None and kernel.problem.code == "connection_file_stale":
            ended += 1
        elif kernel.problem is not None:
            unusable.append(UnusableFile(kernel.path.name, kernel.problem.code, str(kernel.problem)))
    return KernelList(tuple(lines), str(runtime_dir()), ended, tuple(unusable))


async def kernel_state(attached: Attached, notebook: str | None = None) -> KernelState:
    """Find out what a kernel is doing. A kernel that is dead or silent is an answer, not an error."""
    client = attached.client
    description: KernelDescription | None = None
    try:
        await client.require_alive()
        if problem := await client.why_not_alive():
            raise problem
        if client.info.reactive:
            description = await client.describe()
        busy, working_on = await _work(client, description)
    except BridgeError as problem:
        state = "dead" if problem.code == "kernel_dead" else "silent"
        return _state(attached, state, str(problem), notebook)
    message = "It runs code; reads are answered all the same." if busy else "It waits for requests."
    if busy and not client.info.reactive:
        message = "It runs code. What is sent now waits its turn."
    return _state(attached, "busy" if busy else "idle", message, notebook, description, working_on)


def _state(  # noqa: PLR0917  # six facts, one call
    attached: Attached,
    state: str,
    message: str,
    notebook: str | None,
    description: KernelDescription | None = None,
    working_on: tuple[WorkLine, ...] = (),
) -> KernelState:
    client = attached.client
    news = attached.news()
    info = client.info
    return KernelState(
        kernel=attached.handle,
        state=state,
        message=f"{message} {news}".strip(),
        connection_file=str(client.connection.path),
        implementation=f"{info.implementation} {info.implementation_version}, {info.language} {info.language_version}",
        reactive=info.reactive,
        notebook=notebook or (description.notebook if description else None),
        mode=description.mode if description else None,
        cells=description.cells if description else None,
        stale=description.stale if description else (),
        queued=description.queued if description else None,
        working_on=working_on,
        our_runs=tuple(run.run_id for run in client.runs if not run.over),
        pid=description.pid if description else None,
        python=description.python_version if description else None,
        cwd=description.cwd if description else None,
        warnings=client.connection.warnings,
    )


async def _work(
    client: KernelClient, description: KernelDescription | None
) -> tuple[bool, tuple[WorkLine, ...]]:
    now = time.time()
    cell = description.running_cell if description else None
    working = [
        WorkLine(work.client or "another client", now - work.since, first_line(work.code or "") or None, cell)
        for work in client.others_work
    ]
    working += [
        WorkLine(client.client_name, now - run.started_at, first_line(run.code) or None, cell, run.run_id)
        for run in client.runs
        if not run.over and run.started_at is not None
    ]
    if working:
        return True, tuple(working)
    if description is not None:
        if not description.busy:
            return False, ()
        since = now - description.running_since if description.running_since else None
        return True, (WorkLine("another client", since, None, cell),)
    if await client.shell_is_free(_SHELL_BOUND):
        return False, ()
    return True, (WorkLine("another client"),)


def cell_list(cells: list[Cell], offset: int, limit: int, note: str) -> CellList:
    shown = cells[offset : offset + limit]
    return CellList(tuple(_cell_line(cell) for cell in shown), len(cells), offset, note)


async def cell_view(
    client: KernelClient, cell_id: str, window: Window, note: str
) -> tuple[CellView, tuple[Image, ...]]:
    both = await client.read_cell(cell_id)
    cell, shown = both.cell, show(_without_notices(both.outputs))
    rest = f'read_cell(cell_id="{cell.cell_id}", offset={{offset}}) gives the rest of the outputs.'
    view = CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=cell.code,
        outputs=cut(shown.text, window.budget, window.offset, rest),
        images=len(shown.images),
        stale=cell.stale,
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        upstream=cell.upstream,
        downstream=cell.downstream,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        seconds=cell.duration,
        error=_error(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
        note=note,
    )
    return view, shown.images


async def run_view(attached: Attached, run: Run, window: Window) -> tuple[RunView, tuple[Image, ...]]:
    """Say how far a run is and what it caused. Raises the `BridgeError` with which the kernel refused it."""
    client = attached.client
    report = await _report(client, run)
    cells = {cell.cell_id: cell for cell in await client.list_cells()} if report else {}
    own = report.requested[0] if report and report.requested else None
    outputs = run.log.outputs()
    if run.kind != "execute" and own is not None and run.over:
        outputs = (await client.read_cell(own)).outputs
    shown = show(_without_notices(outputs))
    text = shown.text
    if run.dropped_characters:
        text += f"\n[{run.dropped_characters} characters of streams were not kept: the run printed too much]"
    rest = f'read_run(run_id="{run.run_id}", offset={{offset}}) gives the rest.'
    status = _status(run, report)
    seconds = None if run.started_at is None else (run.ended_at or time.time()) - run.started_at
    view = RunView(
        run_id=run.run_id,
        status=status,
        message=await _message(client, run, report, status),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images),
        cell_id=own,
        version=cells[own].version if own in cells else None,
        execution_count=run.execution_count,
        seconds=seconds,
        reran=tuple(_ran(cell, cells) for cell in report.cells if cell.cell_id not in report.requested)
        if report
        else (),
        still_stale=report.still_stale if report else (),
        note=attached.news(),
    )
    return view, shown.images


async def _report(client: KernelClient, run: Run) -> RunReport | None:
    if not client.info.reactive or run.status in {"queued", "aborted", "lost"}:
        return None
    if run.over and run.kind != "execute":
        return client.report_of(run)
    try:
        return await client.read_run(run.run_id)
    except BridgeError as refusal:
        if refusal.code in {"no_such_run", "kernel_dead", "kernel_silent"}:
            return None  # not in the graph, or forgotten, or the kernel is gone: the run itself is still told
        raise


def _status(run: Run, report: RunReport | None) -> str:
    """Give the run's status; for edits, whose reply is ok in any case, that of the cell."""
    if run.kind == "execute" or run.status != "ok" or report is None:
        return run.status
    own = [cell.status for cell in report.cells if cell.cell_id in report.requested]
    return next((status for status in own if status != "ok"), "ok")


async def _message(client: KernelClient, run: Run, report: RunReport | None, status: str) -> str:
    match run.status:
        case "lost":
            return str(run.lost)
        case "queued":
            return await _why_queued(client, run, time.time())
        case "running":
            return await _how_it_runs(client, run, report, time.time())
        case "aborted":
            return (
                "it did not run: a request of another client failed before it, and the kernel cleared its queue. "
                "Nothing was changed; send it again."
            )
        case "ok" | "error" | "interrupted":
            return _how_it_ended(run, report, status)


def _how_it_ended(run: Run, report: RunReport | None, status: str) -> str:
    took = (
        "" if run.started_at is None or run.ended_at is None else f" in {run.ended_at - run.started_at:.2g} s"
    )
    if status == "interrupted":
        return f"interrupted{took}. What it had done before stays done."
    if status != "ok":
        return _failure(run, report, took)
    if run.kind == "edit_cell" and report is not None and not report.cells:
        return "edited, not run: the cell and what depends on it are stale."
    return f"done{took}"


def _failure(run: Run, report: RunReport | None, took: str) -> str:
    failed = (
        next((c.error for c in report.cells if c.cell_id in report.requested and c.error), None)
        if report
        else None
    )
    reply = run.reply or {}
    name = str(reply.get("ename") or (failed.ename if failed else "error"))
    value = str(reply.get("evalue") or (failed.evalue if failed else ""))
    if name == "StdinNotImplementedError":
        return f"failed{took}: the code asked for input(), and nobody can type here. Put the value into the code."
    return f"failed{took} with {name}: {value}".rstrip(": ")


async def _why_queued(client: KernelClient, run: Run, now: float) -> str:
    others = [
        f"{work.client or 'another client'}'s `{first_line(work.code or '?')}`" for work in client.others_work
    ]
    ours = [f"our run {other.run_id}" for other in client.runs if other.status == "running"]
    behind = " and ".join(others + ours) or "another request"
    return (
        f"not started: the kernel has been busy with {behind} for {now - run.sent_at:.1f} s since this was sent. "
        f"It runs when its turn comes. {await _alive(client)} Wait with read_run."
    )


async def _how_it_runs(client: KernelClient, run: Run, report: RunReport | None, now: float) -> str:
    started = run.started_at or run.sent_at
    parts = [f"not over after {now - started:.1f} s"]
    if report is not None and any(cell.cell_id in report.requested for cell in report.cells):
        parts.append("its own code is done, cells that depend on it still run")
    quiet_since = run.last_output_at or started
    if now - quiet_since > _SILENT_RUN:
        parts.append(f"silent for {now - quiet_since:.0f} s")
    return f"{'; '.join(parts)}. {await _alive(client)} Wait with read_run, or stop it with interrupt_run."


async def _alive(client: KernelClient) -> str:
    if await client.liveness() == "alive":
        return "The kernel is alive."
    return "The kernel's heartbeat does not answer: it is suspended or stuck."


def _without_notices(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what tells the person that the notebook shows older code: a reader of ours has the newest."""
    return [
        output
        for output in outputs
        if (output.get("metadata") or {}).get(METADATA_KEY) != {"notice": "edited"}
    ]


def _ran(run: CellRun, cells: dict[str, Cell]) -> RanCell:
    code = first_line(cells[run.cell_id].code) if run.cell_id in cells else ""
    return RanCell(run.cell_id, run.status, code, run.outputs_changed, run.duration, _error(run.error))


def _cell_line(cell: Cell) -> CellLine:
    return CellLine(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=first_line(cell.code),
        stale=cell.stale,
        lines=len(cell.code.splitlines()) or 1,
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        error=_error(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
    )


def _error(error: CellError | None) -> str | None:
    return None if error is None else f"{error.ename}: {error.evalue}".rstrip(": ")
