"""What the drawing functions of the elements share: where they look things up, and small pieces of HTML.

Styles are inline and take the page's own colors: front ends have no style sheet of ours, and some drop styles.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Final, Protocol

from marimo_kernel_bridge.rendering.elements import Element, inline

LINE: Final = "rgba(128,128,128,.45)"
MUTED: Final = "opacity:.7"
BOX: Final = f"border:1px solid {LINE};border-radius:4px"
HOW_TO_SET: Final = "%marimo set {name} VALUE"
"""How a person gives a UI element a value; `{name}` is its variable."""


@dataclass(frozen=True)
class Control:
    """A UI element as it is now.

    `name` is the global variable that holds it, empty if none does. `value` is what marimo's own frontend would
    hold, JSON. `shown` is the value in Python, as short text. `content` is HTML that stands for the element: what it
    wraps, or what it would load later.
    """

    name: str
    value: object
    shown: str
    content: str | None = None


class Page(Protocol):
    """Where elements are drawn."""

    def html(self, text: str) -> str:
        """Draw the custom elements in HTML."""
        ...

    def control(self, element: Element) -> Control | None:
        """Return the UI element that `element` draws; None if it is none, or is gone."""
        ...

    def native(self, mime_type: str, data: object, text: str = "") -> str:
        """Note something that only the front end's own renderer can show. Returns the HTML to stand in its place.

        `text` is for front ends without that renderer.
        """
        ...


def escape(text: object) -> str:
    """Return text as HTML."""
    return html.escape(str(text), quote=False)


def quoted(text: object) -> str:
    """Return text as the value of an attribute, quotes included."""
    return f'"{html.escape(str(text))}"'


def chip(content: str) -> str:
    """Frame a value."""
    return f'<span style="{BOX};padding:1px 6px">{content}</span>'


def muted(content: str) -> str:
    """Show HTML as less important."""
    return f'<small style="{MUTED}">{content}</small>'


def label(element: Element, page: Page) -> str:
    """Return the element's label as HTML for one line, empty if it has none."""
    return inline(page.html(element.text("label")))


def labelled(element: Element, page: Page, value: str, *details: str) -> str:
    """Draw an input: label, value, what it takes, how to set it."""
    name = label(element, page)
    about = [detail for detail in details if detail]
    if element.attributes.get("disabled") is True:
        about.append("disabled")
    control = page.control(element)
    if control is not None and control.name:
        about.append(f"<code>{escape(HOW_TO_SET.format(name=control.name))}</code>")
    pieces = [f"{name}:" if name else "", value, muted(f"({' · '.join(about)})") if about else ""]
    return f'<span style="line-height:1.9">{" ".join(piece for piece in pieces if piece)}</span>'


def current(element: Element, page: Page) -> object:
    """Return the value that marimo's frontend would hold."""
    control = page.control(element)
    return element.attributes.get("initial-value") if control is None else control.value


def disclosure(summary: str, content: str, *, is_open: bool) -> str:
    """Draw something that can be opened."""
    return (
        f'<details{" open" if is_open else ""} style="{BOX};padding:.3em .8em;margin:.2em 0">'
        f'<summary style="cursor:pointer">{summary}</summary><div style="padding:.3em 0">{content}</div></details>'
    )
