"""Python for the rows that a person sees or has selected, for an agent that goes on from there.

Only for kinds of tables whose methods are known, and for names that are names; every name and value is a literal, so that
what a table or a page holds never is code. Nothing here is run: the agent decides.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.views import Column, Filter, ViewDescription

MOST_ROWS: Final = 100
"""Positions in an expression."""

_MOST_VALUES: Final = 100
_LONGEST: Final = 1000
"""Characters of a text in an expression."""

_COMPARED: Final = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_PLAIN: Final = frozenset({"integer", "number", "text", "boolean", "category", "date", "datetime"})


def code_of_selection(description: ViewDescription) -> str:
    """Return an expression for the selected rows, if all are known, and where one column is selected, for its values; empty if none is known."""
    state, name = description.state, description.title
    is_all = len(state.selected) >= state.selected_count
    if not _has_code(description) or not is_all or not 0 < len(state.selected) <= MOST_ROWS:
        return ""
    rows, column = list(state.selected), state.selected_column
    at = column if column is not None and 0 <= column < len(description.columns) else None
    match description.kind.partition(" ")[0]:
        case "pandas":
            return f"{name}.iloc[{rows}]" if at is None else f"{name}.iloc[{rows}, {at}]"
        case "polars" if description.kind == "polars DataFrame":
            return f"{name}[{rows}]" if at is None else f"{name}[{rows}, {at}]"
        case "pyarrow" if description.kind == "pyarrow Table":
            return f"{name}.take({rows})" if at is None else f"{name}.column({at}).take({rows})"
        case "numpy":
            return f"{name}[{rows}]" if at is None else f"{name}[{rows}, {at}]"
        case _:
            return ""


def code_of_rows(description: ViewDescription) -> str:
    """Return an expression for the rows that are shown, in their order; empty if none is known, or it is the whole table."""
    state = description.state
    if not _has_code(description) or state.search or not (state.filters or state.sort):
        return ""
    names = [column.name for column in description.columns]
    used = {key.column for key in state.sort} | {one.column for one in state.filters}
    if any(not 0 <= index < len(names) or names.count(names[index]) > 1 for index in used):
        return ""
    match description.kind:
        case "pandas DataFrame":
            return _narrowed(description, _pandas, _pandas_sorted, lambda found: f"[{' & '.join(found)}]")
        case "polars DataFrame" | "polars LazyFrame":
            return _narrowed(
                description, _polars, _polars_sorted, lambda found: f".filter({', '.join(found)})"
            )
        case _:
            return ""


def _has_code(description: ViewDescription) -> bool:
    return description.source == "variable" and not description.ended and description.title.isidentifier()


def _narrowed(
    description: ViewDescription,
    condition: Callable[[str, Column, Filter], str],
    ordered: Callable[[Sequence[str], Sequence[bool]], str],
    narrowed: Callable[[list[str]], str],
) -> str:
    state, name, columns = description.state, description.title, description.columns
    found = [condition(name, columns[one.column], one) for one in state.filters]
    if not all(found):
        return ""
    code = name + (narrowed(found) if found else "")
    if state.sort:
        code += ordered(
            [columns[key.column].name for key in state.sort], [key.descending for key in state.sort]
        )
    return code


def _pandas(name: str, column: Column, one: Filter) -> str:
    series = f"{name}[{column.name!r}]"
    found = _condition(series, column, one, "isna", "notna", "isin", _pandas_contains)
    # In pandas a missing value differs from each other one, and a view shows no row with one.
    return f"({found} & {series}.notna())" if found and one.op == "!=" else found


def _pandas_contains(series: str, text: str, *, starts: bool) -> str:
    lowered = f'{series}.astype("str").str.lower()'
    if starts:
        return f"{lowered}.str.startswith({text!r})"
    return f"{lowered}.str.contains({text!r}, regex=False)"


def _polars(name: str, column: Column, one: Filter) -> str:
    del name
    return _condition(
        f"pl.col({column.name!r})", column, one, "is_null", "is_not_null", "is_in", _polars_contains
    )


def _polars_contains(series: str, text: str, *, starts: bool) -> str:
    lowered = f"{series}.cast(pl.String).str.to_lowercase()"
    return (
        f"{lowered}.str.starts_with({text!r})"
        if starts
        else f"{lowered}.str.contains({text!r}, literal=True)"
    )


def _condition(  # noqa: PLR0917  # the words of two libraries
    series: str,
    column: Column,
    one: Filter,
    null: str,
    not_null: str,
    among: str,
    contains: Callable[..., str],
) -> str:
    """Return a condition; empty if it cannot be said for sure."""
    if one.op in {"null", "not_null"}:
        return f"{series}.{null if one.op == 'null' else not_null}()"
    if isinstance(one.value, str) and one.op in {"contains", "starts"} and len(one.value) <= _LONGEST:
        return contains(series, one.value.lower(), starts=one.op == "starts")
    if column.kind not in _PLAIN:
        return ""
    if one.op == "one_of" and isinstance(one.value, list) and len(one.value) <= _MOST_VALUES:
        values = [_literal(column, value) for value in one.value]
        return f"{series}.{among}([{', '.join(values)}])" if all(values) else ""
    literal = _literal(column, one.value)
    return f"({series} {_COMPARED[one.op]} {literal})" if literal and one.op in _COMPARED else ""


def _literal(column: Column, value: object) -> str:  # noqa: PLR0911  # one for each kind
    """Return a value as Python writes it for a column of this kind; empty if it is none."""
    match column.kind, value:
        case (("integer" | "number"), bool()):
            return ""
        case (("integer" | "number"), int() | float()):
            return repr(value) if isinstance(value, int) or math.isfinite(value) else ""
        case "boolean", bool():
            return repr(value)
        case (("text" | "category"), str()):
            return repr(value) if len(value) <= _LONGEST else ""
        case "date", str():
            return _date(value)
        case "datetime", str():
            return _datetime(value)
        case _:
            return ""


def _date(text: str) -> str:
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        return ""
    return f"datetime.date({found.year}, {found.month}, {found.day})"


def _datetime(text: str) -> str:
    """Return a moment without a zone: one with a zone compares with columns of that zone alone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return ""
    return f"datetime.datetime.fromisoformat({text!r})" if found.tzinfo is None else ""


def _pandas_sorted(names: Sequence[str], descending: Sequence[bool]) -> str:
    if len(names) == 1:
        return f".sort_values({names[0]!r}{', ascending=False' if descending[0] else ''}, kind='stable')"
    return f".sort_values({list(names)!r}, ascending={[not one for one in descending]!r}, kind='stable')"


def _polars_sorted(names: Sequence[str], descending: Sequence[bool]) -> str:
    columns = repr(names[0]) if len(names) == 1 else repr(list(names))
    order: object = descending[0] if len(names) == 1 else list(descending)
    more = f", descending={order!r}" if any(descending) else ""
    return f".sort({columns}{more}, nulls_last=True, maintain_order=True)"
