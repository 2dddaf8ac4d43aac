"""Ids of elements on a page: the kernel's key is before them, because two notebooks on a page may have the same ids.

marimo's HTML names elements in attributes, and HTML may be inside of JSON inside of an attribute.
"""

from __future__ import annotations

import html
import json
import re
from typing import Final

_OBJECT: Final = re.compile(r"""(\bobject-id=(?:\\*["']|&(?:amp;)*(?:quot|#39|#x27);))([^"'\\&<>\s]+)""")
_INSIDE: Final = re.compile(r"""(\bdata-element-ids?=)'([^'<>]*)'""")


def object_ids(text: str) -> set[str]:
    """Return the ids of the elements in marimo's HTML."""
    return {found[2] for found in _OBJECT.finditer(text)}


def on_page(text: str, key: str) -> str:
    """Return marimo's HTML, or JSON with HTML in it, with the ids that its elements have on a page."""

    def inside(found: re.Match[str]) -> str:
        try:
            ids = json.loads(html.unescape(found[2]))
        except (ValueError, RecursionError):
            return found[0]
        if not isinstance(ids, str | dict):
            return found[0]
        prefixed = (
            f"{key}~{ids}" if isinstance(ids, str) else {f"{key}~{one}": name for one, name in ids.items()}
        )
        return f"{found[1]}'{_attribute(prefixed)}'"

    return _INSIDE.sub(inside, _OBJECT.sub(rf"\g<1>{key}~\g<2>", text))


def _attribute(value: object) -> str:
    """Return JSON as marimo writes it into an attribute, which Markdown must not read either."""
    encoded = json.dumps(value, ensure_ascii=False).replace(">", "\\u003e").replace("<", "\\u003c")
    return html.escape(encoded).replace("\\", "&#92;").replace("$", "&#36;")
