"""The JSON schemas of the tools, as short as possible: each agent pays for each word.

pydantic generates those of arguments, msgspec those of answers (in a fifth of the time). This module removes titles
that repeat names of classes and fields ("Cell Id" for `cell_id`), nulls and empty defaults of optional fields, all but the
first paragraph of descriptions, in answers those that explain no field, and definitions that are used once (some hosts cannot follow a `$ref`).
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pydantic import BaseModel

_ABSENT = object()
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], ())


@dataclass(frozen=True)
class Without:
    """An annotation of a tool's answer: fields of the view that this tool never sets."""

    fields: tuple[str, ...] = ()


def of_arguments(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a tool's arguments."""
    return _short(model.model_json_schema(by_alias=True), _EMPTY)


@cache
def of_answer(view: type[Any], without: Without) -> dict[str, Any]:
    """Return the schema of the structured content of an answer."""
    schema = msgspec.json.schema(view)
    schema |= schema["$defs"].pop(view.__name__)
    del schema["$ref"], schema["description"]  # redundant: the tool has a description
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
