"""Markdown cells for marimo, so that they show what Jupyter shows: two dialects of one language.

Jupyter's Markdown is CommonMark with MathJax; marimo's is Python-Markdown, which wants blank lines around blocks, nested
lists indented by four columns, and no blanks inside of `$x$`. Text in code is left alone; HTML around Markdown is in `html_blocks`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from marimo_kernel_bridge.importing.html_blocks import as_blocks

_INDENT: Final = 4
"""The columns of a nested block in Python-Markdown, and of code in both."""
_FENCE: Final = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+)?(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)")
_QUOTE: Final = re.compile(r" {0,3}> ?")
_FORMULA_ALONE: Final = re.compile(r"\$\$[^$]+\$\$")
_NO_HEADING: Final = re.compile(r"( {0,3})(?=#{1,6}[^\s#])")
"""What is before a `#` that begins a heading in Python-Markdown alone."""
_MARK: Final = re.compile(
    r"(?P<skip>\\.|`[^`]*`|\$\$[^$]*\$\$|\$[^$]*\$|<[^<>]*>)|\^(?=[^\s^]+\^)|(?<!~)~(?=[^\s~]+~(?!~))"
)
"""What begins raised or lowered text in marimo alone: `x^2+y^2`."""
_RULER: Final = re.compile(r"[ \t]*(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_DELIMITERS: Final = re.compile(r"\s*+\|?+\s*+:?+-++:?+\s*+(?:\|\s*+:?+-++:?+\s*+)*+\|?+\s*+$")
_BEGIN: Final = re.compile(r"\s*\\begin\{(\w+\*?)\}")
_MATH: Final = re.compile(
    r"(?P<code>(?P<ticks>`++)(?:[^`]++|(?!(?P=ticks)(?!`))`++)*+(?P=ticks))"
    r"|\\\\\((?P<round>(?:[^\\\n]|\\(?!\\[()\[\]]))++)\\\\\)|\\\\\[(?P<square>(?:[^\\]|\\(?!\\[()\[\]]))++)\\\\\]"
    r"|(?P<skip>\\.|`++)"
    r"|\$\$(?P<display>.+?)\$\$"
    r"|\$(?P<inline>(?:\\.|[^$\\\n`]|\n(?!\s*\n))+?)\$",
    re.DOTALL,
)
_CONTROL_SPACE: Final = re.compile(r"(?<!\\)((?:\\\\)*+)(?:\\\s++)++(?P<end>\Z)?")
"""Space commands, and whether they are at the end of a formula, where they show nothing."""


def as_marimo_shows_it(source: str) -> str:
    """Return Markdown that marimo shows as Jupyter shows the source."""
    pieces: list[str] = []
    for text, quoted in _around_quotes(source.split("\n")):
        if quoted:
            shown = as_marimo_shows_it("\n".join(_QUOTE.sub("", line, count=1) for line in text))
            shown = _with_formulas_apart(shown)
            above = "\n" if pieces and not pieces[-1].endswith("\n") else ""
            pieces.append(above + "\n".join(f"> {line}".rstrip(" ") for line in shown.split("\n")))
        else:
            pieces.append(_without_quotes("\n".join(text)))
    return "\n".join(pieces)


def _with_formulas_apart(source: str) -> str:
    """Return Markdown whose formulas on lines of their own are paragraphs, as marimo wants it in a quotation."""
    written: list[str] = []
    after = False
    for line in source.split("\n"):
        formula = _FORMULA_ALONE.fullmatch(line) is not None
        if (formula or after) and line.strip() and written and written[-1].strip():
            written.append("")
        written.append(line)
        after = formula
    return "\n".join(written)


def _without_quotes(source: str) -> str:
    pieces = []
    for text, code in _around_fences(_with_blocks(source.split("\n"))):
        pieces.append("\n".join(text) if code else _MATH.sub(_closed_up, "\n".join(text)))
    return "\n".join(_Lines().of("\n".join(pieces).split("\n")))


def _around_quotes(lines: list[str]) -> list[tuple[list[str], bool]]:
    """Divide lines into those of quotations, and the others."""
    if not any(_QUOTE.match(line) for line in lines):
        return [(lines, False)]
    parts: list[tuple[list[str], bool]] = [([], False)]
    in_list = False
    for text, code in _around_fences(lines):
        for line in text:
            in_list = _ITEM.match(line) is not None or (in_list and line[:1] in {"", " ", "\t"})
            quoted = not code and not (in_list and line.startswith(" ")) and _QUOTE.match(line) is not None
            if quoted != parts[-1][1]:
                parts.append(([], quoted))
            parts[-1][0].append(line)
    return [part for part in parts if part[0]]


def _with_blocks(lines: list[str]) -> list[str]:
    if not any("</" in line for line in lines):
        return lines
    return as_blocks(lines, [code for text, code in _around_fences(lines) for _ in text])


def _around_fences(lines: list[str]) -> list[tuple[list[str], bool]]:
    """Divide lines into those of fenced code, and the others."""
    parts: list[tuple[list[str], bool]] = [([], False)]
    fence = ""
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            parts[-1][0].append(line)
            if found is not None and found[1].startswith(fence) and line.strip() == found[1]:
                fence = ""
                parts.append(([], False))
        elif found is not None:
            fence = found[1]
            parts.append(([line], True))
        else:
            parts[-1][0].append(line)
    return [part for part in parts if part[0]]


def _closed_up(found: re.Match[str]) -> str:
    if found["skip"] == "\\\n" and not found.string.endswith(
        "\\", 0, found.start()
    ):  # CommonMark breaks a line there, Python-Markdown at two blanks
        return "  \n"
    if found["skip"] in {"\\(", "\\["}:  # a bracket in CommonMark, the start of a formula in marimo
        return found[0] if _before(found).startswith("    ") else f"&#{ord(found['skip'][1])};"
    inline, display = found["inline"] or found["round"], found["display"] or found["square"]
    if inline is not None and inline.strip():
        tex = _CONTROL_SPACE.sub(lambda space: space[0] if space["end"] is None else space[1], inline).strip()
        if "|" in tex and _before(found).lstrip().startswith("|"):  # would end the cell of a table
            tex = re.sub(r"(?<!\\)\|", "&#124;", tex)
        return f"${tex}$"
    if display is not None and display.strip():
        return _placed(found, display)
    return found[0]


def _placed(found: re.Match[str], formula: str) -> str:
    """Return a displayed formula on lines of its own, where marimo knows it for one.

    In a table, a heading, a quotation or bold text it is one in the line.
    """
    text, end, before = found.string, found.end(), _before(found)
    behind = text[end : end + 200].partition("\n")[0]
    in_text = bool(before.strip() or behind.strip())
    if not in_text and formula.startswith("\n") and formula.rstrip(" ").endswith("\n"):
        return found[0]
    tex = formula.strip()
    marker = _ITEM.match(before + "x")
    begins = marker is not None and not before[marker.end() :].strip()
    in_bold = before.count("**") % 2 == 1
    if re.match(r"\s*(?:#|>)", before) or "|" in before + behind or begins or in_bold:
        return "$" + tex.replace("\n", " ") + "$"
    indent = before if not before.strip() else " " * (marker.end() if marker is not None else 0)
    written = f"$$\n{indent}{tex}\n{indent}$$" if "\n" in tex else f"$${tex}$$"
    return (f"\n{indent}" if before.strip() else "") + written + (f"\n{indent}" if behind.strip() else "")


def _before(found: re.Match[str]) -> str:
    """Return what is before a match in its line, or the last of it."""
    start, least = found.start(), max(found.start() - 2000, 0)
    return found.string[max(found.string.rfind("\n", least, start) + 1, least) : start]


@dataclass
class _Item:
    """A list item whose lines follow: the columns of its marker and of its text, and where its text is written."""

    marker: int
    text: int
    written: int


@dataclass
class _Lines:
    """Rewrites lines one after another: the indentation of lists, and blank lines around blocks."""

    written: list[str] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)
    fence: str = ""
    environment: str = ""
    formula: bool = False  # between two `$$`
    apart: bool = False  # the last line is a blank one that was added below an environment

    def of(self, lines: list[str]) -> list[str]:
        for number, line in enumerate(lines):
            self._add(line, lines[number + 1] if number + 1 < len(lines) else "")
        return self.written[:-1] if self.apart else self.written

    def _add(self, line: str, following: str) -> None:
        apart, self.apart = self.apart, False
        if not line.strip():
            if not apart:
                self.written.append("" if not self.fence else line)
            self.formula = False
            return
        if self.fence:
            self._add_in_fence(line)
            return
        opened, self.formula = self.formula, self.formula ^ (line.count("$$") % 2 == 1)
        if opened:
            self.written.append(self._shifted(line))
            return
        if self.environment:
            self.written.append(self._shifted(line))
            self._end_environment(line)
            return
        item = None if _RULER.match(line) else _ITEM.match(line)
        if item is not None and self._is_item(item):
            self._add_item(line, item)
        else:
            self._add_text(line, following)
        fence = _FENCE.match(line)
        self.fence = fence[1] if fence is not None else ""

    def _add_in_fence(self, line: str) -> None:
        self.written.append(self._shifted(line))
        if line.strip().startswith(self.fence) and not line.strip().strip(self.fence[0]):
            self.fence = ""

    def _is_item(self, item: re.Match[str]) -> bool:
        """Return whether a line begins a list item, not code, and not a number in a paragraph."""
        column = _width(item[1])
        if column >= _INDENT and not self.items:
            return False
        return bool(self.items) or not self._in_paragraph() or item[2] in {"-", "*", "+", "1.", "1)"}

    def _add_item(self, line: str, item: re.Match[str]) -> None:
        column = _width(item[1])
        first = not self.items
        while self.items and column < self.items[-1].text:
            self.items.pop()
        if not self.items and first and self._in_paragraph():
            self.written.append("")
        at = _INDENT * len(self.items)
        text = column + len(item[2]) + (len(item[3]) if len(item[3]) <= _INDENT else 1)
        self.items.append(_Item(column, text, at + _INDENT))
        marker = item[2].replace(")", ".")  # Python-Markdown knows no `1)`
        self.written.append(f"{' ' * at}{marker}{item[3]}{_without_marks(line[item.end(3) :])}")

    def _add_text(self, line: str, following: str) -> None:
        begin = _BEGIN.match(line)
        ends_list = bool(self.items) and _RULER.match(line) and _width(line) < self.items[-1].text
        table = "|" in line and "|" in following and _DELIMITERS.match(following) is not None
        column = _width(line)
        if self.items and not (self._in_paragraph() and column < self.items[-1].text and not begin):
            while self.items and column < self.items[-1].text:
                self.items.pop()
        begins_quote = (
            bool(self.items)
            and line.lstrip().startswith(">")
            and not self.written[-1].lstrip().startswith(">")
        )
        if (begin or ends_list or begins_quote or (table and not self._in_table())) and self._in_paragraph():
            self.written.append("")
        is_text = begin is None and not self.formula and (self.items or column < _INDENT)
        self.written.append(self._shifted(_without_marks(line) if is_text else line))
        if begin:
            self.environment = begin[1]
            self._end_environment(line)

    def _end_environment(self, line: str) -> None:
        end = f"\\end{{{self.environment}}}"
        if end in line:
            self.environment = ""
            if line.rstrip().endswith(end):
                self.written.append("")
                self.apart = True

    def _shifted(self, line: str) -> str:
        """Return a line of a list item's text at the column where that is written."""
        if not self.items or _width(line) < self.items[-1].text:
            return line
        deeper = _width(line) - self.items[-1].text
        if deeper < _INDENT and line.lstrip().startswith(
            "$$"
        ):  # a formula is one at the column of the text alone
            deeper = 0
        return " " * (self.items[-1].written + deeper) + line.lstrip(" \t")

    def _in_paragraph(self) -> bool:
        last = self.written[-1] if self.written else ""
        return bool(last.strip()) and not last.lstrip().startswith(("#", "```", "~~~"))

    def _in_table(self) -> bool:
        return bool(self.written) and self.written[-1].lstrip().startswith("|")


def _without_marks(line: str) -> str:
    """Return a line of text without what means something in Python-Markdown alone: `#1`, and `x^2+y^2`."""
    heading = _NO_HEADING.match(line)
    if heading is not None:
        line = f"{line[: heading.end()]}\\{line[heading.end() :]}"
    if line.count("$") % 2:  # a formula that goes on in another line
        return line
    return _MARK.sub(lambda found: found[0] if found["skip"] else f"\\{found[0]}", line)


def _width(line: str) -> int:
    """Return the columns of the blanks at the start of a line."""
    blanks = line[: len(line) - len(line.lstrip(" \t"))]
    return len(blanks.expandtabs(4))
