"""The words of a command line as the arguments of a tool, by the tool's schema. Pure.

`--cell-id c3`, `--cell-id=c3`, `--scratch`, `--no-scratch`; a list is repeated (`--cell-ids a --cell-ids b`) or JSON; objects are
JSON; `-` stands for standard input.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_JSON_KINDS = {"array": list, "object": dict}
_WORDS = {
    "string": "TEXT",
    "integer": "NUMBER",
    "number": "NUMBER",
    "boolean": "(or --no-...)",
    "array": "VALUE (again for each, or one JSON list)",
}


def arguments_of(
    tool: str, schema: Mapping[str, Any], words: Sequence[str], stdin: Callable[[], str]
) -> dict[str, Any]:
    """Return the arguments. Raises `WrongUsageError`."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    found: dict[str, Any] = {}
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("--") or word == "--":
            raise WrongUsageError(
                f"{word!r} is no argument of {tool}.", f"Arguments have names: {_names(properties)}."
            )
        name, given, text = word[2:].partition("=")
        name = name.replace("-", "_")
        if name not in properties and name.startswith("no_") and _kind(properties.get(name[3:])) == "boolean":
            found[name[3:]] = False
            continue
        if name not in properties:
            raise WrongUsageError(f"{tool} has no argument {name!r}.", _likely(name, properties))
        kind = _kind(properties[name])
        if kind == "boolean" and not given:
            found[name] = True
            continue
        if not given:
            text = _next(remaining, tool, name)
        value = _value(tool, name, kind, stdin() if text == "-" else text)
        if kind == "array" and isinstance(value, str):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def help_of(tool: str, title: str, description: str, schema: Mapping[str, Any]) -> str:
    """Return what a tool is for, and its arguments, as help of a command."""
    required = set(schema.get("required", ()))
    lines = [f"{tool}: {title}", "", description.strip(), "", "Arguments:"]
    for name, described in schema.get("properties", {}).items():
        kind = (
            " | ".join(map(str, described["enum"]))
            if "enum" in described
            else _WORDS.get(_kind(described), "JSON")
        )
        facts = [
            described.get("description", ""),
            f"[default: {described['default']}]" if "default" in described else "",
        ]
        needed = " (required)" if name in required else ""
        lines.append(f"  --{name.replace('_', '-')} {kind}{needed}  {' '.join(filter(None, facts))}".rstrip())
    if not schema.get("properties"):
        lines.append("  none")
    return "\n".join(lines)


def _kind(described: Any) -> str:
    """Return the JSON type of an argument; empty if it may have several."""
    if not isinstance(described, dict):
        return ""
    kind = described.get("type", "")
    return kind if isinstance(kind, str) else ""


def _next(words: Iterator[str], tool: str, name: str) -> str:
    for word in words:
        return word
    raise WrongUsageError(f"The argument {name} of {tool} has no value.", f"For example --{name} VALUE.")


def _value(tool: str, name: str, kind: str, text: str) -> Any:
    if kind == "string" or (kind == "array" and not text.lstrip().startswith("[")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if kind == "":
            return text
        raise WrongUsageError(
            f"The argument {name} of {tool} is of the type {kind}, and {text[:80]!r} is not.",
            "Lists and objects are JSON." if kind in _JSON_KINDS else "",
        ) from None
    if kind in _JSON_KINDS and not isinstance(value, _JSON_KINDS[kind]):
        raise WrongUsageError(
            f"The argument {name} of {tool} is of the type {kind}, and {text[:80]!r} is not."
        )
    return value


def _names(properties: Mapping[str, Any]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in properties) or "it has none"


def _likely(name: str, properties: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, properties, n=1)
    meant = f"Did you mean --{near[0].replace('_', '-')}? " if near else ""
    return f"{meant}It takes {_names(properties)}."
