"""What a reader sees of HTML that shows Markdown: words, lists, tables, formulas, links and pictures. Pure.

Paragraphs, classes and identifiers are left out: the writers of HTML differ in them, and nobody sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

_KEPT: Final = frozenset(
    [
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "td",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "blockquote",
        "hr",
        "code",
        "em",
        "strong",
        "del",
        "dl",
        "dt",
        "dd",
    ]
)
_ALIKE: Final = {"th": "td", "b": "strong", "i": "em", "s": "del", "strike": "del"}
_UNSEEN: Final = frozenset({"style", "script", "title"})
_EMPTY: Final = frozenset({"hr"})
_FORMULA: Final = re.compile(r"\\([(\[])")
"""The start of a formula."""
_MARKED: Final = re.compile(r"^\s*\|\|[(\[](?P<tex>.*)\|\|[)\]]\s*$", re.DOTALL)
"""A formula as marimo's Markdown marks it for its own element."""
_LONGEST: Final = 60
"""Characters of a part that a difference shows."""


@dataclass(frozen=True)
class Part:
    """A word, a formula, a link, a picture, or the start or the end (`/`) of an element."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "word":
                return self.text
            case "formula":
                return f"${self.text}$"
            case _:
                return f"<{self.kind}>"


def structure(html: str) -> tuple[Part, ...]:
    """Return the parts of HTML, in order. The text of a picture is its address, that of a link likewise."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return tuple(_without_self_links(reader.parts))


def pictures(html: str) -> list[str]:
    """Return the addresses of the pictures in HTML."""
    return [part.text for part in structure(html) if part.kind == "picture"]


def difference(one: tuple[Part, ...], other: tuple[Part, ...]) -> tuple[str, str] | None:
    """Return the first place where two differ, as both show it; None if they show the same.

    Where a picture comes from does not count, nor do blanks.
    """
    mine, theirs = _comparable(one), _comparable(other)
    if mine == theirs:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs))
    )
    return _around(mine, at), _around(theirs, at)


def _around(parts: list[Part], at: int) -> str:
    return " ".join(str(part)[:_LONGEST] for part in parts[max(0, at - 2) : at + 3]) or "nothing"


def _comparable(parts: tuple[Part, ...]) -> list[Part]:
    """Return parts with each text as one word, and with nested emphasis in one order."""
    found: list[Part] = []
    for part in parts:
        before = found[-1] if found else Part("")
        if part.kind == before.kind == "word":
            found[-1] = Part("word", before.text + part.text)
        elif part.kind == "picture":
            found.append(Part("picture"))
        elif (before.kind, part.kind) in {("strong", "em"), ("/em", "/strong")}:
            found[-1:] = [part, before]
        else:
            found.append(part)
    return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Part] = []
        self._unseen = 0
        self._formula: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = _ALIKE.get(tag, tag)
        values = dict(attrs)
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "marimo-tex":
            self._formula = []
        elif tag == "img":
            self.parts.append(Part("picture", values.get("src") or ""))
        elif tag == "a" and values.get("href"):
            self.parts.append(Part("link", values["href"] or ""))
        elif tag in _KEPT:
            self.parts.append(Part(tag))

    def handle_endtag(self, tag: str) -> None:
        tag = _ALIKE.get(tag, tag)
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag == "marimo-tex" and self._formula is not None:
            text = "".join(self._formula)
            found = _MARKED.match(text)
            self._add_formula(found["tex"] if found else text)
            self._formula = None
        elif tag == "a":
            self.parts.append(Part("/link"))
        elif tag in _KEPT - _EMPTY:
            self.parts.append(Part(f"/{tag}"))

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._formula is not None:
            self._formula.append(data)
            return
        end = 0
        closed = {"(": data.rfind(r"\)"), "[": data.rfind(r"\]")}
        for opening in _FORMULA.finditer(data):
            start = opening.start()
            if start < end or closed[opening[1]] < start + 3:  # at least one character
                continue
            self._add_words(data[end:start])
            end = data.index(r"\)" if opening[1] == "(" else r"\]", start + 3) + 2
            self._add_formula(data[start + 2 : end - 2])
        self._add_words(data[end:])

    def _add_words(self, text: str) -> None:
        self.parts += [Part("word", word) for word in text.split()]

    def _add_formula(self, tex: str) -> None:
        self.parts.append(Part("formula", re.sub(r"\s+", "", _without_space_at_end(tex))))


def _without_space_at_end(tex: str) -> str:
    """Return a formula without the blanks and space commands that it ends with."""
    end = len(tex)
    while True:
        while end and tex[end - 1].isspace():
            end -= 1
        slashes = 0
        while slashes < end and tex[end - 1 - slashes] == "\\":
            slashes += 1
        if slashes % 2 == 0:
            return tex[:end]
        end -= 1


def _without_self_links(parts: list[Part]) -> list[Part]:
    """Return the parts without links that show their own address: one writer makes them, another does not."""
    kept: list[Part] = []
    open_links: list[tuple[int, str]] = []
    for part in parts:
        kept.append(part)
        if part.kind == "link":
            open_links.append((len(kept) - 1, part.text))
        elif part.kind == "/link" and open_links:
            at, address = open_links.pop()
            inner = kept[at + 1 : -1]
            if len(inner) == 1 and inner[0].text.rstrip("/") == address.removeprefix("mailto:").rstrip("/"):
                kept[at:] = inner
        elif part.kind == "/link":
            kept.pop()
    return kept
