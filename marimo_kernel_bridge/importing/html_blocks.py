"""HTML that stands around Markdown: `<div class="alert alert-info">`, a blank line, and text with `**marks**`.

In Jupyter such HTML ends at the blank line, and the text is Markdown; in marimo all is HTML up to the closing tag. Alerts and
`<details>` become marimo's own blocks, and other tags that only place the text are left out. HTML above the blank line stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPENING: Final = re.compile(r"<(div|center|section|article|details|p)\b([^<>]*)>(.*)", re.IGNORECASE)
_SUMMARY: Final = re.compile(r"\s*<summary\b[^<>]*>(.*)</summary>", re.IGNORECASE | re.DOTALL)
_ALERT: Final = re.compile(r"\balert-(info|success|warning|danger)\b")
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][\w-]*+)?+[^<>]*+>")
_WITHOUT_END: Final = frozenset({"br", "hr", "img"})


def as_blocks(lines: Sequence[str], code: Sequence[bool]) -> list[str]:
    """Return lines with blocks of marimo where HTML stands around Markdown. `code` says which lines are in fences."""
    result: list[str] = []
    closing: dict[int, list[str]] = {}
    at = 0
    while at < len(lines):
        opening = _OPENING.fullmatch(lines[at]) if not code[at] and at not in closing else None
        if at in closing:
            result += closing[at]
        elif opening is not None and (found := _block(lines, code, at, opening)) is not None:
            begin, end, first, last = found
            result += first
            closing[end] = last
            at = begin
            continue
        else:
            result.append(lines[at])
        at += 1
    return result


def _block(
    lines: Sequence[str], code: Sequence[bool], at: int, opening: re.Match[str]
) -> tuple[int, int, list[str], list[str]] | None:
    """Return where the text of a tag begins and ends, and the lines in place of the tags; None if it holds HTML."""
    tag = opening[1].lower()
    begin = next((number for number in range(at + 1, len(lines)) if not lines[number].strip()), len(lines))
    end = _end(lines, code, begin, tag)
    html, title = "\n".join([opening[3], *lines[at + 1 : begin]]), ""
    if tag == "details" and (summary := _SUMMARY.match(html)) is not None:
        html, title = html[summary.end() :], " ".join(_TAG.sub("", summary[1]).split())
    if end is None or not _is_whole(html, tag):
        return None
    above = [line.strip() for line in html.split("\n") if line.strip()]
    if tag == "details":
        return (
            begin,
            end,
            [f"/// details | {title or 'Details'}", *([""] if above else []), *above],
            ["", "///", ""],
        )
    if (alert := _ALERT.search(opening[2])) is not None:
        return (
            begin,
            end,
            ["/// admonition |", f"    type: {alert[1]}", *([""] if above else []), *above],
            ["", "///", ""],
        )
    return begin, end, ["", *above], [""]


def _is_whole(html: str, around: str) -> bool:
    """Return whether each tag of some HTML is closed in it, and it has none like the one around it."""
    opened: list[str] = []
    for found in _TAG.finditer(html):
        tag = (found[2] or "").lower()
        if tag == around:
            return False
        if not found[1] and tag not in _WITHOUT_END and not found[0].endswith("/>"):
            opened.append(tag)
        elif found[1] and (not opened or opened.pop() != tag):
            return False
    return not opened


def _end(lines: Sequence[str], code: Sequence[bool], begin: int, tag: str) -> int | None:
    """Return the line of the closing tag, if it has one for itself."""
    tags = re.compile(rf"<(/?){tag}\b", re.IGNORECASE)
    depth = 1
    for number in range(begin, len(lines)):
        if code[number]:
            continue
        for found in tags.finditer(lines[number]):
            depth += -1 if found[1] else 1
            if depth == 0:
                return number if lines[number].strip().lower() == f"</{tag}>" else None
    return None
