"""Arguments in another form than the tool's schema asks for, where only one thing can be meant.

Models send numbers as text, lists as JSON text, one text for a list of one, and null for what they leave out. That is taken as meant,
if the schema takes no such value itself: nothing that is a text for the tool is ever parsed. All else is left as it is, for the
validation to refuse with what to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from marimo_kernel_bridge.mcp_server.sdk.argument_errors import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_NUMBER: Final = 40
_TRUTHS: Final = {"true": True, "false": False}


def as_meant(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call as they are meant by the tool's schema."""
    return _fields(schema, schema, arguments)


def _fields(root: Mapping[str, Any], part: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    known, required = part.get("properties", {}), part.get("required", ())
    meant = {
        name: _value(root, resolved(root, known[name]), value) if name in known else value
        for name, value in given.items()
    }
    return {
        name: value
        for name, value in meant.items()
        if value is not None or name not in known or name in required
    }


def _value(root: Mapping[str, Any], part: Mapping[str, Any], given: Any) -> Any:  # JSON
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
        case "boolean", str():
            meant = _TRUTHS.get(given.strip().casefold(), given)
        case "string", int() if not isinstance(given, bool) and "enum" not in part:
            meant = str(given)
        case _:
            pass
    if isinstance(meant, list) and part.get("type") == "array":
        items = resolved(root, part.get("items", {}))
        return [_value(root, items, item) for item in meant]
    if isinstance(meant, dict) and part.get("properties"):
        return _fields(root, part, meant)
    return meant


def _list(root: Mapping[str, Any], part: Mapping[str, Any], given: str) -> Any:  # JSON
    parsed, items = _json(given), _type_of_items(root, part)
    if isinstance(parsed, list):
        return parsed
    if items == "object" and isinstance(parsed, dict):
        return [parsed]
    return [given] if items == "string" and given.strip() else given


def _type_of_items(root: Mapping[str, Any], part: Mapping[str, Any]) -> object:
    return resolved(root, part.get("items", {})).get("type")


def _number(kind: str, given: str | float) -> Any:  # JSON
    number = _json(given) if isinstance(given, str) and len(given) <= _LONGEST_NUMBER else given
    if isinstance(number, bool) or not isinstance(number, int | float):
        return given
    return int(number) if kind == "integer" and float(number).is_integer() else number


def _json(text: str) -> Any:  # JSON
    """Return what a text is as JSON, None if it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
