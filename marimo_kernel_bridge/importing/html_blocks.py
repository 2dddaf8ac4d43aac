"""HTML that stands around Markdown: `<div class="alert alert-info">`, a blank line, and text with `**marks**`.

In Jupyter such HTML ends at the blank line, and the text is Markdown; in marimo all is HTML up to the closing tag. Alerts and
`<details>` become marimo's own blocks, and other tags that only place the text are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPENING: Final = re.compile(r" {0,3}<(div|center|section|article|details|p)\b([^<>]*)>\s*", re.IGNORECASE)
_SUMMARY: Final = re.compile(r"\s*<summary>(.*)</summary>\s*", re.IGNORECASE)
_ALERT: Final = re.compile(r"\balert-(info|success|warning|danger)\b")
_TAG: Final = re.compile(r"<[^<>]*>")


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
    tag, attributes = opening[1].lower(), opening[2]
    begin, summary = at + 1, ""
    if tag == "details" and begin < len(lines) and (found := _SUMMARY.fullmatch(lines[begin])) is not None:
        begin, summary = begin + 1, _TAG.sub("", found[1]).strip()
    if begin >= len(lines) or lines[begin].strip():
        return None
    end = _end(lines, code, begin, tag)
    if end is None:
        return None
    alert = _ALERT.search(attributes)
    if tag == "details":
        return begin, end, [f"/// details | {summary or 'Details'}"], ["", "///", ""]
    if alert is not None:
        return begin, end, ["/// admonition |", f"    type: {alert[1]}"], ["", "///", ""]
    return begin, end, [""], [""]


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
