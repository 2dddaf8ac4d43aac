"""What the columns of a table hold: nulls, distinct values, range, the values that occur most. Runs no code of values.

Values are counted if all are of classes whose hash and order are Python's own, or a library's; of a column with any other, only
the nulls are told. Of long tables the first rows are counted, which the facts about the table say; the range and the nulls of plain
numbers are always those of all rows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import (
    LONGEST,
    is_one_of,
    is_plain_zone,
    library_class,
    shorten,
    value_text,
)
from marimo_kernel_bridge.protocol.inspection import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_VALUES: Final = 400_000
"""Values of one table that are counted: about a tenth of a second."""

_FEWEST: Final = 1000
"""Rows that are counted however many columns there are."""

_ALL: Final = 20_000_000
"""Numbers of a column of which the range is found: a few hundredths of a second."""

_TOP: Final = 3
_FEW: Final = 20
"""Distinct numbers up to which the most frequent ones are told."""

_WIDTH: Final = 40
_SIGNIFICANT: Final = 6
_LARGE: Final = 1e15

_NUMBERS: Final = (int, float)
_ORDERED: Final = (int, float, dt.date, dt.datetime, dt.time, dt.timedelta, decimal.Decimal)
_PLAIN: Final = (*_ORDERED, str, bool, bytes)


def counted_rows(total: int, columns: int) -> int:
    """Return how many rows of a table are counted."""
    return min(total, max(_FEWEST, MOST_VALUES // max(1, columns)))


def described(name: str, dtype: str, values: Sequence[object], whole: object = None) -> Column:
    """Return a column with what its values are. `whole` is all of it, if `values` are the first of many plain numbers."""
    nulls, rest = _parted(values)
    counts = _counts(rest)
    if whole is not None and len(whole) <= _ALL:  # type: ignore[arg-type]  # it has a length
        return _of_numbers(name, dtype, whole)
    if counts is None:
        return Column(name, dtype, nulls)
    least, most = _range(counts)
    return Column(name, dtype, nulls, len(counts), least, most, _top(counts, len(rest)))


def number_text(number: float) -> str:
    """Return a number with the digits that matter."""
    if not math.isfinite(number) or abs(number) >= _LARGE:
        return f"{number:g}"
    if abs(number) >= 10**_SIGNIFICANT:
        return f"{number:.1f}".removesuffix(".0")
    return f"{number:.{_SIGNIFICANT}g}"


def cell_text(value: object) -> str:
    """Return a value of a table as text."""
    if type(value) is float:
        return number_text(value)
    return shorten(value, 80) if type(value) is str else _text(value, 80)


def item_text(value: object) -> str:
    """Return a value of a series as text."""
    return number_text(value) if type(value) is float else _text(value)


def _text(value: object, longest: int = LONGEST) -> str:
    """Return a value as text; a time at midnight by its date, as pandas shows days."""
    text = value_text(value, longest)
    is_time = type(value) is dt.datetime or type(value) is library_class("pandas", "Timestamp")
    return text.removesuffix(" 00:00:00") if is_time else text


def _parted(values: Iterable[object]) -> tuple[int, list[Any]]:
    """Return the number of nulls, and the other values."""
    missing = [kind for kind in (type(_of_pandas(name)) for name in ("NaT", "NA")) if kind is not type(None)]
    nulls, rest = 0, []
    for value in values:
        kind = type(value)
        if value is None or (kind is float and value != value) or any(kind is one for one in missing):  # noqa: PLR0124  # true for NaN
            nulls += 1
        else:
            rest.append(value)
    return nulls, rest


def _of_pandas(name: str) -> object:
    module = sys.modules.get("pandas")
    return None if module is None else vars(module).get(name)


def _counts(values: Sequence[Any]) -> Counter[Any] | None:
    """Return how often each value occurs; None if that would run code of theirs."""
    kinds = {id(type(value)): type(value) for value in values}.values()
    times = [library_class("pandas", name) for name in ("Timestamp", "Timedelta")]
    if not all(is_one_of(kind, _PLAIN) or any(kind is time for time in times) for kind in kinds):
        return None
    zones = {id(zone): zone for value in values if (zone := _zone(value)) is not None}
    return Counter(values) if all(map(is_plain_zone, zones.values())) else None


def _zone(value: Any) -> object:
    kind = type(value)
    return value.tzinfo if kind is dt.datetime or kind is library_class("pandas", "Timestamp") else None


def _range(counts: Counter[Any]) -> tuple[str, str]:
    kinds = {type(value) for value in counts}
    ordered = kinds <= set(_NUMBERS) or (len(kinds) == 1 and not kinds & {str, bool, bytes})
    if not counts or not ordered or len(counts) == 1:
        return "", ""
    with suppress(TypeError):  # times with and without a zone
        return _short(min(counts)), _short(max(counts))
    return "", ""


def _top(counts: Counter[Any], total: int) -> tuple[tuple[str, int], ...]:
    """Return the values that occur most, where that tells anything."""
    numbers = all(is_one_of(type(value), _ORDERED) for value in counts)
    if not counts or len(counts) == total > 1 or (numbers and len(counts) > _FEW):
        return ()
    return tuple((_short(value), count) for value, count in counts.most_common(_TOP))


def _short(value: object) -> str:
    return (
        number_text(value)
        if type(value) is float
        else shorten(value if type(value) is str else _text(value, _WIDTH), _WIDTH)
    )


def _of_numbers(name: str, dtype: str, whole: Any) -> Column:  # a NumPy array of numbers, or a Polars series
    kind = type(whole)
    if kind is library_class("polars", "Series"):
        nulls, least, most = whole.null_count(), whole.min(), whole.max()
    else:
        numpy = sys.modules["numpy"]
        with numpy.errstate(all="ignore"):  # else a function of the user's may be called
            nulls = int(numpy.isnan(whole).sum()) if whole.dtype.kind == "f" else 0
            known = whole if not nulls else whole[~numpy.isnan(whole)]
            least, most = (known.min().item(), known.max().item()) if known.size else (None, None)
    if least is None:
        return Column(name, dtype, nulls)
    return Column(name, dtype, nulls, None, _short(least), _short(most))


def all_numbers(array: Any) -> Any:  # a pandas column's array
    """Return a column of plain numbers as a NumPy array that shares its data, None for any other."""
    kind = type(array)
    if kind is not library_class("pandas.arrays", "NumpyExtensionArray") or array.dtype.kind not in "biuf":
        return None
    values = array.to_numpy()
    kind = type(values)
    return values if kind is library_class("numpy", "ndarray") else None
