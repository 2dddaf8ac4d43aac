"""Searching the code and the outputs of cells for text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.inspection import Match, Matches
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.output_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from marimo_kernel_bridge.protocol.notebook import CellWithOutputs, Output

MOST_SEARCHED: Final = 1_000_000
"""Characters of one cell's outputs. The search runs on the control thread beside a running cell, which it must not delay."""

_WIDTH: Final = 200


def search(
    cells: Iterable[CellWithOutputs], query: str, limit: int, hide: Callable[[str], str] = str
) -> Matches:
    """Return the lines that contain `query`, ignoring case. Not a regular expression, which could take forever.

    Only what `hide` leaves of a text is searched: a match would tell whether a guess at a hidden value is right.
    """
    needle = query.casefold()
    matches: list[Match] = []
    total = 0
    unread: list[str] = []
    for both in cells:
        cell_id = both.cell.cell_id
        output, whole = _text(both.outputs)
        if not whole:
            unread.append(cell_id)
        for where, text in (("code", hide(both.cell.code)), ("output", hide(output))):
            for number, line in enumerate(split_lines(text), 1):
                if needle in line.casefold():
                    total += 1
                    if len(matches) < limit:
                        matches.append(Match(cell_id, where, number, _around(line, needle)))  # type: ignore[arg-type]  # one of two literals
    return Matches(tuple(matches), total, tuple(unread))


def _text(outputs: Iterable[Output]) -> tuple[str, bool]:
    """Return the text in outputs, and whether it is complete."""
    room, texts = MOST_SEARCHED, []
    for output in outputs:
        text = plain_text(output, traceback=True, most=MOST_SEARCHED + 1)
        texts.append(text[:room])
        room -= len(text)
        if room < 0:
            return "\n".join(texts), False
    return "\n".join(texts), True


def _around(line: str, needle: str) -> str:
    start = max(0, line.casefold().find(needle) - _WIDTH // 2)
    part = line[start : start + _WIDTH].strip()
    return ("…" if start else "") + part + ("…" if start + _WIDTH < len(line) else "")
