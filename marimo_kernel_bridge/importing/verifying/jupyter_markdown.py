"""Markdown as JupyterLab shows it, as HTML. Pure.

JupyterLab takes the formulas out (its `latex.ts`), renders CommonMark with tables, and puts the formulas back; `_Formulas`
follows that text. The rest is the business of markdown-it.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.importing.verifying.html_structure import Part, structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPLIT: Final = re.compile(
    r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n\s*)+|@@\d+@@|\\\\(?:\(|\)|\[|\]))", re.IGNORECASE
)
_FENCE: Final = re.compile(r"(`{3,}+|~{3,}+)[^`]*")
_FENCE_END: Final = re.compile(r"(~*+)`*")
_TICKS: Final = re.compile("`+")
_DOLLAR: Final = "\ue000"
"""What stands for a dollar sign in code, which begins no formula."""
_PLACE: Final = re.compile(r"@@(\d+)@@")
_DELIMITERS: Final = re.compile(r"\$\$?|\\\\[()\[\]]")


def shown_in_jupyter(source: str) -> tuple[Part, ...]:
    """Return the parts of what JupyterLab shows of a Markdown cell."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # needed for this alone

    text, formulas = without_formulas(source)
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return structure(_PLACE.sub(lambda found: rf"\({html.escape(formulas[int(found[1])])}\)", shown))


def without_formulas(source: str) -> tuple[str, list[str]]:
    """Return the text with a placeholder for each formula, and the formulas without their delimiters."""
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    for start, end in fenced_lines(lines):
        lines[start:end] = [line.replace("$", _DOLLAR) for line in lines[start:end]]
    lines = [_without_dollars(line) if "`" in line and "$" in line else line for line in lines]
    blocks = _SPLIT.split("\n".join(lines))
    formulas = _Formulas(blocks)
    for at in range(1, len(blocks), 2):
        formulas.look(at)
    formulas.end()
    return "".join(formulas.blocks).replace(_DOLLAR, "$"), formulas.found


def _without_dollars(line: str) -> str:
    pieces, after = [], 0
    for start, end in code_spans(line):
        pieces += [line[after:start], line[start:end].replace("$", _DOLLAR)]
        after = end
    return "".join([*pieces, line[after:]])


def fenced_lines(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    r"""Yield the first and the last line, exclusive, of what JupyterLab takes for fenced code, in linear time.

    ^(?P<fence>`{3,}|~{3,})[^`\n]*\n[\s\S]*?^(?P=fence)`*$
    """
    ends: dict[
        str, list[int]
    ] = {}  # lines that may end a fence, by its tildes, or under "" those of backticks alone
    for number, line in enumerate(lines):
        if line and (end := _FENCE_END.fullmatch(line)):
            ends.setdefault(end[1], []).append(number)
    longest = [0]  # number of backticks in the last of those lines, the last two, ...
    longest += accumulate((len(lines[number]) for number in reversed(ends.get("", []))), max)
    after = 0
    for number, line in enumerate(lines):
        start = _FENCE.fullmatch(line) if number >= after else None
        if start is None:
            continue
        these, least = ends.get("", []), len(start[1])
        if start[1][0] == "~":  # a shorter one may begin it
            shorter = (ends.get("~" * length, []) for length in range(least, 2, -1))
            these, least = next((some for some in shorter if some and some[-1] > number), []), 0
        at = bisect_right(these, number)
        if at < len(these) and (not least or longest[len(these) - at] >= least):
            after = 1 + next(end for end in these[at:] if len(lines[end]) >= least)
            yield number, after


def code_spans(line: str) -> Iterator[tuple[int, int]]:
    r"""Yield the start and the end of what JupyterLab takes for inline code in a line, in linear time.

    (?:^|[^\\])(`+)[^\n]*?[^`\n]\1(?!`)
    """
    runs = [(found.start(), found.end()) for found in _TICKS.finditer(line)]
    of_length: dict[int, list[int]] = {}
    for start, end in runs:
        of_length.setdefault(end - start, []).append(start)
    after = 0
    for start, end in runs:
        if start < after:
            continue
        escaped = start > 0 and line[start - 1] == "\\"
        for length in range(end - start - escaped, 0, -1):  # a shorter one may begin it
            these = of_length.get(length, [])
            if these and these[-1] > start:
                after = these[bisect_right(these, start)] + length
                yield start + escaped, after
                break


class _Formulas:
    """The search for formulas in a text that was split where one may begin, end, or be interrupted."""

    def __init__(self, blocks: list[str]) -> None:
        self.blocks = blocks
        self.found: list[str] = []
        self._start: int | None = None
        self._last: int | None = None  # a possible end inside of braces
        self._end = ""
        self._braces = 0

    def look(self, at: int) -> None:
        block = self.blocks[at]
        if block.startswith("@@"):
            self._take(at, at)
        elif self._start is not None:
            self._look_for_end(at, block)
        elif block in ("$", "$$"):
            self._begin(at, block)
        elif block in (r"\\(", r"\\["):
            self._begin(at, r"\\)" if block.endswith("(") else r"\\]")
        elif block.startswith(r"\begin"):
            self._begin(at, rf"\end{block.removeprefix(chr(92) + 'begin')}")

    def end(self) -> None:
        if self._start is not None and self._last is not None:
            self._take(self._start, self._last)

    def _begin(self, at: int, end: str) -> None:
        self._start, self._last, self._end, self._braces = at, None, end, 0

    def _look_for_end(self, at: int, block: str) -> None:
        assert self._start is not None
        if block == self._end:
            if self._braces:
                self._last = at
            else:
                self._take(self._start, at)
        elif block.count("\n") > 1:
            if self._last is not None:
                self._take(self._start, self._last)
            self._start = None
        elif block == "{":
            self._braces += 1
        elif block == "}" and self._braces:
            self._braces -= 1

    def _take(self, start: int, end: int) -> None:
        formula = "".join(self.blocks[start : end + 1]).replace(_DOLLAR, "$")
        for at in range(start, end + 1):
            self.blocks[at] = ""
        self.blocks[start] = f"@@{len(self.found)}@@"
        if _DELIMITERS.match(formula):
            width = len(self._end) if self._start is not None else 0
            formula = formula[width : len(formula) - width]
        self.found.append(formula)
        self._start = None
