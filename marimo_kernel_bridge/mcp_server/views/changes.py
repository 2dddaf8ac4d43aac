"""What changed in document and kernel, by cell and by author, as differences between texts."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.document import AuthorsChange, ChangedCell, ChangesSince
from marimo_kernel_bridge.mcp_server.answers.view import who
from marimo_kernel_bridge.mcp_server.media.text_differences import line_differences
from marimo_kernel_bridge.mcp_server.views.cells import time_of_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.document_edits import CellChange

_QUICK: Final = 4000
"""Characters of which the differences are found in this process: the time grows with the square of the lines."""

_Step = tuple[str, list["CellChange"]]


async def changes_since(attached: Attached, point: int | None) -> ChangesSince:
    """Return the changes after a point; None: since this agent last asked. Raises `BridgeError`."""
    changes = await attached.client.document.changes(point)
    names = {
        cell.notebook_cell_id: cell.cell_id
        for cell in await attached.list_cells()
        if cell.notebook_cell_id is not None
    }
    by_cell: dict[str, list[CellChange]] = {}
    for change in changes.changes:
        by_cell.setdefault(names.get(change.key, change.key), []).append(change)
    steps: list[_Step] = [
        (cell_id, list(in_a_row))
        for cell_id, of_cell in by_cell.items()
        for _, in_a_row in groupby(of_cell, key=lambda change: (change.by, _edits(change)))
    ]
    texts = await _differences(attached, [_texts(in_a_row) for _, in_a_row in steps])
    cells: dict[str, list[AuthorsChange]] = {}
    for (cell_id, in_a_row), text in zip(steps, texts, strict=True):
        newest = in_a_row[-1]
        if _edits(newest) and not text:
            continue  # it was changed back
        made = AuthorsChange(who(newest.by), _kind(in_a_row), time_of_day(newest.at) or "", text)
        cells.setdefault(cell_id, []).append(made)
    return ChangesSince(
        tuple(ChangedCell(cell_id, tuple(made)) for cell_id, made in cells.items()),
        changes.point,
        changes.incomplete,
        attached.news(),
    )


def _edits(change: CellChange) -> bool:
    """Whether a change has another text, so that it is one with those beside it."""
    return change.kind in {"changed", "added", "deleted"}


def _kind(in_a_row: Sequence[CellChange]) -> str:
    kinds = [change.kind for change in in_a_row]
    return next((kind for kind in ("deleted", "added") if kind in kinds), kinds[-1])


def _texts(in_a_row: Sequence[CellChange]) -> tuple[str, str]:
    if not _edits(in_a_row[0]):
        return "", ""
    return in_a_row[0].before or "", in_a_row[-1].after or ""


async def _differences(attached: Attached, pairs: Sequence[tuple[str, str]]) -> Sequence[str]:
    if sum(len(before) + len(after) for before, after in pairs) <= _QUICK:
        return list(line_differences(pairs))
    found: list[str] = await attached.presenter.do("line_differences", pairs=list(pairs))
    return found
