"""Searching the notebook: its texts in a worker, where a pattern that takes long is stopped, and outputs in the kernel.

A regular expression is foreign, as the texts are: it never runs in this process.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.cell_search import MOST_SEARCHED
from marimo_kernel_bridge.mcp_server.answers.notebook import FoundLine, SearchResult
from marimo_kernel_bridge.mcp_server.answers.origin import KERNEL
from marimo_kernel_bridge.mcp_server.media.presenter import SMALL
from marimo_kernel_bridge.mcp_server.media.text_search import find_lines
from marimo_kernel_bridge.mcp_server.views.notebook_source import notebook_source, of_kernel
from marimo_kernel_bridge.protocol.output_log import without_edited
from marimo_kernel_bridge.protocol.output_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.views.notebook_source import Given, SourceCell
    from marimo_kernel_bridge.protocol.inspection import Match

_BOUND: Final = 2.0
"""Seconds of processor time for a search. A pattern without nested repetitions reads 10 to 60 MB in it."""

_MOST_FOUND: Final = 10_000
_AT_ONCE: Final = 16

_Text = tuple[str, str, str]


async def search_result(
    attached: Attached, query: str, limit: int, given: Given, *, regex: bool
) -> SearchResult:
    """Return the lines that match. Raises `BridgeError` bad_request: no pattern, or one that takes too long."""
    source = await notebook_source(attached, given)
    if source is None and not regex:
        matches = await attached.client.reads.search(query, limit)
        lines, total, unread = map(_line, matches.found[:limit]), matches.total, matches.unread
        return SearchResult(tuple(lines), total, KERNEL, unread, attached.news(), query)
    cells = source.cells if source is not None else of_kernel(await attached.list_cells())
    texts: list[_Text] = [
        (cell.cell_id, "code" if cell.type == "code" else cell.type, cell.code) for cell in cells
    ]
    unread = ()
    if regex:
        outputs, unread = await _outputs(attached, cells)
        found, total = await _found(attached, [*texts, *outputs], query, limit, regex=True)
    else:
        found, total = await _found(attached, texts, query, limit, regex=False)
        in_outputs, more, unread = await _in_outputs(attached, cells, query, limit)
        found, total = [*found, *in_outputs], total + more
    places = {cell.cell_id: number for number, cell in enumerate(cells)}
    found.sort(key=lambda line: places.get(line.cell_id, len(places)))
    origin = source.origin if source is not None else KERNEL
    told = None if origin.shows == "document" else origin
    return SearchResult(tuple(found[:limit]), total, told, unread, attached.news(), query)


async def _found(
    attached: Attached, texts: Sequence[_Text], query: str, limit: int, *, regex: bool
) -> tuple[list[FoundLine], int]:
    if not regex and sum(len(text) for *_, text in texts) <= SMALL:
        lines, total = find_lines(texts, query, limit, regex=False)
        return _lines(lines), total
    try:
        lines, total = await attached.presenter.do(
            "find_lines", bound=_BOUND, texts=list(texts), query=query, limit=limit, regex=regex
        )
    except BridgeError as refusal:
        if refusal.code != "too_large":
            raise
        characters = sum(len(text) for *_, text in texts)
        raise BridgeError(
            "bad_request",
            f"This search takes more than {_BOUND:g} s of processor time, or too much memory, in the {characters:,} characters "
            "of this notebook; it was stopped.",
            "Use a simpler pattern, without nested repetitions, or plain text.",
        ) from refusal
    return _lines(lines), total


async def _in_outputs(
    attached: Attached, cells: Sequence[SourceCell], query: str, limit: int
) -> tuple[list[FoundLine], int, tuple[str, ...]]:
    """Return the lines of outputs with a text, their number, and cells with outputs too long to search.

    The kernel's search finds lines of its own code, too, which are not counted here: those of the notebook count.
    """
    code = [(cell.cell.cell_id, "code", cell.cell.code) for cell in cells if cell.cell is not None]
    _, in_code = await _found(attached, code, query, 0, regex=False)
    matches = await attached.client.reads.search(query, min(limit + in_code, _MOST_FOUND))
    lines = [_line(match) for match in matches.found if match.where == "output"]
    return lines[:limit], max(len(lines), matches.total - in_code), matches.unread


async def _outputs(attached: Attached, cells: Sequence[SourceCell]) -> tuple[list[_Text], tuple[str, ...]]:
    """Return the text of all outputs, and the cells of which it is not complete."""
    ids = [cell.cell.cell_id for cell in cells if cell.cell is not None]
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def read(cell_id: str) -> str:
        async with at_once:
            try:
                outputs = (await attached.client.reads.read_cell(cell_id, MOST_SEARCHED)).outputs
            except BridgeError as refusal:
                if refusal.code not in {"no_such_cell", "unsupported_version"}:
                    raise
                return ""  # it is gone by now, or code in the kernel has made an output that is none
        return "\n".join(
            plain_text(output, traceback=True, most=MOST_SEARCHED) for output in without_edited(outputs)
        )

    texts = await asyncio.gather(*map(read, ids))
    cut = tuple(name for name, text in zip(ids, texts, strict=True) if len(text) >= MOST_SEARCHED)
    return [(name, "output", text[:MOST_SEARCHED]) for name, text in zip(ids, texts, strict=True)], cut


def _lines(found: Iterable[tuple[str, str, int, str]]) -> list[FoundLine]:
    return [FoundLine(cell_id, line, text, where) for cell_id, where, line, text in found]


def _line(match: Match) -> FoundLine:
    return FoundLine(match.cell_id, match.line, match.text, match.where)
