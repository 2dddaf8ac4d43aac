"""One table in a TOML file of settings: put in or taken out, with everything else left as it is, comments too.

Each edit is checked: read again, the text must say what it said before, but for the table.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.mcp_server.hosts.json_entries import CannotEditError

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_entry(text: str, path: Sequence[str], entry: dict[str, Any]) -> str:
    """Return a text in which the table at a path has these fields; other fields of a table that is there stay.

    Raises `CannotEditError`.
    """
    said = _read(text)
    wanted = copy.deepcopy(said)
    table: Any = wanted
    there = True
    for name in path:
        there = there and name in table
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise CannotEditError(f"{name} is no table")
    if all(table.get(key) == value for key, value in entry.items()):
        return text
    table.update(entry)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    written = [f"{key} = {_value(value)}{newline}" for key, value in entry.items()]
    headers = _headers(lines, path) if there else []  # a text may have a line that looks like one
    if not headers:
        if there:
            raise CannotEditError(f"{'.'.join(path)} is not a table with a line of its own")
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        gap = [newline] if lines and lines[-1].strip() else []
        return _checked("".join([*lines, *gap, f"[{'.'.join(path)}]{newline}", *written]), wanted)
    header = headers[-1]
    if not lines[header].endswith("\n"):
        lines[header] += newline
    kept = _without_keys(lines[header + 1 : _end(lines, header)], entry)
    return _checked("".join([*lines[: header + 1], *written, *kept, *lines[_end(lines, header) :]]), wanted)


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return a text without the table at a path and the tables in it; the same text if it has none. Raises `CannotEditError`."""
    wanted = _read(text)
    table: Any = wanted
    for name in path[:-1]:
        table = table.get(name, {})
    if not isinstance(table, dict) or path[-1] not in table:
        return text
    del table[path[-1]]
    lines = text.splitlines(keepends=True)
    for header in reversed(_headers(lines, path, below=True)):
        end = _end(lines, header)
        while end - 1 > header and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1  # what stands above the next table is about that one
        while end < len(lines) and not lines[end].strip():
            end += 1
        without = [*lines[:header], *lines[end:]]
        with suppress(tomllib.TOMLDecodeError):  # a text may have a line that looks like a table's
            tomllib.loads("".join(without))
            lines = without
    return _checked("".join(lines), wanted, empty=path[:-1])


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEditError(str(error)) from None


def _headers(lines: Sequence[str], path: Sequence[str], *, below: bool = False) -> list[int]:
    """Return the lines with a table's name; with `below` also those of tables in it."""
    names = r"\s*\.\s*".join(rf"""["']?{re.escape(name)}["']?""" for name in path)
    inner = r"(?:\..*)?" if below else ""
    pattern = re.compile(rf"\s*\[\s*{names}\s*{inner}\]\s*(?:#.*)?$")
    return [number for number, line in enumerate(lines) if pattern.match(line.rstrip())]


def _end(lines: Sequence[str], header: int) -> int:
    """Return the line of the next table."""
    after = range(header + 1, len(lines))
    return next((number for number in after if re.match(r"\s*\[", lines[number])), len(lines))


def _without_keys(lines: Sequence[str], keys: dict[str, Any]) -> list[str]:
    """Return the lines of a table without those of some keys, whose values may take several lines."""
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if not any(re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", lines[at]) for key in keys):
            kept.append(lines[at])
            at += 1
            continue
        for end in range(at + 1, len(lines) + 1):
            try:
                tomllib.loads("".join(lines[at:end]))
            except tomllib.TOMLDecodeError:
                continue
            at = end
            break
        else:
            raise CannotEditError("it is laid out in a way that is not understood")
    return kept


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _checked(edited: str, wanted: dict[str, Any], empty: Sequence[str] = ()) -> str:
    """Return the text if it says what is wanted; tables at `empty` may be gone if nothing is in them."""
    said = _read(edited)
    if empty and said != wanted:
        table = said
        for name in empty:
            table = table.setdefault(name, {})
    if said != wanted:
        raise CannotEditError("it is laid out in a way that is not understood")
    return edited
