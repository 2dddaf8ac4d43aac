"""Labels of elements: short HTML that may come from data, such as the name of a column, and that must run nothing.

marimo's own front end runs no scripts and handlers in labels either. Pure.
"""

from __future__ import annotations

import html
import re
from typing import Final

from marimo_kernel_bridge.rendering.text import html_to_text

_VALUE: Final = r"""(?:"[^"<>]*+"|'[^'<>]*+')"""
_ATTRIBUTE: Final = re.compile(rf"""(?<!\s)\s++([A-Za-z_][\w:.-]*+)(?:=({_VALUE}))?+""")
_TAG: Final = re.compile(rf"</?+([A-Za-z][\w-]*+)((?:\s++[A-Za-z_][\w:.-]*+(?:={_VALUE})?+)*+)\s*+/?+>")
"""A tag as every parser reads it: values in quotes and without angle brackets."""
_RUNNING: Final = frozenset(
    [
        "animate",
        "animatemotion",
        "animatetransform",
        "applet",
        "base",
        "embed",
        "foreignobject",
        "form",
        "frame",
        "frameset",
        "handler",
        "iframe",
        "link",
        "listener",
        "math",
        "meta",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "plaintext",
        "script",
        "set",
        "style",
        "template",
        "textarea",
        "title",
        "use",
        "xmp",
    ]
)
"""Tags that run code, load pages, or change how the text after them is read."""
_ADDRESSES: Final = frozenset({"href", "src", "xlink:href", "poster", "data", "srcset", "background"})
_BAD_ATTRIBUTES: Final = frozenset({"srcdoc", "formaction", "action", "ping"})
_SCHEME: Final = re.compile(r"\s*+([A-Za-z][A-Za-z0-9+.-]*+):")
_SCHEMES: Final = frozenset({"http", "https", "mailto", "attachment"})
_IMAGE: Final = re.compile(r"\s*+data:image/(?:png|jpeg|gif|webp)[;,]", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f]+")
"""Characters that browsers drop from the beginning, and partly from within, of an address."""


def harmless(text: str) -> str:
    """Return the HTML of a label; without all markup if that could run anything."""
    return text if runs_nothing(text) else html.escape(html_to_text(text), quote=False)


def runs_nothing(text: str) -> bool:
    """Return whether HTML holds nothing but text and plain tags without handlers, scripts and frames."""
    at = 0
    while (begin := text.find("<", at)) >= 0:
        tag = _TAG.match(text, begin)
        if tag is None or tag[1].lower() in _RUNNING:
            return False
        if not all(_is_plain(*found.groups()) for found in _ATTRIBUTE.finditer(tag[2])):
            return False
        at = tag.end()
    return True


def _is_plain(name: str, value: str | None) -> bool:
    name = name.lower()
    if name.startswith("on") or name in _BAD_ATTRIBUTES:
        return False
    return name not in _ADDRESSES or value is None or _is_address(html.unescape(value[1:-1]))


def _is_address(text: str) -> bool:
    if _IMAGE.match(text):
        return True
    scheme = _SCHEME.match(_UNSEEN.sub("", text))
    return scheme is None or scheme[1].lower() in _SCHEMES
