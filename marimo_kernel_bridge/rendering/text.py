"""Conversion of HTML to plain text for terminals and models: tables in columns, lists with dashes, no tags."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_SKIPPED: Final = frozenset({"script", "style", "head", "template"})
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "details", "dd", "div", "dl", "dt", "fieldset"}
    | {"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "html", "li"}
    | {"main", "nav", "ol", "p", "pre", "section", "summary", "table", "ul"}
)
_CELLS: Final = frozenset({"td", "th", "caption"})
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_MEDIA: Final = {"img": "image", "audio": "audio", "video": "video", "iframe": "page"}
_LONGEST_HTML: Final = 200_000
_LONGEST_TAG: Final = 2_000
"""Characters of HTML that are read: kernels send any."""
_MARKUP: Final = re.compile(r"<!--(?:[^-<]|-(?!->)|<(?!!--))*+-->|<[^<>]*+>?")
_LONGEST_SOURCE: Final = 80
_WIDEST_CELL: Final = 40


@dataclass
class _Block:
    """A block whose lines are being collected. `row` and `rows` collect a table's cells."""

    tag: str
    indent: str = ""
    marker: str = ""
    flex: str = ""  # "row" or "column": how children are laid out
    inline: int = 0  # how many inline elements are open
    lines: list[str] = field(default_factory=lambda: [""])
    rows: list[list[str]] = field(default_factory=list)

    def write(self, text: str) -> None:
        first, *rest = text.split("\n")
        self.lines[-1] += first
        self.lines += rest

    def break_line(self) -> None:
        if self.lines[-1].strip():
            self.lines.append("")

    def result(self) -> list[str]:
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        while lines and not lines[0]:
            lines.pop(0)
        return [
            f"{self.marker or self.indent if n == 0 else self.indent}{line}" for n, line in enumerate(lines)
        ]


class _Reader(HTMLParser):
    def __init__(self, *, compact: bool) -> None:
        super().__init__()
        self._lay_out_rows = _joined if compact else _aligned
        self.stack = [_Block("")]
        self.skipping = ""  # the tag of a skipped element
        self.depth = 0  # how many skipped elements are open
        self.preformatted = 0
        self.counters: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        described = values.get("aria-label") if values.get("role") == "img" else None
        if self.skipping:
            self.depth += tag == self.skipping
        elif tag in _SKIPPED or described:
            self._separate()
            self.stack[-1].write(described or "")
            self.skipping, self.depth = tag, 1
        else:
            self._separate()
            self._start(tag, values)

    def _start(self, tag: str, values: dict[str, str | None]) -> None:
        if tag in _MEDIA:
            self._media(tag, values)
        elif tag in {"br", "hr"}:
            self._break(tag)
        elif tag in _CELLS:
            self.stack.append(_Block(tag))
        elif tag == "tr":
            table = self._table()
            if table is not None:
                table.rows.append([])
        elif tag in _BLOCKS:
            self._open(self._block(tag, values.get("style") or ""))
        elif tag not in _VOID:
            self.stack[-1].inline += 1

    def _block(self, tag: str, style: str) -> _Block:
        match tag:
            case "ul" | "ol":
                self.counters.append(1 if tag == "ol" else None)
                return _Block(tag)
            case "li":
                return _Block(tag, indent="  ", marker=self._marker())
            case "blockquote":
                return _Block(tag, indent="> ", marker="> ")
            case "dd":
                return _Block(tag, indent="  ", marker="  ")
            case "pre":
                self.preformatted += 1
                return _Block(tag)
            case _:
                marker = f"{'#' * int(tag[1])} " if re.fullmatch("h[1-6]", tag) else ""
                return _Block(tag, marker=marker, flex=_flex(style))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.skipping:
            self.depth -= tag == self.skipping
            if self.depth == 0:
                self.skipping = ""
            return
        if tag in _VOID:
            return
        if not any(block.tag == tag for block in self.stack):
            self.stack[-1].inline = max(0, self.stack[-1].inline - 1)
            return
        while self.stack[-1].tag != tag:
            self._close(self.stack.pop())
        self._close(self.stack.pop())
        if tag in {"ul", "ol"} and self.counters:
            self.counters.pop()
        elif tag == "pre":
            self.preformatted = max(0, self.preformatted - 1)

    def handle_data(self, data: str) -> None:
        if self.skipping or self.stack[-1].tag == "table":  # white space between rows
            return
        block = self.stack[-1]
        if self.preformatted:
            block.write(data)
            return
        text = re.sub(r"\s+", " ", data)
        if not block.lines[-1] or block.lines[-1].endswith(" "):
            text = text.lstrip(" ")
        block.write(text)

    def _separate(self) -> None:
        """Separate the children of a flex box."""
        block = self.stack[-1]
        if block.inline:
            return
        if block.flex == "column":
            block.break_line()
        elif block.flex == "row" and block.lines[-1].strip():
            block.lines[-1] = block.lines[-1].rstrip() + "  "

    def _open(self, block: _Block) -> None:
        self.stack[-1].break_line()
        self.stack.append(block)

    def _close(self, block: _Block) -> None:
        parent = self.stack[-1]
        if block.tag in _CELLS:
            table = self._table()
            text = " ".join(line.strip() for line in block.result())
            if block.tag == "caption" or table is None or not table.rows:
                parent.write(text + "\n")
            else:
                table.rows[-1].append(text)
            return
        lines = block.result() + self._lay_out_rows(block.rows)
        parent.break_line()
        for line in lines:
            parent.lines[-1] = line
            parent.lines.append("")
        if block.tag in {"p", "table", "ul", "ol", "pre", "blockquote"} and block.tag != parent.tag and lines:
            self._space(parent)

    def _space(self, parent: _Block) -> None:
        if parent.tag not in {"li", "td", "th"}:
            parent.lines.append("")

    def _break(self, tag: str) -> None:
        if tag == "br":
            self.stack[-1].lines.append("")
        else:
            self.stack[-1].break_line()
            self.stack[-1].write("---\n")

    def _table(self) -> _Block | None:
        return next((block for block in reversed(self.stack) if block.tag == "table"), None)

    def _marker(self) -> str:
        if not self.counters or self.counters[-1] is None:
            return "- "
        number = self.counters[-1]
        self.counters[-1] = number + 1
        return f"{number}. "

    def _media(self, tag: str, values: dict[str, str | None]) -> None:
        kind, source = _MEDIA[tag], values.get("src") or ""
        if tag == "img" and values.get("alt"):
            self.stack[-1].write(f"[image: {values['alt']}]")
        elif not source or source.startswith("data:") or len(source) > _LONGEST_SOURCE:
            self.stack[-1].write(f"[{kind}]")
        else:
            self.stack[-1].write(f"[{kind}: {source}]")


def _flex(style: str) -> str:
    declared = style.replace(" ", "")
    if "display:flex" not in declared:
        return ""
    return "column" if "flex-direction:column" in declared else "row"


def _aligned(rows: list[list[str]]) -> list[str]:
    rows = [[_short(cell) for cell in row] for row in rows if row]
    if not rows:
        return []
    count = max(len(row) for row in rows)
    rows = [row + [""] * (count - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(count)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _joined(rows: list[list[str]]) -> list[str]:
    return [" | ".join(row) for row in rows if any(row)]


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…"


def _well_formed(html: str) -> str:
    """Return HTML that the parser reads in linear time: without what it searches the rest of the text for, again and again.

    A tag that does not end becomes text. Comments and declarations, which show nothing, are left out.
    """
    if len(html) > _LONGEST_HTML:
        html = f"{html[:_LONGEST_HTML]} […]"
    return _MARKUP.sub(_kept, html)


def _kept(match: re.Match[str]) -> str:
    markup = match[0]
    if markup.startswith("<!--") and markup.endswith("-->"):
        return ""
    if not markup.endswith(">"):
        return f"&lt;{markup[1:]}"
    if markup[1:2] in {"!", "?"}:
        return ""
    if len(markup) > _LONGEST_TAG:  # a picture in an address
        return f"{markup[:_LONGEST_TAG].split(maxsplit=1)[0]}>"
    return markup


def html_to_text(html: str, *, compact: bool = False) -> str:
    """Return the visible text of `html`.

    `compact` saves tokens of models: no empty lines, and tables as rows of complete cells separated by bars.
    """
    reader = _Reader(compact=compact)
    reader.feed(_well_formed(html))
    reader.close()
    while len(reader.stack) > 1:
        reader._close(reader.stack.pop())  # noqa: SLF001  # of this module
    text = "\n".join(reader.stack[0].result())
    return re.sub(r"\n\s*\n", "\n", text) if compact else re.sub(r"\n{3,}", "\n\n", text)
