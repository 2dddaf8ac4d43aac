"""Arguments in another form than the tool's schema asks for, where only one thing can be meant.

Models send numbers as text, lists as JSON text, one text for a list of one and the other way round, a list where another argument takes
several, yes for true, one of several names of a format, and null for what they leave out. That is taken as meant,
if the schema takes no such value itself: nothing that is a text for the tool is ever parsed. All else is left as it is, for the
validation to refuse with what to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic_core import from_json

from marimo_kernel_bridge.mcp_server.sdk.argument_errors import resolved
from marimo_kernel_bridge.protocol.value_counts import has_few_values

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_NUMBER: Final = 40
_LONGEST_TEXT: Final = 200_000
"""Characters of JSON in place of a list or an object."""
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SYNONYMS: Final = {"markdown": "md", "md": "markdown", "notebook": "ipynb"}
"""Names of formats and kinds. Taken only where the tool has the second and not the first."""


def as_meant(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call as they are meant by the tool's schema."""
    return _fields(schema, schema, arguments)


def _fields(root: Mapping[str, Any], part: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    known, required = part.get("properties", {}), part.get("required", ())
    given = _several(root, known, given)
    meant = {
        name: _value(root, resolved(root, known[name]), value) if name in known else value
        for name, value in given.items()
    }
    return {
        name: value
        for name, value in meant.items()
        if value is not None or name not in known or name in required
    }


def _several(
    root: Mapping[str, Any], known: Mapping[str, Any], given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return arguments with a list that was given for one (`cell_id`) under the name for several (`cell_ids`), if there is one."""
    moved = {
        name: f"{name}s"
        for name, value in given.items()
        if isinstance(value if not isinstance(value, str) or value[:1] != "[" else _json(value), list)
        and resolved(root, known.get(name, {})).get("type") == "string"
        and resolved(root, known.get(f"{name}s", {})).get("type") == "array"
        and not given.get(f"{name}s")
    }
    if not moved:
        return given
    return {moved.get(name, name): value for name, value in given.items() if name not in moved.values()}


def _value(root: Mapping[str, Any], part: Mapping[str, Any], given: Any) -> Any:  # JSON
    meant = _alone(root, part, given)
    if isinstance(meant, list) and part.get("type") == "array":
        items = resolved(root, part.get("items", {}))
        return [_value(root, items, item) for item in meant]
    if isinstance(meant, dict) and part.get("properties"):
        return _fields(root, part, meant)
    return meant


def _alone(root: Mapping[str, Any], part: Mapping[str, Any], given: Any) -> Any:  # JSON
    """Return a value as it is meant, but for what is in it."""
    meant = given
    match part.get("type"), given:
        case "array", str():
            meant = _list(root, part, given)
        case "array", dict() if _type_of_items(root, part) == "object":
            meant = [given]
        case "object", str():
            parsed = _json(given)
            meant = parsed if isinstance(parsed, dict) else given
        case ("integer" | "number") as kind, str() | float():
            meant = _number(kind, given)
        case "string", {"cells": _}:  # a notebook as JSON, where its text is meant
            meant = msgspec.json.encode(given).decode()
        case "boolean", str() | int():
            meant = _TRUTHS.get(str(given).strip().casefold(), given)
        case "string", [str() as one]:
            meant = _text(part, one)
        case "string", str() | int() | float():
            meant = _text(part, given)
        case _:
            pass
    return meant


def _list(root: Mapping[str, Any], part: Mapping[str, Any], given: str) -> Any:  # JSON
    parsed, items = _json(given), _type_of_items(root, part)
    if isinstance(parsed, list):
        return parsed
    if items == "object" and isinstance(parsed, dict):
        return [parsed]
    return [given] if items == "string" and given.strip() else given


def _text(part: Mapping[str, Any], given: str | float) -> str | float:
    """Return a text: of a few, the one that is named in any case or otherwise; a number as it is written."""
    values = part.get("enum")
    if values is None:
        return given if isinstance(given, bool | str) else str(given)
    if given in values or not isinstance(given, str):
        return given
    word = given.strip().casefold()
    named = word if word in values else _SYNONYMS.get(word, given)
    return named if named in values else given


def _type_of_items(root: Mapping[str, Any], part: Mapping[str, Any]) -> object:
    return resolved(root, part.get("items", {})).get("type")


def _number(kind: str, given: str | float) -> Any:  # JSON
    number = _json(given) if isinstance(given, str) and len(given) <= _LONGEST_NUMBER else given
    if isinstance(number, bool) or not isinstance(number, int | float):
        return given
    return int(number) if kind == "integer" and float(number).is_integer() else number


def _json(text: str) -> Any:  # JSON
    """Return what a text is as JSON; None if it is none, or too much. Pydantic's parser takes no second for a megabyte of numbers."""
    if len(text) > _LONGEST_TEXT:
        return None
    try:
        parsed = from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError):
        return None
    return parsed if has_few_values(parsed) else None
