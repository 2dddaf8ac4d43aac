"""The answer about one run: its state, its outputs, and its effects.

Owns what is gathered about a run and how it becomes an answer; the wording is in `run_messages`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.durations import worth_telling
from marimo_kernel_bridge.mcp_server.answers.runs import RanCell, RunView
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import Image, cut
from marimo_kernel_bridge.mcp_server.views.cells import error_line
from marimo_kernel_bridge.mcp_server.views.run_messages import (
    NOTHING_CHANGED,
    install_message,
    raised_by,
    run_message,
)
from marimo_kernel_bridge.mcp_server.views.window import MOST_OUTPUT, Window
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.changes import EditReport
    from marimo_kernel_bridge.protocol.environment import InstallReport
    from marimo_kernel_bridge.protocol.inspection import RunOutcome
    from marimo_kernel_bridge.protocol.notebook import Cell, CellRun, Output, RunReport

_MOST_CELLS: Final = 20
"""The maximum number of cells with outputs in one answer; the others can be read one by one."""

_MOST_DEPENDENT: Final = 1000
"""Characters of the outputs of one dependent."""

_MOST_DEPENDENTS: Final = 3000
"""Characters of the outputs of all dependents; those that are left out are named as changed."""

_MOST_PICTURES: Final = 3
"""Images of dependents in one answer: each costs a model as much as a page of text."""

_WIDTH: Final = 40
"""Characters of the code of a cell that ran."""

_RUNS_CELLS: Final = frozenset({"edit_cells", "run_cells", "run_stale", "document"})


@dataclass(frozen=True)
class _Facts:
    """The state of a run at one moment. `edits` and `installed` are set for a finished run of that kind."""

    run: Run
    report: RunReport | None
    cells: dict[str, Cell]
    edits: EditReport | None
    installed: InstallReport | None

    @property
    def requested(self) -> tuple[str, ...]:
        """The requested cells."""
        return self.report.requested if self.report else ()

    @property
    def own(self) -> str | None:
        """The requested cell, if it is exactly one."""
        return self.requested[0] if len(self.requested) == 1 else None

    @cached_property
    def asked_for(self) -> frozenset[str]:
        """The requested cells, to look for one."""
        return frozenset(self.requested)

    @property
    def runs(self) -> tuple[CellRun, ...]:
        return self.report.cells if self.report else ()

    @cached_property
    def added(self) -> tuple[str, ...]:
        """The new cells."""
        shown = self.run.place.added if self.run.place is not None else ()
        ids = {cell.notebook_cell_id: cell.cell_id for cell in self.cells.values()}
        beside = () if self.refused else tuple(ids.get(key, key) for key in shown)
        codes = iter(self.edits.added if self.edits is not None else ())
        placed = [key or next(codes, "") for key in beside]
        return (*codes, *filter(None, placed))

    @property
    def refused(self) -> bool:
        """Whether the graph refused the edits."""
        return self.edits is not None and not self.edits.applied

    @property
    def has_changed(self) -> bool:
        """Whether the kernel has, or a front end shows, what the run was to change: a front end shows it before it runs."""
        began = self.run.status not in {"queued", "aborted", "lost"}
        return not self.refused and (began or self.run.kind == "document")

    @property
    def status(self) -> str:
        """The run's status; for edits, which always have an ok reply, that of the cell."""
        if self.refused:
            return "refused"
        if self.installed is not None:
            return _install_status(self.installed)
        status = self.run.status
        if status == "ok" and raised_by(self.run) is not None:
            return "error"
        if self.run.kind == "execute" or status != "ok":
            return status
        statuses = [run.status for run in self.runs if run.cell_id in self.asked_for]
        return next((status for status in statuses if status != "ok"), "ok")

    @property
    def to_run(self) -> tuple[str, ...]:
        """Cells that should be run: they read an ipywidget, or lacked a package."""
        if self.installed is not None:
            return self.installed.cells
        return self.report.not_run if self.report else ()

    @property
    def seconds(self) -> float | None:
        if self.run.started_at is None:
            return None
        return (self.run.ended_at or time.time()) - self.run.started_at


async def run_view(attached: Attached, run: Run, window: Window) -> tuple[RunView, tuple[Image, ...]]:
    """Return the state and the effects of a run. Raises the `BridgeError` with which the kernel refused it."""
    facts = await _facts(attached, run)
    shown = await attached.show(await _outputs(attached.client, facts))
    text = shown.text
    if run.dropped_characters:
        text += f"\n[{run.dropped_characters} characters of output were not kept: the run made too much]"
    rest = f'read_run(run_id="{run.run_id}", offset={{offset}}) gives the rest.'
    own, status, place = facts.own, facts.status, run.place
    room = min(_MOST_DEPENDENTS, max(_MOST_DEPENDENT, window.budget - len(text))) if run.over else 0
    reran, pictures = await _dependents(attached, facts, room, shown.images)
    view = RunView(
        run_id=run.run_id,
        status=status,
        message=await _message(attached, facts, status),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images) + len(pictures),
        cell_id=own,
        version=facts.cells[own].version if own in facts.cells else None,
        seconds=worth_telling(facts.seconds),
        ran=() if own is not None else _ran(facts, requested=True),
        reran=reran,
        added=facts.added,
        packages=facts.installed.changes if facts.installed else (),
        to_run=facts.to_run,
        problems=facts.edits.problems if facts.edits else (),
        still_stale=facts.report.still_stale if facts.report else (),
        full=None if window.shows_all(text, shown) else _address(attached, facts),
        where=None if place is None or not facts.has_changed else place.where,
        op_id=None if place is None or place.op_id == run.run_id else place.op_id,
        note=attached.news(),
    )
    return view, (*shown.images, *pictures)


async def run_called(attached: Attached, run_id: str) -> Run:
    """Return a run by its id; in a reactive kernel also one of an earlier session, to be read. Raises `BridgeError` no_such_run."""
    try:
        return attached.client.runs.find(run_id)
    except BridgeError:
        report = None
        if attached.reactive:
            with suppress(BridgeError):  # the kernel does not answer
                report = (await attached.client.reads.outcome(run_id)).report
        if report is None:
            raise
        run = attached.client.document_runs.follow(run_id, [run_id], foreign=True)
        run.started_at = report.started_at
        return run


async def run_outputs(attached: Attached, run: Run) -> list[Output]:
    """Return all outputs of a run. Raises `BridgeError`."""
    return await _outputs(attached.client, await _facts(attached, run))


async def ran_cells(attached: Attached, run: Run) -> tuple[RanCell, ...]:
    """Return all cells that ran because of a run, so far. Raises `BridgeError`."""
    facts = await _facts(attached, run)
    return (*_ran(facts, requested=True), *_ran(facts, requested=False))


async def _facts(attached: Attached, run: Run) -> _Facts:
    client = attached.client
    outcome = await attached.outcome_of(run)
    ended = run.over and run.lost is None
    return _Facts(
        run,
        _report(client, run, outcome),
        {cell.cell_id: cell for cell in outcome.cells} if outcome else {},
        run.edit_report() if ended else None,
        run.install_report() if ended else None,
    )


def _report(client: KernelClient, run: Run, outcome: RunOutcome | None) -> RunReport | None:
    """Return the effects of a run; None if it is not in the graph, or discarded, or the kernel does not answer."""
    if not client.info.reactive or run.status in {"queued", "aborted", "lost"}:
        return None
    if run.over:
        report = run.report()
        if run.kind != "execute":
            return report
    return outcome.report if outcome else None


async def _outputs(client: KernelClient, facts: _Facts) -> list[Output]:
    """Return the outputs of the code, or of the requested cells, each under its id."""
    if facts.run.kind not in _RUNS_CELLS or not (facts.run.over or facts.run.foreign):
        return without_edited(facts.run.log.outputs())
    cell_ids = [cell_id for cell_id in facts.requested if cell_id in facts.cells]
    outputs: list[Output] = []
    for cell_id in cell_ids[:_MOST_CELLS]:
        of_cell = without_edited((await client.reads.read_cell(cell_id, MOST_OUTPUT)).outputs)
        if of_cell and len(cell_ids) > 1:
            outputs.append({"output_type": "stream", "name": "stdout", "text": f"[cell {cell_id}]\n"})
        outputs += of_cell
    return outputs


async def _message(attached: Attached, facts: _Facts, status: str) -> str:
    if facts.refused:
        return NOTHING_CHANGED
    if facts.installed is not None:
        return install_message(facts.installed)
    return await run_message(attached, facts.run, facts.report, status)


def _install_status(installed: InstallReport) -> str:
    if installed.exit_code is None:
        return "interrupted"
    return "error" if installed.exit_code else "ok"


def _address(attached: Attached, facts: _Facts) -> str:
    where = f"runs/{facts.run.run_id}" if facts.own is None else f"cells/{facts.own}"
    return f"marimo://{attached.handle}/{where}"


def _ran(facts: _Facts, *, requested: bool) -> tuple[RanCell, ...]:
    """Return the cells that ran: the requested ones, or their dependents."""
    if requested:
        return tuple(
            RanCell(run.cell_id, run.status, error=error_line(run.error))
            for run in facts.runs
            if run.cell_id in facts.asked_for and (run.status != "ok" or run.cell_id not in facts.added)
        )
    dependents = (run for run in facts.runs if run.cell_id not in facts.asked_for)
    return tuple(_ran_cell(run, facts.cells.get(run.cell_id)) for run in dependents)


def _ran_cell(run: CellRun, cell: Cell | None) -> RanCell:
    told = run.outputs_changed or run.status != "ok"
    return RanCell(
        run.cell_id,
        run.status,
        first_line(cell.code, _WIDTH) if cell and told else "",
        run.outputs_changed,
        worth_telling(run.duration),
        error_line(run.error),
    )


async def _dependents(
    attached: Attached, facts: _Facts, room: int, above: tuple[Image, ...]
) -> tuple[tuple[RanCell, ...], tuple[Image, ...]]:
    """Return the dependents that ran, with what they show now where it changed, and the images in it that are not above."""
    cells = list(_ran(facts, requested=False))
    changed = [number for number, cell in enumerate(cells) if cell.outputs_changed and cell.error is None]
    images: list[Image] = []
    for number in changed[:_MOST_CELLS]:
        if room <= 0:
            break
        cell_id = cells[number].cell_id
        try:
            read = await attached.client.reads.read_cell(cell_id, MOST_OUTPUT)
        except BridgeError as refusal:
            if refusal.code != "no_such_cell":
                raise
            continue  # it is gone by now
        shown = await attached.show(without_edited(read.outputs))
        rest = f'read_cell(cell_id="{cell_id}", offset={{offset}}) gives the rest.'
        text = cut(shown.text, min(_MOST_DEPENDENT, room), 0, rest)
        room -= len(text)
        new = [image for image in shown.images if image not in above and image not in images]
        images += new[: _MOST_PICTURES - len(images)]
        cells[number] = replace(cells[number], outputs=text, outputs_changed=not text)
    return tuple(cells), tuple(images)
