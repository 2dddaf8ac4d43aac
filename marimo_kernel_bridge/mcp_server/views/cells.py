"""Answers about cells: the outline of a notebook, and one cell with its outputs.

Uses the control channel only, so that answers are available while a cell runs.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.cells import CellLine, CellList, CellsRead, CellView
from marimo_kernel_bridge.mcp_server.answers.durations import worth_telling
from marimo_kernel_bridge.mcp_server.answers.origin import KERNEL, Origin
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import MAX_IMAGE_CHARACTERS, Image, cut
from marimo_kernel_bridge.mcp_server.views.notebook_source import (
    NOTHING_GIVEN,
    Given,
    found_cell,
    notebook_source,
    of_kernel,
)
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.protocol.lines import count_lines, split_lines
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.views.notebook_source import SourceCell
    from marimo_kernel_bridge.protocol.notebook import CellError, CellWithOutputs

_WIDTH: Final = 60
"""Characters of a cell's first line in a list."""

_LEAST: Final = 200
"""Characters of a cell among several, however many those are."""

_OF_ONE_CELL: Final = frozenset({"no_such_cell", "unsupported_version"})
"""Refusals that are about one cell."""

_NOT_OVER: Final = frozenset({"running", "queued"})

_IMPORT: Final = re.compile(r"\s*(import|from)\b")
_READ: Final = 10_000
"""Characters by which a cell with imports alone is recognized."""


async def cell_list(attached: Attached, offset: int, limit: int, given: Given = NOTHING_GIVEN) -> CellList:
    """Return a part of the outline. Raises `BridgeError`."""
    source = await notebook_source(attached, given)
    if source is None:
        outline = await attached.client.reads.outline(offset, limit)
        cells, total, origin = of_kernel(outline.cells[:limit]), outline.total, KERNEL
    else:
        cells, total, origin = source.cells[offset : offset + limit], len(source.cells), source.origin
    imported = {
        name for cell in cells if cell.cell and _imports(cell.cell.code) for name in cell.cell.defines
    }
    return CellList(tuple(_line(cell, imported) for cell in cells), total, origin, offset)


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
    return replace(view, version=version, sync=sync, origin=_brief(origin)), images


async def cells_read(
    attached: Attached, cell_ids: Sequence[str], window: Window, given: Given = NOTHING_GIVEN
) -> tuple[CellsRead, tuple[Image, ...]]:
    """Return several cells, which share the budget and the room for images; a cell that cannot be read costs none of the others.

    Raises `BridgeError`: that of the first, if none can be read.
    """
    left, room = window.budget, MAX_IMAGE_CHARACTERS
    views: list[CellView] = []
    images: list[Image] = []
    not_read: list[BridgeError] = []
    for number, cell_id in enumerate(dict.fromkeys(cell_ids)):
        share = max(_LEAST, left // max(1, len(cell_ids) - number))
        try:
            view, pictures = await cell_view(attached, cell_id, Window(share), given)
        except BridgeError as refusal:
            if refusal.code not in _OF_ONE_CELL:
                raise
            not_read.append(refusal)
            continue
        fit: list[Image] = []
        for picture in pictures:
            if picture not in images and len(picture.data) <= room:
                fit.append(picture)
                room -= len(picture.data)
        if len(fit) < len(pictures):
            told = f"[{len(pictures) - len(fit)} images are above, or have no room: read_cell shows them]"
            view = replace(view, outputs=f"{view.outputs}\n{told}", images=len(fit))
        images += fit
        views.append(view)
        left -= len(view.code) + len(view.outputs)
    if not views:
        raise not_read[0]
    note = " ".join(filter(None, (view.note for view in views)))
    why = tuple(f"[{refusal.code}] {refusal}" for refusal in not_read)
    cells = tuple(replace(view, note="", origin=None) for view in views)
    return CellsRead(cells, views[0].origin, note, why), tuple(images)


def _brief(origin: Origin) -> Origin | None:
    """Return where a single cell is from, without what the list of cells says of it; None for the document."""
    if origin.shows == "document":
        return None
    return Origin(origin.shows, seconds_old=origin.seconds_old if origin.shows == "file" else None)


async def _without_outputs(attached: Attached, cell: SourceCell, origin: Origin, window: Window) -> CellView:
    """Return a cell that the kernel does not have: Markdown, or one that never ran."""
    return CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status="new" if cell.type == "code" else "ok",
        code=await _part(attached, cell, window, None),
        edited_by=_agent(cell.by),
        type=cell.type,
        sync=cell.sync,
        origin=_brief(origin),
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
    over = cell.status not in _NOT_OVER  # what is known of a run is of the one before
    view = CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=cut(code, window.budget, 0, f"The resource {full} has all of it."),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images),
        stale=cell.stale,
        defines=cell.defines,
        uses=cell.uses,
        upstream=cell.upstream,
        downstream=cell.downstream,
        not_watched=cell.not_watched,
        edited_by=_agent(cell.edited_by),
        run_by=_agent(cell.last_run_by) if over else None,
        seconds=worth_telling(cell.duration) if over else None,
        error=error_line(cell.error),
        ran_at=time_of_day(cell.last_run_at) if over else None,
        full=None if whole else full,
        note=attached.news(),
    )
    return view, shown.images


def _line(cell: SourceCell, imported: Container[str]) -> CellLine:
    line = CellLine(
        cell.cell_id,
        cell.version,
        first_line(cell.code, _WIDTH),
        status="new" if cell.type == "code" else "ok",
        lines=count_lines(cell.code),
        edited_by=_agent(cell.by),
        type=cell.type,
        sync=cell.sync,
    )
    known = cell.cell
    if known is None:
        return line
    return replace(
        line,
        version=cell.version or known.version,
        status=known.status,
        stale=known.stale,
        defines=known.defines,
        uses=tuple(name for name in known.uses if name not in imported),
        edited_by=_agent(known.edited_by),
        run_by=_agent(known.last_run_by),
        error=error_line(known.error),
        seconds=worth_telling(known.duration, 1.0),
        not_watched=known.not_watched,
    )


def _agent(author: str | None) -> str | None:
    """Return an author who is not the person."""
    return None if author == NOTEBOOK else author


def time_of_day(seconds: float | None) -> str | None:
    """Return the local time of day, with the date unless it is today."""
    if seconds is None:
        return None
    then = dt.datetime.fromtimestamp(seconds).astimezone()
    today = then.date() == dt.datetime.now().astimezone().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def _imports(code: str) -> bool:
    """Whether a cell has imports and nothing else, as far as its beginning tells."""
    lines = [line for line in split_lines(code[:_READ]) if line.strip() and not line.lstrip().startswith("#")]
    return bool(lines) and all(_IMPORT.match(line) for line in lines)


def error_line(error: CellError | None) -> str | None:
    if error is None:
        return None
    limit = f"limit_exceeded: {error.limit}; " if error.limit else ""
    return f"{limit}{error.ename}: {error.evalue}".rstrip(": ")
