"""What an agent says of a view, as the state of one, and the state as words: sort, filters, search, selection.

An agent names columns; a state has their indexes. Pure: the process that has the data checks the values again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.near_texts import nearest
from marimo_kernel_bridge.protocol.views import (
    Filter,
    Operator,  # pydantic evaluates annotations
    SortKey,
    StateChange,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.views import Column, ViewDescription

_DESCENDING: Final = " desc"
_ASCENDING: Final = " asc"
_NO_VALUE: Final = frozenset({"null", "not_null"})
_NUMBERS: Final = frozenset({"integer", "number"})
_TRUTHS: Final = {"true": True, "false": False}
_EXACT: Final = 2**53
_NAMED: Final = 10
_MOST: Final = 1000
_VALUES: Final = 5
_WIDTH: Final = 80
_SHORT: Final = 60

_WORDS: Final[dict[str, str]] = {
    "null": "is null",
    "not_null": "is not null",
    "starts": "starts with",
    "one_of": "in",
}

Scalar = str | int | float | bool


class ViewFilter(BaseModel):
    """A condition on a column."""

    model_config = ConfigDict(extra="forbid", strict=True)

    column: Annotated[str, Field(description="Its name.")]
    op: Annotated[Operator, Field(description="How to compare.")] = "="
    value: Annotated[Any, Field(description="A list for one_of; none for null, not_null.")] = (
        None  # a JSON text, number or boolean, or a list of them: schemas of unions take much room
    )


def change_of(
    columns: Sequence[Column],
    sort: Sequence[str] | None,
    filters: Sequence[ViewFilter] | None,
    search: str | None,
) -> StateChange | None:
    """Return what a call changes of a view, None if nothing; None leaves a field alone. Raises `BridgeError` bad_request."""
    if sort is None and filters is None and search is None:
        return None
    return StateChange(
        sort=UNSET if sort is None else tuple(_key(columns, key) for key in sort),
        filters=UNSET if filters is None else tuple(_filter(columns, one) for one in filters),
        search=UNSET if search is None else search,
    )


def _key(columns: Sequence[Column], text: str) -> SortKey:
    found = _named(columns, text)
    descending = False
    if found is None:
        name, descending = text, text.lower().endswith(_DESCENDING)
        if descending or text.lower().endswith(_ASCENDING):
            name = text.rpartition(" ")[0]
        found = _column(columns, name.strip())
    return SortKey(found.index, descending)


def _filter(columns: Sequence[Column], one: ViewFilter) -> Filter:
    column, value = _column(columns, one.column), one.value
    wrong = None
    if one.op in _NO_VALUE and value is not None:
        wrong = f"{one.op} takes no value"
    elif one.op == "one_of" and not _is_list_of_values(value):
        wrong = "one_of takes a list of at most 1,000 texts, numbers or booleans"
    elif one.op not in _NO_VALUE and one.op != "one_of" and not isinstance(value, Scalar):
        wrong = f"{one.op} takes a text, number or boolean; null and not_null find missing values, one_of takes a list"
    if wrong is not None:
        raise BridgeError(
            "bad_request", f"Filter on {_short(column.name)!r}: {wrong}. The view was not changed."
        )
    if isinstance(value, list):
        return Filter(column.index, one.op, [_value(column, item, one.op) for item in value])
    return Filter(column.index, one.op, None if value is None else _value(column, value, one.op))


def _is_list_of_values(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MOST and all(isinstance(item, Scalar) for item in value)


def _value(column: Column, value: Scalar, op: Operator) -> Scalar:
    """Return a value of the column's kind, where the agent gave another that means it: "12" for a column of numbers."""
    if op in {"contains", "starts"}:
        return value if isinstance(value, str) else _json_text(value)
    if column.kind in _NUMBERS and isinstance(value, str):
        try:
            number = int(value) if column.kind == "integer" else float(value)
        except ValueError:
            return value  # the data's process says what it takes
        return number if abs(number) < _EXACT else value
    if column.kind == "boolean" and isinstance(value, str):
        return _TRUTHS.get(value.casefold(), value)
    if column.kind in {"text", "category", "decimal"} and not isinstance(value, str):
        return _json_text(value)
    return value


def _json_text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(columns: Sequence[Column], name: str) -> Column | None:
    """Return the column of this name. Raises `BridgeError` bad_request for one of several."""
    found = [column for column in columns if column.name == name]
    if len(found) > 1:
        raise BridgeError(
            "bad_request",
            f"{len(found)} columns are called {_short(name)!r}. The view was not changed.",
            "The person can sort and filter by one of them.",
        )
    return found[0] if found else None


def _column(columns: Sequence[Column], name: str) -> Column:
    found = _named(columns, name)
    if found is not None:
        return found
    names = [column.name for column in columns]
    near = nearest(name, names, _NAMED) or names[:_NAMED]
    raise BridgeError(
        "bad_request",
        f"There is no column {_short(name)!r}. The view was not changed.",
        f"There are {', '.join(map(_short, near))}{' and others' if len(names) > len(near) else ''}.",
    )


# The state as words


def sort_of(description: ViewDescription) -> tuple[str, ...]:
    """Return the order as an agent says it, to be said again."""
    return tuple(
        name_of(description, key.column) + (_DESCENDING if key.descending else "")
        for key in description.state.sort
    )


def said(description: ViewDescription) -> str:
    """Return in words how a view shows its table: "sorted by revenue ↓, state = CA, 12,340 of 1,000,000 rows, 3 selected"."""
    state = description.state
    parts = []
    if state.sort:
        keys = (
            f"{_short(name_of(description, key.column))} {'↓' if key.descending else '↑'}"
            for key in state.sort
        )
        parts.append(f"sorted by {', '.join(keys)}")
    parts += [condition(description, one) for one in state.filters]
    if state.search:
        parts.append(f"search {_short(state.search)!r}")
    parts.append(rows_of(description))
    if count := selected_count(description):
        parts.append(f"selected {count:,} row{'s' * (count != 1)}")
        if state.selected_column is not None:
            parts[-1] += f" in {_short(name_of(description, state.selected_column))}"
    return ", ".join(parts)


def selected_count(description: ViewDescription) -> int:
    """Return how many rows are selected: the page may not know the positions of all."""
    return max(len(description.state.selected), description.state.selected_count)


def rows_of(description: ViewDescription) -> str:
    """Return the number of rows that are shown, and of all if those are others."""
    if description.rows is None:
        return "rows are still counted"
    if description.matching is None or description.matching == description.rows:
        narrowed = description.state.filters or description.state.search
        return f"{'some of ' if narrowed and description.matching is None else ''}{description.rows:,} rows"
    return f"{description.matching:,} of {description.rows:,} rows"


def condition(description: ViewDescription, one: Filter) -> str:
    """Return a filter in words."""
    name, word = _short(name_of(description, one.column)), _WORDS.get(one.op, one.op)
    if one.op in _NO_VALUE:
        return f"{name} {word}"
    if isinstance(one.value, list):
        shown = ", ".join(_short(str(value)) for value in one.value[:_VALUES])
        more = len(one.value) - _VALUES
        return f"{name} {word} ({shown}{f' and {more} more' if more > 0 else ''})"
    return f"{name} {word} {_short(str(one.value))}"


def name_of(description: ViewDescription, column: int) -> str:
    """Return the name of a column."""
    known = description.columns
    return known[column].name if 0 <= column < len(known) else f"column {column}"


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
