"""Messages about a run: the meaning of its status, and what to do next.

A run in progress is never reported as done, and a silent kernel is never reported as dead.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.entries import is_id, reopening
from marimo_kernel_bridge.mcp_server.answers.durations import BRIEF
from marimo_kernel_bridge.mcp_server.answers.durations import took as in_words
from marimo_kernel_bridge.mcp_server.answers.view import first_line, quoted, who
from marimo_kernel_bridge.protocol.notebook import CellError

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.environment import InstallReport
    from marimo_kernel_bridge.protocol.notebook import RunReport

NOTHING_CHANGED: Final = "nothing was changed: the graph refuses these edits."

_HOLDS: Final = "the running code prevents the kernel from answering, as a long call into compiled code does"

_SILENT_RUN: Final = 10.0
"""Seconds without output after which the message mentions the silence."""


async def run_message(attached: Attached, run: Run, report: RunReport | None, status: str) -> str:
    """Return the meaning of the status for this run, and what to do next."""
    match run.status:
        case "lost":
            return "" if run.lost is None else ending(attached, run.lost)
        case "queued":
            return await _why_queued(attached, run, time.time())
        case "running":
            return await _how_it_runs(attached, run, report, time.time())
        case "aborted":
            return _why_not_run(run)
        case "ok" | "error" | "interrupted":
            return _how_it_ended(run, report, status)


def ending(attached: Attached, end: BridgeError) -> str:
    """Return how a kernel ended, and what to do next: nobody else starts that of a session again."""
    if end.code == "kernel_dead" and is_id(attached.handle):
        return f"{end.message} {reopening(attached.handle)}"
    return str(end)


def _why_not_run(run: Run) -> str:
    if run.kind == "document":
        return "it did not run; the document has the change. sync runs what has not run."
    if run.cancelled:
        return "cancelled before it started. It did not run, and nothing was changed."
    return (
        "it did not run: a request of another client failed before it, and the kernel cleared its queue. "
        "Nothing was changed; send it again."
    )


def _how_it_ended(run: Run, report: RunReport | None, status: str) -> str:
    seconds = 0.0 if run.started_at is None or run.ended_at is None else run.ended_at - run.started_at
    took = f" in {in_words(seconds)}" if seconds >= BRIEF else ""
    failed = _failed_dependents(report)
    if status == "interrupted":
        return f"{_limit(report)}interrupted{took}. Its effects up to then remain."
    if status != "ok":
        return f"{_limit(report)}{_failure(run, report, took)}"
    if nothing := _nothing_ran(run, report):
        return nothing
    if report is not None and report.not_run:
        return (
            f"done{took}. It is an ipywidget, which is not in the graph: its callbacks ran, but the cells that read it did not. "
            f"run_cells(cell_ids={list(report.not_run)}) runs them."
        )
    more = f"{failed}{_whose_names(report)}"
    return f"done{took}{more}" if more else ""


def _limit(report: RunReport | None) -> str:
    """Return which limit of the kernel a requested cell has hit, to begin a sentence."""
    if report is None:
        return ""
    requested = frozenset(report.requested)
    errors = (run.error for run in report.cells if run.cell_id in requested)
    limits = (error.limit for error in errors if error is not None)
    return next((f"limit_exceeded: {limit}; " for limit in limits if limit), "")


def _nothing_ran(run: Run, report: RunReport | None) -> str:
    """Return why no cell ran, "" if one did or might have."""
    if run.kind == "document" and not run.follows:
        return "edited; nothing ran because of it."
    if report is None or report.cells:
        return ""
    match run.kind:
        case "edit_cells":
            stale = "edited, not run: the changed cells and their dependents are stale."
            return stale if report.requested else "edited."
        case "run_stale":
            return "nothing ran: no cell is stale."
        case "run_cells":
            return "nothing ran."
        case _:
            return ""


def _whose_names(report: RunReport | None) -> str:
    """Return the names that successful code took over, or could not take over."""
    if report is not None and report.not_taken:
        names = ", ".join(report.not_taken)
        return (
            ". It took over no names, because it was stopped or uses values made from them: "
            f"{names} and the notebook's cells that define it are unchanged; to change them, use edit_cells."
        )
    if report is not None and report.superseded:
        lost = ", ".join(report.superseded)
        return (
            f". It took over names from cell {lost}, which is not in the graph until it runs again; "
            "to change the definition in a cell, use edit_cells instead."
        )
    return ""


def _failed_dependents(report: RunReport | None) -> str:
    """Return the dependents that failed, for the first line: the run's own status does not show them."""
    if report is None:
        return ""
    requested = frozenset(report.requested)
    ran = (cell for cell in report.cells if cell.cell_id not in requested)
    failed = [cell.cell_id for cell in ran if cell.status == "error"]
    return f", but dependents failed: {', '.join(failed)}" if failed else ""


def install_message(installed: InstallReport) -> str:
    """Return the result of an installation, and what is left to do."""
    where = f"{installed.installer} for {installed.interpreter}"
    if installed.exit_code is None:
        return f"{where} was interrupted; it may be partly done."
    if installed.exit_code:
        return f"{where} failed (exit code {installed.exit_code}); its output says why."
    parts = [f"{where} is done." if installed.changes else f"{where}: everything was already installed."]
    if installed.loaded:
        parts.append(
            f"The kernel still has {', '.join(installed.loaded)} in its old version: only a restart loads the new version, and "
            "it loses all variables. Ask the person."
        )
    if installed.cells:
        parts.append(f"Run the cells that failed without it: run_cells(cell_ids={list(installed.cells)}).")
    return " ".join(parts)


def raised_by(run: Run) -> CellError | None:
    """Return the exception of a UI element's callback, which appears in the output only."""
    if run.kind != "set_ui_value":
        return None
    errors = (output for output in run.log.outputs() if output["output_type"] == "error")
    return next((CellError(output["ename"], output["evalue"]) for output in errors), None)


def _failure(run: Run, report: RunReport | None, took: str) -> str:
    failed = raised_by(run)
    if failed is None and report is not None:
        requested = frozenset(report.requested)
        failed = next((c.error for c in report.cells if c.cell_id in requested and c.error), None)
    reply = run.reply
    name = (reply and reply.ename) or (failed.ename if failed else "error")
    value = (reply and reply.evalue) or (failed.evalue if failed else "")
    if name == "StdinNotImplementedError":
        return f"failed{took}: the code asked for input(), and no one can enter input here. Put the value into the code."
    message = f"failed{took} with {name}: {value}".rstrip(": ")
    if report is None or not report.not_taken:
        return message
    names = ", ".join(report.not_taken)
    return f"{message}. It took over no names: {names} and the notebook's cells that define it are unchanged."


async def _why_queued(attached: Attached, run: Run, now: float) -> str:
    client = attached.client
    working = client.runs.others
    codes = await attached.redacted_codes([work.code or "" for work in working])
    others = [
        f"{who(work.client)}'s `{first_line(code or '?')}`" for work, code in zip(working, codes, strict=True)
    ]
    ours = [f"our run {other.run_id}" for other in attached.listed_runs if other.status == "running"]
    behind = " and ".join(others + ours) or "another request"
    waited = f"the kernel has been busy with {behind} for {in_words(now - run.sent_at)} since this was sent"
    if run.unwanted:
        outcome = "will not start" if run.cancelled else "is stopped as soon as it starts"
        return f"cancelled: {waited}, and this run {outcome}."
    if not attached.answers:
        waited += f"; {_HOLDS}"
    elif asked := await _asked(attached):
        waited += f". {asked}"
    return f"not started: {waited}. It runs when its turn comes. {await _alive(client)} Wait with read_run."


async def _how_it_runs(attached: Attached, run: Run, report: RunReport | None, now: float) -> str:
    started = run.started_at or run.sent_at
    parts = [f"not over after {in_words(now - started)}"]
    own, below = _own_so_far(run, report), await _running_below(attached, report, now)
    if own:
        parts.append(f"{own}, and {below or 'what follows it is still running'}")
    elif below:
        parts.append(below)
    quiet_since = run.last_output_at or started
    if now - quiet_since > _SILENT_RUN:
        parts.append(f"silent for {now - quiet_since:.0f} s")
    if not attached.answers:
        parts.append(_HOLDS)
    return f"{'; '.join(parts)}. {await _alive(attached.client)} Wait with read_run, or stop it with interrupt_run."


def _own_so_far(run: Run, report: RunReport | None) -> str:
    """Return how the requested code of a run in progress has ended, "" if it runs or waits."""
    requested = frozenset(() if report is None else report.requested)
    done = [] if report is None else [cell for cell in report.cells if cell.cell_id in requested]
    bad = [cell for cell in done if cell.status != "ok"]
    if not done or (not bad and report is not None and len(done) < len(report.requested)):
        return ""
    if not bad:
        return "its own code is done"
    failed = bad[0]
    which = "its own code" if run.kind == "execute" else f"cell {failed.cell_id}"
    if failed.error is None or failed.status != "error":
        return f"{which} ended as {failed.status}"
    return f"{which} failed with {failed.error.ename}: {failed.error.evalue}".rstrip(": ")


async def _running_below(attached: Attached, report: RunReport | None, now: float) -> str:
    """Return the cell that runs now in a run, with its code and since when; "" for the only requested one, or if it cannot be said."""
    if not (attached.reactive and attached.answers):
        return ""
    with suppress(BridgeError):
        description = await attached.client.reads.describe()
        cell_id = description.running_cell
        if cell_id is None or (report is not None and report.requested == (cell_id,)):
            return ""
        code = (await attached.client.reads.read_cell(cell_id, 1)).cell.code
        since = f" for {in_words(now - description.running_since)}" if description.running_since else ""
        return f"cell {cell_id} ({quoted(first_line(code))}) is running{since}"
    return ""


def asks_for_input(prompt: str) -> str:
    """Return that the running code waits for the person, who alone can go on."""
    what = f" ({quoted(prompt.strip())})" if prompt.strip() else ""
    return f"The running code waits for the person to type an answer{what}; tell them"


async def _asked(attached: Attached) -> str:
    """Return that running code waits for the person to type, "" if it does not, or cannot be said."""
    if not attached.reactive:
        return ""
    with suppress(BridgeError):
        asks = (await attached.client.reads.describe()).asks
        return "" if asks is None else asks_for_input(asks)
    return ""


async def _alive(client: KernelClient) -> str:
    if await client.liveness() == "alive":
        return "The kernel is alive."
    return "The kernel's heartbeat does not answer: it is suspended or stuck."
