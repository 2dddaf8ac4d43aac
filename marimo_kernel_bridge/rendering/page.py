"""What the drawing functions share: the page with its lookups, and small pieces of HTML.

Styles are inline and use the page's colors: front ends have no style sheet of this package, and some drop styles.
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
"""How a person sets a UI element; `{name}` is its variable."""


@dataclass(frozen=True)
class Control:
    """The current state of a UI element.

    `name` is the global variable that holds it, empty if there is none. `value` is the value in marimo's frontend, as
    JSON. `shown` is the Python value as short text. `content` is HTML for the element's content: an object that it
    wraps, or that marimo would load lazily.
    """

    name: str
    value: object
    shown: str
    content: str | None = None


class Page(Protocol):
    """The page on which elements are drawn: looks up UI elements and collects native outputs."""

    def html(self, text: str) -> str:
        """Draw the custom elements in HTML."""
        ...

    def control(self, element: Element) -> Control | None:
        """Return the UI element that `element` draws; None if it draws none, or it no longer exists."""
        ...

    def native(self, mime_type: str, data: object, text: str = "") -> str:
        """Record data that only a renderer of the front end can show, and return HTML to put in its place.

        `text` is for front ends without such a renderer.
        """
        ...


def escape(text: object) -> str:
    """Return text escaped for HTML."""
    return html.escape(str(text), quote=False)


def quoted(text: object) -> str:
    """Return text as an attribute value, including the quotes."""
    return f'"{html.escape(str(text))}"'


def chip(content: str) -> str:
    """Draw a frame around a value."""
    return f'<span style="{BOX};padding:1px 6px">{content}</span>'


def muted(content: str) -> str:
    """Draw HTML as secondary information."""
    return f'<small style="{MUTED}">{content}</small>'


def draw_label(text: str, page: Page) -> str:
    """Return a label as inline HTML, which runs nothing."""
    from marimo_kernel_bridge.rendering.labels import harmless  # noqa: PLC0415  # most cells show no element

    return inline(page.html(harmless(text)))


def label(element: Element, page: Page) -> str:
    """Return the element's label as inline HTML, empty if it has none."""
    return draw_label(element.text("label"), page)


def labelled(element: Element, page: Page, value: str, *details: str) -> str:
    """Draw an input: label, value, accepted values, how to set it."""
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
    """Return the element's value in marimo's frontend."""
    control = page.control(element)
    return element.attributes.get("initial-value") if control is None else control.value


def disclosure(summary: str, content: str, *, is_open: bool) -> str:
    """Draw a block that can be opened and closed."""
    return (
        f'<details{" open" if is_open else ""} style="{BOX};padding:.3em .8em;margin:.2em 0">'
        f'<summary style="cursor:pointer">{summary}</summary><div style="padding:.3em 0">{content}</div></details>'
    )
