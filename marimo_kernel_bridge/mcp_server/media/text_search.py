"""Searching texts for a text or a regular expression, line by line. Pure; `work` does it where it can be stopped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WIDTH: Final = 200
_LONGEST_LINE: Final = 100_000
"""Characters of one line in which a pattern is looked for."""


def find_lines(
    texts: Sequence[tuple[str, str, str]], query: str, limit: int, *, regex: bool
) -> tuple[list[tuple[str, str, int, str]], int]:
    """Return the first `limit` lines that match, as (cell, where, number, part of the line), and the number of all.

    `texts` are (cell, where, text). Case does not matter. Raises `BridgeError` bad_request for what is no pattern.
    """
    place = _by_pattern(query) if regex else _by_text(query)
    found: list[tuple[str, str, int, str]] = []
    total = 0
    for cell, where, text in texts:
        for number, line in enumerate(split_lines(text), 1):
            at = place(line)
            if at >= 0:
                total += 1
                if len(found) < limit:
                    found.append((cell, where, number, _around(line, at)))
    return found, total


def _by_text(query: str) -> Callable[[str], int]:
    needle = query.casefold()
    return lambda line: line.casefold().find(needle)


def _by_pattern(query: str) -> Callable[[str], int]:
    try:
        pattern = re.compile(query, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise BridgeError(
            "bad_request",
            f"query is no regular expression: {error}.",
            "It is one of Python's; without regex=true it is plain text.",
        ) from None

    def place(line: str) -> int:
        match = pattern.search(line[:_LONGEST_LINE])
        return -1 if match is None else match.start()

    return place


def _around(line: str, at: int) -> str:
    start = max(0, at - _WIDTH // 2)
    part = line[start : start + _WIDTH].strip()
    return ("…" if start else "") + part + ("…" if start + _WIDTH < len(line) else "")
