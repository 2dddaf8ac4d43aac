"""One table in a TOML file of settings: put in or taken out, with everything else left as it is, comments too (tomlkit).

Each edit is checked: read again, the text must say what it said before, but for the table.
"""

from __future__ import annotations

import copy
import tomllib
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from marimo_kernel_bridge.mcp_server.hosts.json_entries import CannotEditError

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_entry(text: str, path: Sequence[str], entry: dict[str, Any]) -> str:
    """Return a text in which the table at a path has these fields; other fields of a table that is there stay.

    Raises `CannotEditError`.
    """
    wanted = read(text)
    said = copy.deepcopy(wanted)
    table: Any = wanted
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise CannotEditError(f"{name} is no table")
    table.update(entry)
    if wanted == said:
        return text
    if (appended := _appended(text, path, entry, wanted)) is not None:
        return appended
    document = _document(text)
    inside: Any = document
    for depth, name in enumerate(path):
        if name not in inside:
            inside.add(name, tomlkit.table(is_super_table=depth + 1 < len(path)))
        inside = inside[name]
    for key, value in entry.items():
        inside[key] = value
    return _checked(tomlkit.dumps(document), wanted)


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return a text without the table at a path and the tables in it; the same text if it has none. Raises `CannotEditError`."""
    wanted = read(text)
    table: Any = wanted
    for name in path[:-1]:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict) or path[-1] not in table:
        return text
    del table[path[-1]]
    document = _document(text)
    inside: Any = document
    for name in path[:-1]:
        inside = inside[name]
    del inside[path[-1]]
    return _checked(tomlkit.dumps(document), wanted, empty=path[:-1])


def _appended(text: str, path: Sequence[str], entry: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """Return the text with the table at its end; None if that does not say what is wanted.

    tomlkit puts it behind the table beside it, between a comment and what that is about.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    table = (
        tomlkit.dumps({path[-1]: entry})
        .replace(f"[{path[-1]}]", f"[{'.'.join(path)}]")
        .replace("\n", newline)
    )
    before = text if not text or text.endswith("\n") else text + newline
    gap = newline if before.strip() and not before.endswith(newline * 2) else ""
    try:
        return _checked(before + gap + table, wanted)
    except CannotEditError:
        return None


def read(text: str) -> dict[str, Any]:
    """Return what a text says. Raises `CannotEditError`."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also for a number of thousands of digits
        raise CannotEditError(str(error)) from None


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise CannotEditError(str(error)) from None


def _checked(edited: str, wanted: dict[str, Any], empty: Sequence[str] = ()) -> str:
    """Return the text if it says what is wanted; tables at `empty` may be gone if nothing is in them."""
    said = read(edited)
    table = said
    for name in empty:
        table = table.setdefault(name, {})
    if said != wanted:
        raise CannotEditError("it is laid out in a way that is not understood")
    return edited
