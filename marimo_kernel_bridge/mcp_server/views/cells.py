"""Answers about cells: the outline of a notebook, and one cell with its outputs.

Uses the control channel only, so that answers are available while a cell runs.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.cells import CellLine, CellList, CellView
from marimo_kernel_bridge.mcp_server.answers.origin import KERNEL
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import Image, cut
from marimo_kernel_bridge.mcp_server.views.notebook_source import (
    NOTHING_GIVEN,
    Given,
    found_cell,
    notebook_source,
)
from marimo_kernel_bridge.protocol.lines import count_lines, split_lines
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.answers.origin import Origin
    from marimo_kernel_bridge.mcp_server.attachments import Attached
    from marimo_kernel_bridge.mcp_server.views.notebook_source import SourceCell
    from marimo_kernel_bridge.mcp_server.views.window import Window
    from marimo_kernel_bridge.protocol.notebook import Cell, CellError, CellWithOutputs

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


async def cell_list(attached: Attached, offset: int, limit: int, given: Given = NOTHING_GIVEN) -> CellList:
    """Return a part of the outline. Raises `BridgeError`."""
    source = await notebook_source(attached, given)
    if source is None:
        outline = await attached.client.reads.outline(offset, limit)
        lines, total, origin = map(_cell_line, outline.cells[:limit]), outline.total, KERNEL
    else:
        cells = source.cells[offset : offset + limit]
        lines, total, origin = map(_source_line, cells), len(source.cells), source.origin
    return CellList(tuple(lines), total, origin, offset)


async def cell_view(
    attached: Attached, cell_id: str, window: Window, given: Given = NOTHING_GIVEN
) -> tuple[CellView, tuple[Image, ...]]:
    """Return a cell with its outputs. Raises `BridgeError` no_such_cell."""
    read, found, origin = await found_cell(attached, cell_id, given)
    if read is None:
        assert found is not None, "one of both has it"
        return await _without_outputs(attached, found, origin, window), ()
    view, images = await _kernels_view(attached, read, window)
    if found is not None and found.sync == "changed":
        view = replace(view, code=await _part(attached, found, window, view.full))
    version, sync = (view.version, None) if found is None else (found.version or view.version, found.sync)
    return replace(view, version=version, sync=sync, origin=origin), images


async def _without_outputs(attached: Attached, cell: SourceCell, origin: Origin, window: Window) -> CellView:
    """Return a cell that the kernel does not have: Markdown, or one that never ran."""
    return CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status="new",
        code=await _part(attached, cell, window, None),
        outputs="",
        edited_by=cell.by,
        type=cell.type,
        sync=cell.sync,
        origin=origin,
        note=attached.news(),
    )


async def _part(attached: Attached, cell: SourceCell, window: Window, full: str | None) -> str:
    """Return a cell's text for an answer."""
    code = await attached.redacted(cell.code)
    where = f"The resource {full} has what ran." if full else "A larger max_chars shows more."
    return cut(code, window.budget, 0, where)


async def _kernels_view(
    attached: Attached, read: CellWithOutputs, window: Window
) -> tuple[CellView, tuple[Image, ...]]:
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
        ran_at=time_of_day(cell.last_run_at),
        full=None if whole else full,
        note=attached.news(),
    )
    return view, shown.images


def _source_line(cell: SourceCell) -> CellLine:
    code = first_line(cell.code)
    if cell.cell is None:
        return CellLine(
            cell_id=cell.cell_id,
            version=cell.version,
            status="new",
            code=code,
            lines=count_lines(cell.code),
            edited_by=cell.by,
            kind=_kind(cell.code) if cell.type == "code" else "code",
            type=cell.type,
            sync=cell.sync,
        )
    return replace(
        _cell_line(cell.cell),
        version=cell.version or cell.cell.version,
        code=code,
        lines=count_lines(cell.code),
        kind=_kind(cell.code),
        sync=cell.sync,
    )


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
        ran_at=time_of_day(cell.last_run_at),
        seconds=cell.duration,
        not_watched=cell.not_watched,
    )


def time_of_day(seconds: float | None) -> str | None:
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
