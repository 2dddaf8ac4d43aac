"""The printed reports on imported cells: one line for each reason, and a reason that many cells share once."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.notebooks.ipynb import CellReport

_OFTEN: Final = 2
"""From how many other cells with the same note on it is told once."""
_INDENT: Final = "    "


def told_once(cells: Sequence[CellReport]) -> list[CellReport]:
    """Return the reports on cells with each note that many of them have at the first, which names the others."""
    having: dict[str, list[int]] = {}
    for cell in cells:
        for note in cell.notes:
            having.setdefault(note, []).append(cell.position)
    reports = []
    for cell in cells:
        notes = []
        for note in cell.notes:
            first, *others = having[note]
            if len(others) < _OFTEN:
                notes.append(note)
            elif first == cell.position:
                notes.append(f"{note} (so in cells {', '.join(map(str, others))})")
        if notes or not cell.notes:
            reports.append(replace(cell, notes=tuple(notes)))
    return reports


def report_lines(cell: CellReport, columns: int | None) -> Iterator[str]:
    """Yield the lines of a report on a cell, no longer than `columns` if the words allow it; None is without a limit."""
    if len(cell.notes) < 2:  # noqa: PLR2004  # one reason needs no list
        yield from _wrapped(str(cell), "", columns)
        return
    yield f"{replace(cell, notes=())}:"
    for note in cell.notes:
        yield from _wrapped(note, _INDENT, columns)


def _wrapped(text: str, indent: str, columns: int | None) -> list[str]:
    if columns is None or len(indent + text) <= columns:
        return [indent + text]
    return textwrap.wrap(
        text,
        columns,
        initial_indent=indent,
        subsequent_indent=indent + _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
