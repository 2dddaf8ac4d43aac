"""Lists of objects in structured answers as tables, which name each field once: a model that is shown them pays for each word.

`{"cells": [{"cell_id": "a", "version": 1}, {"cell_id": "b", "version": 2, "stale": true}]}` is sent as `{"cells": {"columns": ["cell_id",
"version", "stale"], "rows": [["a", 1], ["b", 2, true]]}}`. What is missing at the end of a row, or null, is a field that the object
does not have. Resources have the same values as plain JSON.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

_FIELDS: Final = frozenset({"columns", "rows"})


def as_tables(data: Any) -> Any:  # JSON
    """Return JSON with each list of objects as a table."""
    if isinstance(data, dict):
        return {name: as_tables(value) for name, value in data.items()}
    if not isinstance(data, list):
        return data
    items = [as_tables(item) for item in data]
    if not items or not all(map(_fits, items)):
        return items
    uses = Counter(name for item in items for name in item)
    names = sorted(uses, key=lambda name: -uses[name])  # rows can end before fields that few have
    return {"columns": names, "rows": [_row(item, names) for item in items]}


def as_objects(data: Any) -> Any:  # JSON
    """Return JSON with each table as a list of objects."""
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


def _fits(item: Any) -> bool:  # JSON
    """Whether a table says all of an object: none is a table itself, and null is no value in one."""
    return isinstance(item, dict) and item.keys() != _FIELDS and None not in item.values()


def _row(item: dict[str, Any], names: list[str]) -> list[Any]:
    row = [item.get(name) for name in names]
    while row and row[-1] is None:
        row.pop()
    return row
