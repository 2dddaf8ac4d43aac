"""Filters and searches as expressions of narwhals. A null meets none but "null", and NaN is like a null."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from marimo_kernel_bridge.protocol.views import Filter
from marimo_kernel_bridge.startup.import_path import own_imports
from marimo_kernel_bridge.viewing.tables.asked_values import TEXT_OPERATORS, asked_values, has_no_letters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.views import Column

TYPED: Final = frozenset({"integer", "number", "text", "boolean", "date", "datetime", "duration", "category"})
"""Kinds of columns that narwhals filters, sorts and counts alike in every library."""
ORDERS: Final = frozenset({"<", "<=", ">", ">="})
_LARGE: Final = 2**62
_PLAIN_DIGITS: Final = (1e-4, 1e15)
"""Between these libraries write floats without an exponent, and alike."""
_LETTERS: Final = {
    "integer": frozenset("0123456789-"),
    "number": frozenset("0123456789-+.einf"),
    "boolean": frozenset("truefals"),
    "date": frozenset("0123456789-"),
    "datetime": frozenset("0123456789-:+. "),
    "duration": frozenset("0123456789-:. d"),
}
"""What the texts of such cells consist of."""
_MANY: Final = 50_000
_OTHERWISE: Final = frozenset({"datetime", "duration"})
"""Kinds whose cells each library writes otherwise."""


def mask(column: Column, dtype: Any, condition: Filter) -> Any:
    """Return the expression that is true where a row meets the filter. Raises `BridgeError`: bad_request."""
    values = [_comparable(dtype, value) for value in asked_values(column, condition)]
    this = nw.col(str(column.index))
    present = ~this.is_null()
    if dtype.is_float():
        present &= ~this.is_nan()
    if condition.op == "null":
        return ~present
    if condition.op == "not_null":
        return present
    # A cell has all digits that Python's float of 64 bits has
    written = this.cast(nw.Float64) if dtype == nw.Float32 else this
    text = this if column.kind == "text" else written.cast(nw.String)
    if condition.op in TEXT_OPERATORS:
        needle = values[0].lower()
        searched_text = text if has_no_letters(needle) else text.str.to_lowercase()
        met = (
            searched_text.str.contains(needle, literal=True)
            if condition.op == "contains"
            else searched_text.str.starts_with(needle)
        )
        return _true(present, met)
    left = text if column.kind == "category" else this
    if condition.op == "one_of":
        met = _one_of(left, dtype, [value for value in values if value is not None])
        return _true(present, met) | ~present if None in values else _true(present, met)
    if dtype == nw.Enum and condition.op in ORDERS:
        return _true(present, left.is_in(_in_order(list(dtype.categories), condition.op, values[0])))
    return _true(present, _compared(left, condition.op, values[0]))


def searched(column: Column, text: str) -> Filter:
    """Return the filter of a column that a search for a text is."""
    return Filter(column.index, "contains", text)


def by_cells(column: Column, condition: Filter) -> bool:
    """Return whether a filter is by the text of cells that each library writes otherwise."""
    return condition.op in TEXT_OPERATORS and column.kind in _OTHERWISE


def is_in_none(column: Column, condition: Filter) -> bool:
    """Return whether no cell of such a column can have the text of a filter."""
    letters = _LETTERS.get(column.kind)
    return (
        condition.op in TEXT_OPERATORS
        and letters is not None
        and not letters.issuperset(str(condition.value).lower())
    )


def are_written_by_polars(values: Any) -> bool:
    """Return whether polars is to write the texts of values of pandas: of many, where it is installed."""
    return values.implementation.is_pandas() and len(values) >= _MANY and find_spec("polars") is not None


def numbers_to_write(frame: Any, column: Column, condition: Filter) -> Any:
    """Return numbers whose texts are asked for as a frame of polars, which writes them ten times as fast as pandas; else None."""
    if (
        condition.op not in TEXT_OPERATORS
        or column.kind not in {"integer", "number"}
        or not are_written_by_polars(frame)
    ):
        return None
    values = frame[str(column.index)].to_native()
    if getattr(values.dtype, "kind", "") not in {"i", "u", "f"} or not hasattr(values.dtype, "newbyteorder"):
        return None
    with own_imports():
        import polars as pl  # noqa: PLC0415  # only to search in many rows

    return nw.from_native(pl.DataFrame({str(column.index): values.to_numpy()}), eager_only=True)


def written_otherwise(column: Column) -> Any:
    """Return the expression that is true for floats that have an exponent in some library."""
    size = nw.col(str(column.index)).abs()
    least, most = _PLAIN_DIGITS
    return ((size >= most) | ((size < least) & (size != 0))).fill_null(value=False)


def sort_key(frame: Any, name: str, dtype: Any) -> Any:
    """Return a column as a series that sorts: categories without an order of their own by their text, as filters compare them."""
    if dtype != nw.Categorical:
        return frame[name]
    this = nw.col(name)
    return frame.select(nw.when(~this.is_null()).then(this.cast(nw.String)).alias(name))[name]


def _in_order(categories: list[str], operator: str, asked: str) -> list[str]:
    """Return the categories that are before or after one of them. What is no category meets nothing."""
    if asked not in categories:
        return []
    place = categories.index(asked)
    below = categories[: place + (operator == "<=")]
    return below if operator.startswith("<") else categories[place + (operator == ">") :]


def without_nan(frame: Any) -> Any:
    """Return the frame with nulls in place of NaN, which libraries sort differently."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    if not floats or frame.implementation.is_pandas():
        return frame
    return frame.with_columns(
        nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name) for name in floats
    )


def side_by_side(series: Sequence[Any]) -> Any:
    """Return the series as a frame."""
    first = series[0].to_frame()
    return (
        nw.concat([first, *(one.to_frame() for one in series[1:])], how="horizontal") if series[1:] else first
    )


def _true(present: Any, met: Any) -> Any:
    return (present & met.fill_null(value=False)) if hasattr(met, "fill_null") else present & met


def _comparable(dtype: Any, value: Any) -> Any:
    """Return the value as the column compares it: moments in its zone, what no integer of 64 bits holds as a float."""
    if isinstance(value, dt.datetime):
        zone = getattr(dtype, "time_zone", None)
        if zone is None:
            return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        here = _zone(zone)
        return value.astimezone(here) if value.tzinfo else value.replace(tzinfo=here)
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and abs(value) > _LARGE
        and not dtype.is_integer()
    ):
        return float(value)
    return value


def _zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # "+01:00"
        parsed = dt.datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo
        return parsed or dt.UTC


def _one_of(left: Any, dtype: Any, values: list[Any]) -> Any:
    if dtype.is_integer():
        values = [int(value) for value in values if float(value).is_integer() and -(2**63) <= value < 2**64]
    elif dtype.is_float():
        values = [float(value) for value in values]
    return left.is_in(values)


def _compared(left: Any, operator: str, right: Any) -> Any:
    match operator:
        case "=":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right
