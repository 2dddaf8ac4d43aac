"""The JSON schemas of the tools, as short as possible: each agent pays for each word.

pydantic generates those of arguments, msgspec those of answers (in a fifth of the time). This module removes titles
that repeat names of classes and fields ("Cell Id" for `cell_id`), nulls and empty defaults of optional fields, all but the
first paragraph of descriptions, in answers those that explain no field, and definitions that are used once (some hosts cannot follow a `$ref`).

Clients are told of arguments only what a model needs before a call (`published`): a refusal names limits. They get no schema of
answers, which would be as long as all else, and which hosts show to no model; the reference has it (`of_tool`).
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.mcp_server.tool import ToolFunction

_ABSENT = object()
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], ())
_LIMITS: Final = frozenset(
    {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"}
)
_ABSENT_IS_NO: Final[tuple[Any, ...]] = (None, False, {})
"""Defaults that an argument which is left out has by nature."""


@dataclass(frozen=True)
class Without:
    """An annotation of a tool's answer: fields of the view that this tool never sets."""

    fields: tuple[str, ...] = ()


def of_arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool's arguments, from pydantic's."""
    return _short(dict(schema), _EMPTY)


def published(schema: Mapping[str, Any], brief: Iterable[str] = ()) -> dict[str, Any]:
    """Return what clients are told of the schema of a tool's arguments: all but limits, also of names, and defaults that go without saying.

    An unknown name is refused with the one that is meant; many converters of schemas add `additionalProperties` themselves, and some
    models' interfaces do not take it. `brief` are lists of objects whose fields are not repeated. All of the schema still holds.
    """

    def is_told(key: str, value: Any) -> bool:  # JSON
        if key == "default":
            return type(value) not in {int, float} and value not in _ABSENT_IS_NO
        return key not in _LIMITS and key != "additionalProperties"

    def told(part: Any, *, fields: bool = False) -> Any:  # JSON; fields: an object's, by their names
        if isinstance(part, list):
            return [told(item) for item in part]
        if not isinstance(part, dict):
            return part
        return {
            key: told(value, fields=key == "properties" and not fields)
            for key, value in part.items()
            if fields or is_told(key, value)
        }

    short: dict[str, Any] = told(dict(schema))
    for name in brief:
        short["properties"][name]["items"] = {"type": "object"}
    used = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(short["properties"])))
    definitions = {name: part for name, part in short.pop("$defs", {}).items() if name in used}
    return {**({"$defs": definitions} if definitions else {}), **short}


def of_tool(function: ToolFunction) -> dict[str, Any]:
    """Return the schema of a tool's answer: for several forms of it, with all of their fields."""
    views, without = answer_of(function)
    schemas = [of_answer(view, without) for view in views]  # type: ignore[arg-type]  # mypy: classes are not Hashable
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


@cache
def answer_of(function: ToolFunction) -> tuple[tuple[type[Any], ...], Without]:
    """Return what a tool is annotated with: the classes of its answers, and the fields that these never have."""
    view, *parts = get_type_hints(function, include_extras=True)["return"].__metadata__
    views = get_args(view) if isinstance(view, UnionType) else (view,)
    return views, parts[0] if parts else Without()


@cache
def of_answer(view: type[Any], without: Without) -> dict[str, Any]:
    """Return the schema of the structured content of an answer."""
    schema = msgspec.json.schema(view)
    schema |= schema["$defs"].pop(view.__name__)
    del schema["$ref"]
    schema.pop("description", None)  # redundant: the tool has a description
    for name in without.fields:
        del schema["properties"][name]
    for part in schema.get("$defs", {}).values():
        if "`" not in part.get("description", ""):  # it says what the field's name says
            part.pop("description", None)
    return _short(schema, (*_EMPTY, False, 0))


def _short(schema: dict[str, Any], empty: tuple[Any, ...]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})
    uses = Counter(re.findall(r'"#/\$defs/(\w+)"', json.dumps([schema, definitions])))

    def described(text: str) -> str:
        return inspect.cleandoc(text).partition("\n\n")[0]

    def short(part: Any) -> Any:  # JSON
        if isinstance(part, list):
            return [short(item) for item in part]
        if not isinstance(part, dict):
            return part
        default = part.get("default", _ABSENT)
        if default is None and "anyOf" in part:
            (kind,) = (kind for kind in part["anyOf"] if kind != {"type": "null"})
            part = kind | {key: part[key] for key in part if key != "anyOf"}
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if uses[name] == 1:
            part = definitions[name] | {key: part[key] for key in part if key != "$ref"}
        idle = {"title"} | ({"default"} if default in empty else set())
        return {
            key: short(described(value) if key == "description" and isinstance(value, str) else value)
            for key, value in part.items()
            if key not in idle or isinstance(value, dict)  # a field named like a keyword
        }

    shared = {name: short(definition) for name, definition in definitions.items() if uses[name] > 1}
    return {**({"$defs": shared} if shared else {}), **short(schema)}
