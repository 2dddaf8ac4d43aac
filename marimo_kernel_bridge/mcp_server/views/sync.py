"""What differs between the person's notebook and what ran, and what a sync would run.

The kernel compares the open document. Files and given texts are compared here, with the kernel's texts without secrets: a
comparison with the real ones would tell whether a guess at a hidden value is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.document import SyncLine, SyncState
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.answers.notebook import ExpectedCell
from marimo_kernel_bridge.mcp_server.answers.origin import KERNEL
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.views.notebook_source import (
    NOTHING_GIVEN,
    NotebookSource,
    notebook_source,
    of_kernel,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.views.notebook_source import Given, SourceCell
    from marimo_kernel_bridge.protocol.document_edits import Comparison

_CHANGED: Final = frozenset({"changed", "file_differs"})
_FAILED: Final = frozenset({"error", "refused", "cancelled", "interrupted"})
_TO_RUN: Final = frozenset({"changed", "never_run", "stale"})


async def sync_state(attached: Attached, given: Given) -> SyncState:
    """Compare the notebook with what ran. Raises `BridgeError`."""
    source = await notebook_source(attached, given)
    if source is None:
        source = NotebookSource(of_kernel(await attached.list_cells()), KERNEL)
    code = [cell for cell in source.cells if cell.type == "code" and cell.code.strip()]
    if source.origin.shows == "document":
        comparison = await attached.client.document.compare()
        states = _by_comparison(comparison, code)
        expected = {run.cell_id: run.last_seconds for run in comparison.would_run}
    else:
        states = {cell.cell_id: _state(cell) for cell in code}
        expected = await _expected(attached, code, states)
    return _sync_state(source, code, states, expected, attached.news())


async def would_sync(attached: Attached) -> RunView:
    """Return what a sync would run. Raises `BridgeError`."""
    state = await sync_state(attached, NOTHING_GIVEN)
    to_run = tuple(cell.cell_id for cell in state.would_run)
    return RunView("", "ok", f"nothing was run. {state.message}", to_run=to_run, note=state.note)


def _sync_state(
    source: NotebookSource,
    code: list[SourceCell],
    states: Mapping[str, str],
    expected: Mapping[str, float | None],
    note: str,
) -> SyncState:
    lines = tuple(
        SyncLine(cell.cell_id, states[cell.cell_id], first_line(cell.code))
        for cell in code
        if states.get(cell.cell_id, "in_step") != "in_step"
    )
    by_id = {name: cell for cell in code for name in cell.ids}
    would_run = tuple(
        ExpectedCell(
            by_id[name].cell_id if name in by_id else name,
            first_line(by_id[name].code) if name in by_id else "",
            seconds,
            stale=states.get(name) == "stale",
        )
        for name, seconds in expected.items()
    )
    known = sum(seconds for seconds in expected.values() if seconds is not None)
    needed = any(line.state in _TO_RUN for line in lines)
    return SyncState(
        sync_needed=needed,
        message=_message(source, lines, len(code), known, len(would_run)),
        in_step=len(code) - len(lines),
        origin=source.origin,
        cells=lines,
        would_run=would_run,
        last_seconds=known,
        unknown=sum(seconds is None for seconds in expected.values()),
        note=note,
    )


def _message(
    source: NotebookSource, lines: tuple[SyncLine, ...], total: int, seconds: float, runs: int
) -> str:
    if not lines:
        return f"In step: all {total} code cells are as they ran."
    if not any(line.state in _TO_RUN for line in lines):
        return f"{len(lines)} of {total} code cells differ, and none of them is to be run."
    if source.origin.shows == "document":
        return f"{len(lines)} of {total} code cells differ. sync runs {runs} cells; the last time they took {took(seconds)}."
    return (
        f"{len(lines)} of {total} code cells differ. No document is attached that could run them: ask the person to, or for stale "
        'ones use run_cells(which="stale").'
    )


def _by_comparison(comparison: Comparison, code: Iterable[SourceCell]) -> dict[str, str]:
    ids = {name: cell.cell_id for cell in code for name in cell.ids}
    named = {
        "changed": comparison.changed,
        "never_run": comparison.never_run,
        "stale": comparison.stale,
        "failed": comparison.failed,
        "kernel_only": comparison.kernel_only,
    }
    return {ids.get(name, name): state for state, names in named.items() for name in names}


def _state(cell: SourceCell) -> str:
    if cell.sync in _CHANGED:
        return "changed"
    if cell.sync == "kernel_only" or cell.cell is None:
        return cell.sync or "never_run"
    if cell.cell.stale:
        return "stale"
    return "failed" if cell.cell.status in _FAILED else "in_step"


async def _expected(
    attached: Attached, code: Iterable[SourceCell], states: Mapping[str, str]
) -> dict[str, float | None]:
    """Return the cells that would run, as far as the graph of what ran says."""
    roots = [cell for cell in code if states[cell.cell_id] in _TO_RUN]
    known = [cell.cell.cell_id for cell in roots if cell.cell is not None]
    below = await attached.client.reads.preview_run(known) if known else []
    new = {cell.cell_id: None for cell in roots if cell.cell is None}
    return {run.cell_id: run.last_seconds for run in below} | new
