"""One entry in a YAML file of settings: put in or taken out, with everything else left as it is, comments too.

Each edit is checked: read again, the text must say what it said before, but for the entry.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from marimo_kernel_bridge.mcp_server.hosts.json_entries import CannotEditError
from marimo_kernel_bridge.notebooks.nbformat_json import lines as split_with_ends
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_BRACKETS: Final = 500
"""Within brackets PyYAML takes time that grows faster than the text."""
_MOST_VALUES: Final = 100_000
_LONGEST_REASON: Final = 300


def with_entry(text: str, path: Sequence[str], entry: dict[str, Any]) -> str:
    """Return a text in which `path`, a mapping and a name in it, has these fields; other fields that are there stay.

    Raises `CannotEditError`.
    """
    section, name = path
    said = read(text)
    wanted = copy.deepcopy(said)
    inside = wanted.get(section)
    if inside is None:
        inside = wanted[section] = {}
    if not isinstance(inside, dict) or not isinstance(inside.get(name, {}), dict):
        raise CannotEditError(f"{section} is no mapping")
    there = inside.get(name, {})
    if name in inside and all(there.get(key) == value for key, value in entry.items()):
        return text
    inside[name] = {**there, **entry}
    lines = split_with_ends(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    header = _section(lines, section)
    if header is None:
        if section in said:
            raise CannotEditError(f"{section} has no line of its own")
        written = _written({section: {name: inside[name]}}, "", newline)
        return _checked("".join([*lines, *written]), wanted)
    end = _end(lines, header + 1, "")
    indent = next((own for line in lines[header + 1 : end] if (own := _indent(line))), "  ")
    if not said.get(section):
        lines[header] = f"{section}:{newline}"  # it may have been an empty mapping in braces
    written = _written({name: inside[name]}, indent, newline)
    start = _name(lines, header + 1, end, indent, name)
    if start is not None:
        lines[start : _trimmed(lines, start, _end(lines, start + 1, indent))] = written
    else:
        at = _trimmed(lines, header, end)
        lines[at:at] = written
    return _checked("".join(lines), wanted)


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return a text without the entry at a path; the same text if it has none. Raises `CannotEditError`."""
    section, name = path
    said = read(text)
    if not isinstance(said.get(section), dict) or name not in said[section]:
        return text
    wanted = copy.deepcopy(said)
    del wanted[section][name]
    lines = split_with_ends(text)
    header = _section(lines, section)
    if header is None:
        raise CannotEditError(f"{section} has no line of its own")
    end = _end(lines, header + 1, "")
    indent = next((own for line in lines[header + 1 : end] if (own := _indent(line))), "  ")
    start = _name(lines, header + 1, end, indent, name)
    if start is None:
        raise CannotEditError(f"{section}.{name} has no line of its own")
    del lines[start : _trimmed(lines, start, _end(lines, start + 1, indent))]
    if not wanted[section]:
        lines[header] = f"{section}: {{}}\n"
    return _checked("".join(lines), wanted)


def read(text: str) -> dict[str, Any]:
    """Return what a text says. Raises `CannotEditError`."""
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise CannotEditError("too many lists and mappings in brackets")
    try:
        said = yaml.safe_load(text)
    # PyYAML raises any of these for a number, a date or a tag that is not what it says to be
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        OverflowError,
        RecursionError,
    ) as error:
        raise CannotEditError(" ".join(str(error).split())[:_LONGEST_REASON]) from None
    if said is not None and not isinstance(said, dict):
        raise CannotEditError("it is no mapping")
    _require_size(said)
    return said or {}


def _require_size(said: Any) -> None:
    """Raise for a value that is huge, or has itself in it, by what it says again (`*name`): nobody could compare it."""
    waiting, seen = [said], 0
    while waiting:
        seen += 1
        if seen > _MOST_VALUES:
            raise CannotEditError("it is too large, or refers to itself")
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _section(lines: Sequence[str], section: str) -> int | None:
    pattern = re.compile(rf"""["']?{re.escape(section)}["']?\s*+:\s*+(?:\{{\s*+\}}|null|~)?\s*+(?:#.*)?$""")
    return next((number for number, line in enumerate(lines) if pattern.match(line.rstrip())), None)


def _name(lines: Sequence[str], start: int, end: int, indent: str, name: str) -> int | None:
    pattern = re.compile(rf"""{indent}["']?{re.escape(name)}["']?\s*:""")
    return next((number for number in range(start, end) if pattern.match(lines[number])), None)


def _indent(line: str) -> str:
    """Return the spaces before what a line says; none of a line that says nothing."""
    said = line.strip()
    return "" if not said or said.startswith("#") else line[: len(line) - len(line.lstrip(" "))]


def _end(lines: Sequence[str], start: int, outer: str) -> int:
    """Return the first line from `start` on that is not deeper than `outer`."""
    for number in range(start, len(lines)):
        said = lines[number].strip()
        if said and not said.startswith("#") and len(_indent(lines[number])) <= len(outer):
            return number
    return len(lines)


def _trimmed(lines: Sequence[str], start: int, end: int) -> int:
    """Return the end without the empty lines and comments before it, which are about what follows."""
    while end - 1 > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _written(value: dict[str, Any], indent: str, newline: str) -> list[str]:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return [f"{indent}{line}{newline}" for line in split_lines(text.rstrip("\n"))]


def _checked(edited: str, wanted: dict[str, Any]) -> str:
    if read(edited) != wanted:
        raise CannotEditError("it is laid out in a way that is not understood")
    return edited
