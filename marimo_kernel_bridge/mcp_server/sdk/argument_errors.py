"""Error messages for invalid arguments of a call, which say what to send instead.

They are derived from the tool's input schema, which the client knows. pydantic finds the errors; its own messages, with
Python types and links to its web pages, are not used.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError

_NAMES: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_PLURALS: Final = {"string": "texts", "integer": "whole numbers", "object": "objects"}
_WIDTH: Final = 60
_SAID: Final = 20
"""Errors of one call that are said."""
_TEXTS: Final = frozenset({"code", "content", "new", "note", "old", "source"})
"""Arguments that may have several lines."""
_MEANT: Final = {
    "cell": "cell_id",
    "cells": "cell_ids",
    "content": "code",
    "expression": "code",
    "file": "connection_file",
    "filter": "query",
    "handle": "kernel",
    "id": "cell_id",
    "kernel_id": "kernel",
    "kernel_name": "kernelspec",
    "max_rows": "limit",
    "name": "variable",
    "path": "notebook",
    "pattern": "query",
    "rows": "limit",
    "source": "code",
    "text": "query",
    "url": "server_url",
}
"""Names of arguments in other notebook servers. Suggested only if the tool has the argument named second."""


def explain(tool: str, schema: Mapping[str, Any], error: ValidationError) -> str:
    """Return all errors in the arguments of a call, and the arguments that the tool accepts."""
    errors = error.errors(include_url=False)
    faults = [_fault(schema, fault) for fault in errors[:_SAID]]
    lines = [f"[bad_request] {tool} was not called; its arguments are wrong:"]
    lines += [f"- {fault}" for fault in dict.fromkeys(faults)]
    lines += [f"- and {len(errors) - _SAID} more."] if len(errors) > _SAID else []
    lines.append(f"{tool} takes {_arguments(schema)}.")
    return "\n".join(lines)


def _fault(root: Mapping[str, Any], fault: Mapping[str, Any]) -> str:
    where, given = tuple(fault["loc"]), fault["input"]
    name = _written(where)
    if fault["type"] == "extra_forbidden":
        return _unknown(name, str(where[-1]), _fields(root, _at(root, where[:-1])))
    if fault["type"] == "missing":
        schema = _at(root, where)
        description = schema.get("description", "")
        return f"`{name}` is missing. It is {expected(root, schema)}" + (
            f": {description}" if description else "."
        )
    schema = _at(root, where)
    if fault["type"] == "value_error":  # of a check of ours
        return f"`{name}`: {fault['ctx']['error']}"
    instead = _instead(root, schema, given, str(where[-1]) if where else "")
    return f"`{name}` takes {expected(root, schema)}, not {_shown(given)}." + (
        f" Send {instead}." if instead else ""
    )


def _unknown(name: str, last: str, names: Iterable[str]) -> str:
    names = list(names)
    if len(name) > _WIDTH:
        return f"`{name[:_WIDTH]}…` is unknown; leave it out."
    guesses = [_MEANT[last]] if _MEANT.get(last) in names else difflib.get_close_matches(last, names, n=1)
    if guesses:
        return f"`{name}` is unknown. Did you mean `{guesses[0]}`?"
    return f"`{name}` is unknown; leave it out."


def _arguments(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    names = [f"{name} (required)" if name in required else name for name in schema.get("properties", {})]
    return ", ".join(names) or "no arguments"


def expected(root: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Describe the values that a schema accepts: "a number from 0 to 600"."""
    schema = resolved(root, schema)
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "anyOf" in schema:
        kinds = [resolved(root, kind) for kind in schema["anyOf"]]
        return " or ".join(expected(root, kind) for kind in kinds if kind.get("type") != "null")
    kind = schema.get("type", "")
    if kind == "array" and "items" in schema:
        text = f"a list of {_PLURALS.get(resolved(root, schema['items']).get('type', ''), 'values')}"
    else:
        text = _NAMES.get(kind, "a value")
    return text + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" from {low:g} on"
    least, most = (
        schema.get("minLength", schema.get("minItems")),
        schema.get("maxLength", schema.get("maxItems")),
    )
    unit = "entries" if schema.get("type") == "array" else "characters"
    if least and most:
        return f" of {least} to {most} {unit}"
    if most:
        return f" of at most {most} {unit}"
    return " that is not empty" if least else ""


def _instead(root: Mapping[str, Any], schema: Mapping[str, Any], given: Any, name: str) -> str:
    """Return the form of the intended value. Empty if there is no good guess."""
    kinds = resolved(root, schema).get("anyOf", (schema,))
    guesses = (_guess(root, resolved(root, kind), given, name) for kind in kinds)
    return next(filter(None, guesses), "")


def _guess(root: Mapping[str, Any], kind: Mapping[str, Any], given: Any, name: str) -> str:
    """Return what to send where nothing can be taken as meant (`meant_arguments`)."""
    items = resolved(root, kind.get("items", {}))
    match kind.get("type"), given:
        case "array", str() if items.get("type") == "object":
            return f"[{_form(items)}]"
        case "object", str() if kind.get("properties"):
            return _form(kind)
        case "string", list() if name in _TEXTS:
            return "one text, its lines joined"
        case "string", list():
            return "one of them"
    return ""


def _form(kind: Mapping[str, Any]) -> str:
    """Return what an object looks like: its required fields, or its first."""
    names = kind.get("required") or list(kind.get("properties", {}))[:1]
    return "{" + ", ".join(f'"{name}": …' for name in names) + ", …}"


def _at(root: Mapping[str, Any], where: Sequence[int | str]) -> Mapping[str, Any]:
    """Return the schema at a location in the arguments."""
    schema: Mapping[str, Any] = root
    for step in where:
        schema = resolved(root, schema)
        if "anyOf" in schema:
            schema = next((kind for kind in schema["anyOf"] if kind.get("type") != "null"), {})
            schema = resolved(root, schema)
        part = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
        if part is None:
            return schema  # an internal step of pydantic, such as the name of a union member
        schema = part
    return schema


def _fields(root: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    return list(resolved(root, schema).get("properties", {}))


def resolved(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a schema, with what it refers to."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        definition: Mapping[str, Any] = root.get("$defs", {}).get(name, {})
        return {**definition, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _written(where: Sequence[int | str]) -> str:
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shown(given: Any) -> str:
    text = json.dumps(given, ensure_ascii=False, default=str)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
