"""A parser for custom elements in HTML, which replaces each one with the result of a function.

All other text is unchanged, character by character, so that it also works on Markdown that contains HTML. Three of
marimo's own spans are replaced by blocks: only marimo's style sheet displays them as blocks.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TAG: Final = re.compile(
    r"""<(?P<end>/?)(?P<name>marimo-[a-z-]+|iconify-icon|span)(?P<attributes>(?:\s(?:[^<>'"]++|'[^']*+'|"[^"]*+")*+)?)/?>"""
)
_OWN_SPAN: Final = re.compile(r"\b(?:paragraph|prose|admonition-title)\b")
_ATTRIBUTE: Final = re.compile(r"""([^\s=/'"]+)(?:=('[^']*'|"[^"]*"|[^\s'"]+))?""")
_BLOCK: Final = re.compile(
    r"<(div|p|table|ul|ol|pre|details|blockquote|figure|h[1-6]|hr|iframe|section|dl)\b", re.IGNORECASE
)
_DIV: Final = re.compile(r"<(/?)div\b[^>]*>")
_OBJECT: Final = "marimo-ui-element"


@dataclass(frozen=True)
class Element:
    """A custom element. `content` is already rewritten; `object_id` is the id of the UI element that it draws.

    Values of attributes with the prefix `data-` are JSON: they are parsed, and the key is the name without the prefix.
    """

    name: str
    attributes: Mapping[str, Any]
    content: str
    object_id: str | None = None

    def text(self, attribute: str) -> str:
        """Return an attribute as a string, empty if there is none."""
        value = self.attributes.get(attribute)
        return "" if value is None else str(value)


@dataclass
class _Open:
    tag: str
    name: str
    attributes: str
    pieces: list[str] = field(default_factory=list)
    spans: int = 0  # open spans inside that are not rewritten


def rewrite(text: str, draw: Callable[[Element], str]) -> str:
    """Replace every custom element in `text`, inner ones first, with the result of `draw`."""
    if "marimo-" not in text and "<iconify-icon" not in text and "<span" not in text:
        return text
    stack = [_Open("", "", "")]
    position = 0
    for match in _TAG.finditer(text):
        stack[-1].pieces.append(text[position : match.start()])
        position = match.end()
        name, is_end = match["name"], bool(match["end"])
        if name == "span" and (stack[-1].spans if is_end else not _OWN_SPAN.search(match["attributes"])):
            stack[-1].spans += -1 if is_end else 1
            stack[-1].pieces.append(match[0])
        elif not is_end:
            stack.append(_Open(match[0], name, match["attributes"].rstrip("/")))
            if match[0].endswith("/>"):
                _close(stack, "", draw)
        elif any(opened.name == name for opened in stack):
            while stack[-1].name != name:
                _close(stack, "", draw)
            _close(stack, match[0], draw)
        elif name == "span":
            stack[-1].pieces.append(match[0])
    stack[-1].pieces.append(text[position:])
    while len(stack) > 1:
        _close(stack, "", draw)
    return "".join(stack[0].pieces)


def _close(stack: list[_Open], end_tag: str, draw: Callable[[Element], str]) -> None:
    opened = stack.pop()
    content = "".join(opened.pieces)
    stack[-1].pieces.append(_drawn(opened, content, end_tag, stack[-1], draw))


def _drawn(opened: _Open, content: str, end_tag: str, parent: _Open, draw: Callable[[Element], str]) -> str:
    if opened.name == "span":
        return _span(opened, content, end_tag)
    if opened.name == _OBJECT:
        return content
    object_id = _attributes(parent.attributes).get("object-id") if parent.name == _OBJECT else None
    return draw(Element(opened.name, _attributes(opened.attributes), content, object_id))


def _span(opened: _Open, content: str, end_tag: str) -> str:
    classes = str(_attributes(opened.attributes).get("class", "")).split()
    if "paragraph" in classes:
        tag = "div" if _BLOCK.search(content) else "p"
    elif "admonition-title" in classes:
        return f"<div><b>{content}</b></div>"
    elif "markdown" in classes and "prose" in classes:
        tag = "div"
    else:
        return f"{opened.tag}{content}{end_tag}"
    return f"<{tag}>{content}</{tag}>"


def _attributes(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, quoted in _ATTRIBUTE.findall(source):
        value = html.unescape(quoted[1:-1] if quoted[:1] in {"'", '"'} else quoted)
        if not name.startswith("data-"):
            found[name] = value
            continue
        try:
            found[name.removeprefix("data-")] = json.loads(value)
        except (ValueError, RecursionError):
            found[name.removeprefix("data-")] = value
    return found


def inline(content: str) -> str:
    """Return HTML without the enclosing blocks if it is a single paragraph, as for a label next to an input."""
    while (match := re.fullmatch(r"\s*<(div|p)>(.*)</\1>\s*", content, re.DOTALL)) and (
        f"<{match[1]}>" not in match[2]
    ):
        content = match[2]
    return content.strip()


def split_blocks(content: str) -> list[str]:
    """Return the contents of the `<div>`s that `content` consists of."""
    blocks: list[str] = []
    depth = start = 0
    end = content.rfind(">") + 1  # a `<div` after it would be compared up to the end of the text, each
    for match in _DIV.finditer(content, 0, end):
        if not match[1]:
            depth += 1
            if depth == 1:
                start = match.end()
        elif depth > 0:
            depth -= 1
            if depth == 0:
                blocks.append(content[start : match.start()])
    return blocks
