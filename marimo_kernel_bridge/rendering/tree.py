"""Nested lists and dicts as marimo passes them to its frontend: JSON with leaves that may have a mime type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.rendering.page import escape, quoted

if TYPE_CHECKING:
    from marimo_kernel_bridge.rendering.page import Page

_MOST_ITEMS: Final = 100
_SHORT: Final = 72
_OPEN_DEPTH: Final = 2
_PYTHON: Final = {"tuple": tuple, "set": set, "frozenset": frozenset}


def tree(data: Any, page: Page, *, python: bool, name: str = "") -> str:
    """Draw data, in Python's notation or as JSON."""
    return _draw(data, page, python=python, key=f"<b>{escape(name)}</b>" if name else "", depth=0)


def _draw(data: Any, page: Page, *, python: bool, key: str, depth: int) -> str:
    start = f"{key}: " if key else ""
    if not isinstance(data, list | dict):
        return start + _leaf(data, page, python=python)
    short = _short(data, python=python)
    if short is not None:
        return f"{start}<code>{escape(short)}</code>"
    items = list(data.items()) if isinstance(data, dict) else list(enumerate(data))
    rows = [
        "<li>"
        + _draw(value, page, python=python, key=_key(name, data, python=python), depth=depth + 1)
        + "</li>"
        for name, value in items[:_MOST_ITEMS]
    ]
    if len(items) > _MOST_ITEMS:
        rows.append(f"<li>… {len(items) - _MOST_ITEMS} more</li>")
    kind = "dict" if isinstance(data, dict) else "list"
    is_open = " open" if depth < _OPEN_DEPTH else ""
    return (
        f"<details{is_open}><summary>{start}{kind} of {len(items)}</summary>"
        f'<ul style="list-style:none;margin:0;padding-left:1.5em">{"".join(rows)}</ul></details>'
    )


def _key(name: object, container: object, *, python: bool) -> str:
    if isinstance(container, list):
        return f"<code>{name}</code>"
    if not python:
        return f"<code>{escape(json.dumps(name))}</code>"
    text = str(name)
    if text.startswith("text/plain+str:"):
        return f"<code>{escape(repr(text.removeprefix('text/plain+str:')))}</code>"
    found = _python_leaf(text)
    return f"<code>{escape(repr(name) if found is None else found)}</code>"


def _short(data: Any, *, python: bool) -> str | None:
    """Return a structure on one line; None if it is too long or contains anything but plain values."""
    try:
        text = _line(data, python=python)
    except ValueError:
        return None
    return text if len(text) <= _SHORT else None


def _line(data: Any, *, python: bool) -> str:
    if isinstance(data, list):
        return "[" + ", ".join(_line(item, python=python) for item in data) + "]"
    if isinstance(data, dict):
        keys = {name: _python_leaf(str(name)) or repr(name) if python else json.dumps(name) for name in data}
        return (
            "{"
            + ", ".join(f"{keys[name]}: {_line(value, python=python)}" for name, value in data.items())
            + "}"
        )
    if not python:
        return json.dumps(data, ensure_ascii=False)
    if isinstance(data, str) and _mime_type(data):
        found = _python_leaf(data)
        if found is None:
            raise ValueError(data)
        return found
    return repr(data)


def _leaf(data: Any, page: Page, *, python: bool) -> str:
    mime_type = _mime_type(data) if isinstance(data, str) and python else None
    if mime_type is None:
        return f"<code>{escape(_line(data, python=python))}</code>"
    found, content = _python_leaf(data), data.partition(":")[2]
    if found is not None:
        return f"<code>{escape(found)}</code>"
    if mime_type in {"text/html", "text/markdown", "image/svg+xml"} and not content.startswith("data:"):
        return page.html(content)
    if mime_type.startswith("image/"):
        return f"<img src={quoted(content)} alt=''>"
    if mime_type == "application/json":
        return tree(json.loads(content), page, python=python)
    return page.native(mime_type, content)


def _mime_type(text: str) -> str | None:
    """Return the mime type at the start of a leaf."""
    head, colon, _ = text.partition(":")
    kind, slash, rest = head.partition("/")
    known = kind in {"text", "image", "application", "video", "audio"}
    return head if colon and slash and known and rest and " " not in head else None


def _python_leaf(text: str) -> str | None:
    """Return the Python notation of a value for which JSON has no type; None if `text` is no such value."""
    head, colon, content = text.partition(":")
    if not colon or not head.startswith("text/plain"):
        return None
    kind = head.removeprefix("text/plain").removeprefix("+")
    if kind in _PYTHON:
        try:
            items = json.loads(content)
        except (ValueError, RecursionError):
            return content
        return repr(_PYTHON[kind](items)) if _hashable(items) or kind == "tuple" else content
    return content


def _hashable(items: list[Any]) -> bool:
    return not any(isinstance(item, list | dict) for item in items)
