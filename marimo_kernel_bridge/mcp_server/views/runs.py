"""The answer for one run: how far it is, what it put out, and what it caused.

A run that is not over is never called done, silence is never called death, and each state says what to do next.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.mcp_server.answers.runs import RanCell, RunView
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import Image, cut, show
from marimo_kernel_bridge.mcp_server.media.pictures import pictures
from marimo_kernel_bridge.mcp_server.views.cells import MOST_OUTPUT, Window, error_line, is_whole
from marimo_kernel_bridge.protocol.notebook import CellError
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.attachments import Attached
    from marimo_kernel_bridge.protocol.environment import InstallReport
    from marimo_kernel_bridge.protocol.inspection import RunOutcome
    from marimo_kernel_bridge.protocol.notebook import Cell, CellRun, RunReport

_MOST_CELLS: Final = 20
"""Cells whose outputs one answer shows; the others can be read one by one."""

_HOLDS: Final = "what runs lets the kernel answer nothing, as a long call into compiled code does"

_SILENT_RUN: Final = 10.0
"""Seconds without output after which the silence is worth a word."""


async def run_view(attached: Attached, run: Run, window: Window) -> tuple[RunView, tuple[Image, ...]]:
    """Say how far a run is and what it caused. Raises the `BridgeError` with which the kernel refused it."""
    client = attached.client
    outcome = await attached.outcome_of(run)
    report = _report(client, run, outcome)
    batch = client.edit_report_of(run) if run.over and run.lost is None else None
    installed = client.install_report_of(run) if run.over and run.lost is None else None
    cells = {cell.cell_id: cell for cell in outcome.cells} if outcome else {}
    requested = report.requested if report else ()
    own = requested[0] if len(requested) == 1 else None
    outputs = await _shown_by(client, run, [cell_id for cell_id in requested if cell_id in cells])
    shown = show(outputs, await pictures(outputs, attached))
    text = attached.redactor.text(shown.text)  # whole: a cut within a secret would leave a part of it
    if run.dropped_characters:
        text += f"\n[{run.dropped_characters} characters of streams were not kept: the run printed too much]"
    rest = f'read_run(run_id="{run.run_id}", offset={{offset}}) gives the rest.'
    refused = batch is not None and not batch.applied
    status = "refused" if refused else _status(run, report)
    if installed is not None:
        status = _install_status(installed)
    seconds = None if run.started_at is None else (run.ended_at or time.time()) - run.started_at
    view = RunView(
        run_id=run.run_id,
        status=status,
        message="nothing was changed: the graph would not take these edits."
        if refused
        else _how_it_installed(installed)
        if installed is not None
        else await _message(attached, run, report, status),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images),
        cell_id=own,
        version=cells[own].version if own in cells else None,
        execution_count=run.execution_count,
        seconds=seconds,
        ran=tuple(_ran(cell, cells) for cell in report.cells if cell.cell_id in requested and own is None)
        if report
        else (),
        reran=tuple(_ran(cell, cells) for cell in report.cells if cell.cell_id not in requested)
        if report
        else (),
        added=batch.added if batch else (),
        packages=installed.changes if installed else (),
        to_run=installed.cells if installed else report.not_run if report else (),
        problems=batch.problems if batch else (),
        still_stale=report.still_stale if report else (),
        full=None if is_whole(text, window, shown) else _address(attached, run, own),
        note=attached.news(),
    )
    return view, shown.images


def _address(attached: Attached, run: Run, own: str | None) -> str:
    where = f"runs/{run.run_id}" if own is None else f"cells/{own}"
    return f"marimo://{attached.handle}/{where}"


async def run_outputs(attached: Attached, run: Run) -> list[dict[str, Any]]:
    """Return all that a run put out. Raises `BridgeError`."""
    outcome = await attached.outcome_of(run)
    report = _report(attached.client, run, outcome)
    known = {cell.cell_id for cell in outcome.cells} if outcome else set()
    requested = report.requested if report else ()
    return await _shown_by(attached.client, run, [cell_id for cell_id in requested if cell_id in known])


async def _shown_by(client: KernelClient, run: Run, requested: Sequence[str]) -> list[dict[str, Any]]:
    """Return the outputs of code, or of the cells that a run of cells was asked for."""
    if run.kind in {"edit_cells", "run_cells", "run_stale"} and run.over:
        return without_edited(await _outputs_of(client, requested))
    return without_edited(run.log.outputs())


async def _outputs_of(client: KernelClient, cell_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the outputs of cells; of several, each headed by the cell's id."""
    outputs: list[dict[str, Any]] = []
    for cell_id in cell_ids[:_MOST_CELLS]:
        own = without_edited((await client.read_cell(cell_id, MOST_OUTPUT)).outputs)
        if own and len(cell_ids) > 1:
            outputs.append({"output_type": "stream", "name": "stdout", "text": f"[cell {cell_id}]\n"})
        outputs += own
    return outputs


def _report(client: KernelClient, run: Run, outcome: RunOutcome | None) -> RunReport | None:
    """Return what a run caused; None if it is not in the graph, or forgotten, or the kernel does not tell."""
    if not client.info.reactive or run.status in {"queued", "aborted", "lost"}:
        return None
    if run.over:
        report = client.report_of(run)
        if run.kind != "execute":
            return report
    return outcome.report if outcome else None


def _status(run: Run, report: RunReport | None) -> str:
    """Give the run's status; for edits, whose reply is ok in any case, that of the cell."""
    if run.status == "ok" and _raised(run) is not None:
        return "error"
    if run.kind == "execute" or run.status != "ok" or report is None:
        return run.status
    own = [cell.status for cell in report.cells if cell.cell_id in report.requested]
    return next((status for status in own if status != "ok"), "ok")


async def _message(attached: Attached, run: Run, report: RunReport | None, status: str) -> str:
    match run.status:
        case "lost":
            return str(run.lost)
        case "queued":
            return await _why_queued(attached, run, time.time())
        case "running":
            return await _how_it_runs(attached, run, report, time.time())
        case "aborted" if run.cancelled:
            return "given up before it started. It did not run, and nothing was changed."
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
    failed = _failed_dependents(report)
    if status == "interrupted":
        return f"interrupted{took}. What it had done before stays done."
    if status != "ok":
        return _failure(run, report, took)
    if run.kind == "edit_cells" and report is not None and not report.cells:
        return (
            "edited, not run: what changed and what depends on it is stale."
            if report.requested
            else "edited."
        )
    if report is not None and report.not_run:
        return (
            f"done{took}. It is an ipywidget, no part of the graph: its callbacks ran, but the cells that read it did not. "
            f"run_cells(cell_ids={list(report.not_run)}) runs them."
        )
    return f"done{took}{failed}{_whose_names(report)}"


def _whose_names(report: RunReport | None) -> str:
    """Say whether code that has succeeded took names over."""
    if report is not None and report.not_taken:
        names = ", ".join(report.not_taken)
        return (
            ". It took no names over, since it was stopped or builds on what is made from them: "
            f"{names} and the notebook's cells that define it are as they were; to change these, use edit_cells."
        )
    if report is not None and report.superseded:
        lost = ", ".join(report.superseded)
        return (
            f". It took names over from cell {lost}, which is out of the graph until it runs again; "
            "to change what a cell defines, use edit_cells instead."
        )
    return ""


def _failed_dependents(report: RunReport | None) -> str:
    """Say in the first line that cells failed which ran because of this one: its own status does not tell."""
    if report is None:
        return ""
    ran = (cell for cell in report.cells if cell.cell_id not in report.requested)
    failed = [cell.cell_id for cell in ran if cell.status == "error"]
    return f", but what depends on it failed: {', '.join(failed)}" if failed else ""


def _install_status(installed: InstallReport) -> str:
    if installed.exit_code is None:
        return "interrupted"
    return "error" if installed.exit_code else "ok"


def _how_it_installed(installed: InstallReport) -> str:
    where = f"{installed.installer} for {installed.interpreter}"
    if installed.exit_code is None:
        return f"{where} was interrupted; it may have done a part."
    if installed.exit_code:
        return f"{where} failed (exit code {installed.exit_code}); its output says why."
    parts = [f"{where} is done." if installed.changes else f"{where}: all was there already."]
    if installed.loaded:
        parts.append(
            f"The kernel still has {', '.join(installed.loaded)} as before: only a restart loads the new version, and "
            "all variables are lost by it. Ask the person."
        )
    if installed.cells:
        parts.append(f"Run what failed for want of it: run_cells(cell_ids={list(installed.cells)}).")
    return " ".join(parts)


def _raised(run: Run) -> CellError | None:
    """Return what a callback of a UI element raised: it is shown as output, and nowhere else."""
    if run.kind != "set_ui_value":
        return None
    shown = (output for output in run.log.outputs() if output["output_type"] == "error")
    return next((CellError(output["ename"], output["evalue"]) for output in shown), None)


def _failure(run: Run, report: RunReport | None, took: str) -> str:
    failed = _raised(run)
    if failed is None and report is not None:
        failed = next((c.error for c in report.cells if c.cell_id in report.requested and c.error), None)
    reply = run.reply or {}
    name = str(reply.get("ename") or (failed.ename if failed else "error"))
    value = str(reply.get("evalue") or (failed.evalue if failed else ""))
    if name == "StdinNotImplementedError":
        return f"failed{took}: the code asked for input(), and nobody can type here. Put the value into the code."
    message = f"failed{took} with {name}: {value}".rstrip(": ")
    if report is None or not report.not_taken:
        return message
    names = ", ".join(report.not_taken)
    return (
        f"{message}. It took no names over: {names} and the notebook's cells that define it are as they were."
    )


async def _why_queued(attached: Attached, run: Run, now: float) -> str:
    client = attached.client
    others = [
        f"{work.client or 'another client'}'s `{first_line(work.code or '?')}`" for work in client.others_work
    ]
    ours = [f"our run {other.run_id}" for other in client.runs if other.status == "running"]
    behind = " and ".join(others + ours) or "another request"
    waited = f"the kernel has been busy with {behind} for {now - run.sent_at:.1f} s since this was sent"
    if run.unwanted:
        outcome = "will not start" if run.cancelled else "is stopped as soon as it starts"
        return f"given up: {waited}, and this run {outcome}."
    if not attached.answers:
        waited += f"; {_HOLDS}"
    return f"not started: {waited}. It runs when its turn comes. {await _alive(client)} Wait with read_run."


async def _how_it_runs(attached: Attached, run: Run, report: RunReport | None, now: float) -> str:
    started = run.started_at or run.sent_at
    parts = [f"not over after {now - started:.1f} s"]
    if report is not None and any(cell.cell_id in report.requested for cell in report.cells):
        parts.append("its own code is done, cells that depend on it still run")
    quiet_since = run.last_output_at or started
    if now - quiet_since > _SILENT_RUN:
        parts.append(f"silent for {now - quiet_since:.0f} s")
    if not attached.answers:
        parts.append(_HOLDS)
    return f"{'; '.join(parts)}. {await _alive(attached.client)} Wait with read_run, or stop it with interrupt_run."


async def _alive(client: KernelClient) -> str:
    if await client.liveness() == "alive":
        return "The kernel is alive."
    return "The kernel's heartbeat does not answer: it is suspended or stuck."


def _ran(run: CellRun, cells: dict[str, Cell]) -> RanCell:
    cell = cells.get(run.cell_id)
    return RanCell(
        run.cell_id,
        run.status,
        cell.version if cell else None,
        first_line(cell.code) if cell else "",
        run.outputs_changed,
        run.duration,
        error_line(run.error),
    )
