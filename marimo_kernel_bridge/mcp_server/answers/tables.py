"""Lists in structured answers as a model is shown them, which pays for each word: the names of fields once, names as one text.

`{"cells": [{"cell_id": "a", "defines": ["x", "y"]}, {"cell_id": "b", "defines": [], "stale": true}]}` is sent as `{"cells": [["cell_id",
"defines", "stale"], ["a", "x, y"], ["b", "", true]]}`. What is missing at the end of a row, null, or an empty text, is a field that the
object does not have. What the caller has sent (`SENT`) is not repeated. Resources have the same values as plain JSON.

Rule: the class of an answer decides which of its fields are tables (lists of objects) and which are names (`NAMES`), and they always
are, also with one row or none, which is an empty list. All other lists (of texts, of a kernel's values) never are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMES: Final[Mapping[str, bool]] = MappingProxyType({"names": True})
"""The metadata of a field with a list of names, none of which has a comma: variables, ids of cells and runs."""

SENT: Final[Mapping[str, bool]] = MappingProxyType({"sent": True})
"""The metadata of a field with an argument of the call, which the answer's text repeats for who reads it alone."""

_BETWEEN: Final = ", "


def count_of(items: str) -> Mapping[str, str]:
    """Return the metadata of a field with the number of all items, which is not told where the list has them to the last."""
    return MappingProxyType({"count_of": items})


@dataclass(frozen=True)
class _Forms:
    """The forms of a class's fields: lists of objects and single objects with their classes, lists of names, ..."""

    tables: Mapping[str, type[Any]]
    objects: Mapping[str, type[Any]]
    names: frozenset[str]
    sent: frozenset[str]
    counts: Mapping[str, str]
    """Fields with the number of all that a list has, and the list's."""
    empty: frozenset[str]
    """Fields whose default is an empty text, in a table: texts, and lists of names."""


def tables_of(kind: type[Any]) -> Mapping[str, type[Any]]:
    """Return the fields of a part of an answer that are lists of objects, and the class of the objects."""
    return _forms_of(kind).tables


def names_of(kind: type[Any]) -> frozenset[str]:
    """Return the fields of a part of an answer that are lists of names."""
    return _forms_of(kind).names


def untold_of(part: Any) -> set[str]:
    """Return the fields of a part of an answer that structured content does not have: what was sent, and a number that its list shows."""
    forms = _forms_of(type(part))
    shown = {
        name
        for name, items in forms.counts.items()
        if getattr(part, name) == getattr(part, "offset", 0) + len(getattr(part, items))
    }
    return {*forms.sent, *shown}


def _forms_of(kind: type[Any]) -> _Forms:
    return _read_forms(kind)  # type: ignore[arg-type]  # mypy: classes are not Hashable


@cache
def _read_forms(kind: type[Any]) -> _Forms:
    tables, objects = {}, {}
    for name, hint in get_type_hints(kind).items():
        for part in _parts(hint):
            if (of := _objects_in(part)) is not None:
                tables[name] = of
            elif isinstance(part, type) and is_dataclass(part):
                objects[name] = part
    own = fields(kind)
    names = frozenset(field.name for field in own if "names" in field.metadata)
    sent = frozenset(field.name for field in own if "sent" in field.metadata)
    counts = {field.name: field.metadata["count_of"] for field in own if "count_of" in field.metadata}
    empty = (
        field.name for field in own if field.default == "" or (field.name in names and field.default == ())
    )
    return _Forms(tables, objects, names, sent, counts, frozenset(empty))


def as_table(items: Sequence[dict[str, Any]], kind: type[Any]) -> list[list[Any]]:
    """Return a list of objects of a class as a table: the names of their fields, and a row for each."""
    uses = Counter(name for item in items for name in item)
    names = sorted(uses, key=lambda name: -uses[name])  # rows can end before fields that few have
    empty = _forms_of(kind).empty  # an empty text is a token, null is two
    blanks = ["" if name in empty else None for name in names]
    return [names, *(_row(item, names, blanks) for item in items)] if items else []


def as_text(names: Sequence[str]) -> str:
    """Return a list of names as one text."""
    return _BETWEEN.join(names)


def as_objects(data: Any, *kinds: type[Any]) -> Any:  # JSON
    """Return the structured content of an answer, which is of one of these classes, with each table as a list of objects."""
    if not isinstance(data, dict):
        return data
    for kind in kinds:
        if is_dataclass(kind) and data.keys() <= {field.name for field in fields(kind)}:
            return _object(data, kind)
    return data


def _object(data: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    forms = _forms_of(kind)
    plain = {}
    for name, value in data.items():
        plain[name] = value
        if name in forms.names and isinstance(value, str):
            plain[name] = value.split(_BETWEEN) if value else []
        elif name in forms.tables and isinstance(value, list):
            of = forms.tables[name]
            plain[name] = [_object(one, of) for one in _rows(value, of)]
        elif name in forms.objects and isinstance(value, dict):
            plain[name] = _object(value, forms.objects[name])
    for name, items in forms.counts.items():
        if name not in plain and isinstance(plain.get(items), list):
            plain[name] = plain.get("offset", 0) + len(plain[items])
    return plain


def _rows(table: list[Any], kind: type[Any]) -> list[dict[str, Any]]:
    if not table or isinstance(table[0], dict):  # of a plugin, which answers as it likes
        return table
    names, *rows = table
    empty = _forms_of(kind).empty
    return [
        {
            name: value
            for name, value in zip(names, row, strict=False)
            if value is not None and not (value == "" and name in empty)
        }
        for row in rows
    ]


def _parts(hint: Any) -> Iterator[Any]:  # of annotations
    """Yield an annotation and what it is made of, but for what its lists have."""
    yield hint
    if get_origin(hint) is not tuple:
        for part in get_args(hint):
            yield from _parts(part)


def _objects_in(hint: Any) -> type[Any] | None:  # an annotation
    """Return the class of the objects in a list."""
    if get_origin(hint) is not tuple:
        return None
    parts = (part for item in get_args(hint) for part in (item, *get_args(item)))
    return next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)


def _row(item: dict[str, Any], names: list[str], blanks: list[str | None]) -> list[Any]:
    row = [item.get(name, blank) for name, blank in zip(names, blanks, strict=True)]
    last = max((place for place, name in enumerate(names) if name in item), default=-1)
    return row[: last + 1]
