"""Lists of objects in structured answers as tables, which name each field once: a model that is shown them pays for each word.

`{"cells": [{"cell_id": "a", "version": 1}, {"cell_id": "b", "version": 2, "stale": true}]}` is sent as `{"cells": {"columns": ["cell_id",
"version", "stale"], "rows": [["a", 1], ["b", 2, true]]}}`. What is missing at the end of a row, or null, is a field that the object
does not have. Resources have the same values as plain JSON.

Rule: the class of an answer decides which of its fields are tables, and they always are, also with one row or none. All other lists
(of texts, of a kernel's values) never are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELDS: Final = frozenset({"columns", "rows"})


@cache
def tables_of(kind: type[Any]) -> frozenset[str]:
    """Return the fields of a part of an answer that are lists of objects."""
    hints = get_type_hints(kind).items()
    return frozenset(name for name, hint in hints if any(map(_is_of_objects, _parts(hint))))


def as_table(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a list of objects as a table."""
    uses = Counter(name for item in items for name in item)
    names = sorted(uses, key=lambda name: -uses[name])  # rows can end before fields that few have
    return {"columns": names, "rows": [_row(item, names) for item in items]}


def as_objects(data: Any) -> Any:  # JSON
    """Return structured content with each table as a list of objects."""
    if isinstance(data, list):
        return [as_objects(item) for item in data]
    if not isinstance(data, dict):
        return data
    if data.keys() == _FIELDS and all(isinstance(row, list) for row in data["rows"]):
        return [
            {
                name: as_objects(value)
                for name, value in zip(data["columns"], row, strict=False)
                if value is not None
            }
            for row in data["rows"]
        ]
    return {name: as_objects(value) for name, value in data.items()}


def _parts(hint: Any) -> Iterator[Any]:  # of annotations
    """Yield an annotation and what it is made of, but for what its lists have."""
    yield hint
    if get_origin(hint) is not tuple:
        for part in get_args(hint):
            yield from _parts(part)


def _is_of_objects(hint: Any) -> bool:  # an annotation
    return get_origin(hint) is tuple and any(
        is_dataclass(part) for item in get_args(hint) for part in (item, *get_args(item))
    )


def _row(item: dict[str, Any], names: list[str]) -> list[Any]:
    row = [item.get(name) for name in names]
    while row and row[-1] is None:
        row.pop()
    return row
