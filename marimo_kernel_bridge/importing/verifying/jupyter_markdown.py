"""Markdown as JupyterLab shows it, as HTML. Pure.

JupyterLab takes the formulas out (its `latex.ts`), renders CommonMark with tables, and puts the formulas back; `_Formulas`
follows that text. The rest is the business of markdown-it.
"""

from __future__ import annotations

import html
import re
from typing import Final

from marimo_kernel_bridge.importing.verifying.html_structure import Part, structure

_SPLIT: Final = re.compile(
    r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n\s*)+|@@\d+@@|\\\\(?:\(|\)|\[|\]))", re.IGNORECASE
)
_FENCED: Final = re.compile(r"^(?P<fence>`{3,}|~{3,})[^`\n]*\n[\s\S]*?^(?P=fence)`*$", re.MULTILINE)
_SPAN: Final = re.compile(r"(?:^|[^\\])(`+)[^\n]*?[^`\n]\1(?!`)", re.MULTILINE)
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
    for code in (_FENCED, _SPAN):
        text = code.sub(lambda found: found[0].replace("$", _DOLLAR), text)
    blocks = _SPLIT.split(text)
    formulas = _Formulas(blocks)
    for at in range(1, len(blocks), 2):
        formulas.look(at)
    formulas.end()
    return "".join(formulas.blocks).replace(_DOLLAR, "$"), formulas.found


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
