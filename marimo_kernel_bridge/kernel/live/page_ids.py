"""Ids of elements on a page: the kernel's key is before them, because two notebooks on a page may have the same ids.

marimo's HTML names elements in attributes, and HTML may be inside of JSON inside of an attribute.
"""

from __future__ import annotations

import html
import json
import re
from typing import Final

_OBJECT: Final = re.compile(r"""(\bobject-id=(?:\\*["']|&(?:amp;)*(?:quot|#39|#x27);))([^"'\\&<>\s]+)""")
_INSIDE: Final = re.compile(r"""(\bdata-element-ids?=)('|&(?:amp;){0,6}#(?:x27|39);)((?:(?!\2)[^'<>])*+)\2""")
"""An attribute with JSON that has ids in it, itself in as many attributes as its quotes are escaped."""


def object_ids(text: str) -> set[str]:
    """Return the ids of the elements in marimo's HTML."""
    return {found[2] for found in _OBJECT.finditer(text)}


def on_page(text: str, key: str) -> str:
    """Return marimo's HTML, or JSON with HTML in it, with the ids that its elements have on a page."""

    def inside(found: re.Match[str]) -> str:
        name, quote, encoded = found.groups()
        depth = 0 if quote == "'" else 1 + quote.count("amp;")
        for _ in range(depth):
            encoded = html.unescape(encoded)
        try:
            ids = json.loads(html.unescape(encoded))
        except (ValueError, RecursionError):
            return found[0]
        if not isinstance(ids, str | dict):
            return found[0]
        prefixed = (
            f"{key}~{ids}" if isinstance(ids, str) else {f"{key}~{one}": name for one, name in ids.items()}
        )
        encoded = _attribute(prefixed)
        for _ in range(depth):
            encoded = html.escape(encoded)
        return f"{name}{quote}{encoded}{quote}"

    return _INSIDE.sub(inside, _OBJECT.sub(rf"\g<1>{key}~\g<2>", text))


def _attribute(value: object) -> str:
    """Return JSON as marimo writes it into an attribute, which Markdown must not read either."""
    encoded = json.dumps(value, ensure_ascii=False).replace(">", "\\u003e").replace("<", "\\u003c")
    return html.escape(encoded).replace("\\", "&#92;").replace("$", "&#36;")
