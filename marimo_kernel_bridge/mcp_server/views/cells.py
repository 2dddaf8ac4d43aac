"""Answers about cells: the outline of a notebook, and one cell with its outputs.

Uses the control channel only, so that answers are available while a cell runs.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.cells import CellLine, CellList, CellView
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import Image, cut
from marimo_kernel_bridge.mcp_server.views.window import MOST_OUTPUT, Window
from marimo_kernel_bridge.protocol.lines import count_lines, split_lines
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attachments import Attached
    from marimo_kernel_bridge.protocol.notebook import Cell, CellError, Outline

_KINDS: Final = (
    (re.compile(r"(\w+ = )?mo\.md\("), "markdown"),
    (re.compile(r"(\w+ = )?mo\.sql\("), "sql"),
    (re.compile(r"[%!]"), "magic"),
    (re.compile(r"(async )?def |@"), "function"),
    (re.compile(r"class "), "class"),
    (re.compile(r"\w+ = mo\.ui\."), "ui"),
)

_READ: Final = 10_000
"""Characters by which the kind of a cell is recognized."""


def cell_list(outline: Outline, offset: int, note: str) -> CellList:
    return CellList(tuple(_cell_line(cell) for cell in outline.cells), outline.total, offset, note)


async def cell_view(attached: Attached, cell_id: str, window: Window) -> tuple[CellView, tuple[Image, ...]]:
    read = await attached.client.reads.read_cell(cell_id, MOST_OUTPUT)
    outputs = without_edited(read.outputs)
    cell, shown = read.cell, await attached.show(outputs)
    text = shown.text
    rest = f'read_cell(cell_id="{cell.cell_id}", offset={{offset}}) gives the rest of the outputs.'
    full = f"marimo://{attached.handle}/cells/{cell.cell_id}"
    code = await attached.redacted(cell.code)
    whole = window.shows_all(text, shown) and len(code) <= window.budget
    view = CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=cut(code, window.budget, 0, f"The resource {full} has all of it."),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images),
        stale=cell.stale,
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        upstream=cell.upstream,
        downstream=cell.downstream,
        not_watched=cell.not_watched,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        seconds=cell.duration,
        error=error_line(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
        ran_at=_time(cell.last_run_at),
        full=None if whole else full,
        note=attached.news(),
    )
    return view, shown.images


def _cell_line(cell: Cell) -> CellLine:
    return CellLine(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=first_line(cell.code),
        stale=cell.stale,
        lines=count_lines(cell.code),
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        error=error_line(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
        kind=_kind(cell.code),
        ran_at=_time(cell.last_run_at),
        seconds=cell.duration,
        not_watched=cell.not_watched,
    )


def _time(seconds: float | None) -> str | None:
    """Return the local time of day, with the date unless it is today."""
    if seconds is None:
        return None
    then = dt.datetime.fromtimestamp(seconds).astimezone()
    today = then.date() == dt.datetime.now().astimezone().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def _kind(code: str) -> str:
    """Return the kind of a cell by its first lines; "code" if it has no special kind."""
    lines = [
        line.strip()
        for line in split_lines(code[:_READ])
        if line.strip() and not line.strip().startswith("#")
    ]
    if lines and all(line.startswith(("import ", "from ")) for line in lines):
        return "imports"
    first = lines[0] if lines else ""
    return next((kind for pattern, kind in _KINDS if pattern.match(first)), "code")


def error_line(error: CellError | None) -> str | None:
    return None if error is None else f"{error.ename}: {error.evalue}".rstrip(": ")
