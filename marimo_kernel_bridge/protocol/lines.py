"""Lines of code and of outputs, counted as Jupyter and Python's tokenizer count them. Pure."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

_MOST_LINES: Final = 20_000
_LINE_END: Final = re.compile(r"\r\n?|\n")


def split_lines(text: str) -> list[str]:
    r"""Split a text at `\n`, `\r\n` and `\r`; a line end at the end of the text does not start another line.

    `str.splitlines` also splits at form feeds, U+0085, U+2028 and others, which do not end a line of a cell.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def count_lines(text: str) -> int:
    """Return the number of lines; a text without any has one."""
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    return max(1, ends + (not text.endswith(("\n", "\r"))))


def line_at(text: str, number: int) -> str:
    """Return a line by its number, from 1 on; empty if there is none, or so many before it that nobody wrote them."""
    if not 0 < number <= _MOST_LINES:
        return ""
    ends = [match.span() for match in islice(_LINE_END.finditer(text), number)]
    if number > len(ends) + 1:
        return ""
    start = ends[number - 2][1] if number > 1 else 0
    return text[start : ends[number - 1][0] if len(ends) >= number else len(text)]
