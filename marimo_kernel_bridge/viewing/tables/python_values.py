"""Filters, sort keys and statistics of columns of Python values: lists of rows, and a frame's columns of objects."""

from __future__ import annotations

import bisect
import datetime as dt
import math
import statistics as python_statistics
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import class_name
from marimo_kernel_bridge.protocol.views import ColumnKind, Marked, Statistics
from marimo_kernel_bridge.viewing.tables.asked_values import asked_values, at_zone
from marimo_kernel_bridge.viewing.tables.bins import TOP, bins, edges
from marimo_kernel_bridge.viewing.tables.cells import bounded_text, cell
from marimo_kernel_bridge.viewing.tables.plain_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marimo_kernel_bridge.protocol.views import CellValue, Column, Filter
    from marimo_kernel_bridge.viewing.table import Cancellation

_TEXT_MAX: Final = 10_000
"""Characters of a value that searches and sorts look at."""
_NAMED: Final = 20
"""Columns that a note names."""
_CHECKED_EACH: Final = 4096
_ORDERED: Final = frozenset({"integer", "number", "decimal", "date", "datetime", "time", "duration"})
_KINDS: Final[tuple[tuple[type, ColumnKind], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (Decimal, "decimal"),
    (str, "text"),
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
    (dt.timedelta, "duration"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (dict, "nested"),
    (list, "nested"),
    (tuple, "nested"),
    (set, "nested"),
)


def kind_of(values: Iterable[Any]) -> tuple[ColumnKind, str]:
    """Return the kind that all the values have, and the names of their types. NaN is of any kind, as null is."""
    kinds: dict[ColumnKind, None] = {}
    names: dict[str, None] = {}
    number = False
    seen: dict[int, type] = {}  # by identity: a class may be hashed by code of its metaclass
    for value in values:
        if id(type(value)) in seen:
            continue
        one = plain(value)
        if is_null(one):
            number = number or isinstance(one, float)
            continue
        seen[id(type(value))] = type(value)
        names[class_name(type(value)).rpartition(".")[2]] = None
        kinds[next((kind for type_, kind in _KINDS if isinstance(one, type_)), "other")] = None
    found = set(kinds)
    dtype = " | ".join(list(names)[:4]) or ("float" if number else "None")
    if not found:
        return ("number" if number else "null"), dtype
    if found == {"integer", "number"} or (found == {"integer"} and number):
        return "number", dtype
    return (found.pop() if len(found) == 1 else "other"), dtype


def note_of_mixed(names: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be said of columns with values of several types."""
    if not names:
        return ()
    more = ", …" if len(names) > _NAMED else ""
    return (f"Values of several types, sorted with numbers first: {', '.join(names[:_NAMED])}{more}.",)


def is_null(value: Any) -> bool:
    """Return whether a (plain) value is none, or NaN, which counts as that."""
    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(value: Any) -> str:
    return bounded_text(value, _TEXT_MAX)


def predicate(column: Column, condition: Filter) -> Callable[[Any], bool]:  # noqa: PLR0911  # one for each operator
    """Return the test of one (plain) value. Raises `BridgeError`: bad_request."""
    values = asked_values(column, condition)
    as_shown = column.kind == "datetime" and all(
        isinstance(one, dt.datetime) and one.tzinfo is None for one in values
    )
    if column.kind == "datetime" and not as_shown:
        values = [at_zone(one, aware=True) if isinstance(one, dt.datetime) else one for one in values]

    def compared_as(value: Any) -> Any:
        if as_shown and isinstance(value, dt.datetime):
            return value.replace(tzinfo=None)  # text without a zone is as the cell shows the moment
        return comparable(column.kind, value)

    match condition.op:
        case "null":
            return is_null
        case "not_null":
            return lambda value: not is_null(value)
        case "contains":
            needle = values[0].lower()
            return lambda value: not is_null(value) and needle in text_of(value).lower()
        case "starts":
            needle = values[0].lower()
            return lambda value: not is_null(value) and text_of(value).lower().startswith(needle)
        case "one_of":
            return lambda value: compared_as(value) in values if not is_null(value) else None in values
        case operator:
            compare = _COMPARISONS[operator]
            right = values[0]
            if column.kind == "other" and operator not in {"=", "!="}:
                asked = mixed_key(_number_or_text(right))
                return lambda value: not is_null(value) and _compared(compare, mixed_key(value), asked)
            return lambda value: not is_null(value) and _compared(compare, compared_as(value), right)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def comparable(kind: ColumnKind, value: Any) -> Any:
    """Return the value as it compares with others of its column: itself, or its text."""
    if kind == "datetime" and isinstance(value, dt.datetime):
        return at_zone(value, aware=True)
    return value if kind in _ORDERED or kind in {"boolean", "bytes", "text"} else text_of(value)


def mixed_key(value: Any) -> tuple[int, Any]:
    """Return what orders values of several types: numbers come first, in their order, then all else by its text."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return (0, value)
    return (1, text_of(value))


def _number_or_text(text: str) -> int | Decimal | str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return text if number.is_nan() else number


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return bool(compare(left, right))
    except (TypeError, ArithmeticError):
        return False  # a value of another type


def sort_ranks(column: Column, values: Sequence[Any], cancellation: Cancellation) -> list[int | None]:
    """Return each value's place in the ascending order; equal values have one place; nulls and NaN None."""
    known: dict[Any, list[int]] = {}
    mixed = column.kind == "other"
    for number, value in enumerate(values):
        if number % _CHECKED_EACH == 0:
            cancellation.check()
        one = plain(value)
        one = None if is_null(one) else mixed_key(one) if mixed else comparable(column.kind, one)
        if one is not None:
            known.setdefault(one if not isinstance(one, bytearray) else bytes(one), []).append(number)
    try:
        ordered = sorted(known)
    except TypeError:  # types that do not compare, which a subclass of Python's own may hide
        ordered = sorted(known, key=mixed_key)
    ranks: list[int | None] = [None] * len(values)
    for place, one in enumerate(ordered):
        for number in known[one]:
            ranks[number] = place
    return ranks


def statistics_of(column: Column, values: Sequence[Any], cancellation: Cancellation) -> Statistics:
    """Return the statistics of the values that the filters leave."""
    present = []
    for number, value in enumerate(values):
        if number % _CHECKED_EACH == 0:
            cancellation.check()
        one = plain(value)
        if not is_null(one):
            present.append(one)
    rows, nulls = len(values), len(values) - len(present)
    kinds = {type(one) for one in present}
    if column.kind in _ORDERED - {"time"} and present and _one_order(kinds):
        return _ordered_statistics(column, present, rows, nulls)
    counted: Counter[str | bool] = Counter(
        one if type(one) in {str, bool} else text_of(one) for one in present
    )
    top = counted.most_common(TOP)
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=nulls,
        distinct=len(counted),
        distinct_exact=True,
        top=tuple((cell(value), count) for value, count in top),
        other=len(present) - sum(count for _, count in top),
    )


def _one_order(kinds: set[type]) -> bool:
    families = [
        frozenset({int, float, bool}),
        frozenset({Decimal, int}),
        frozenset({dt.date}),
    ]
    return any(kinds <= family for family in families) or (
        all(issubclass(kind, dt.datetime) for kind in kinds)
        or all(issubclass(kind, dt.timedelta) for kind in kinds)
    )


def _ordered_statistics(column: Column, present: list[Any], rows: int, nulls: int) -> Statistics:
    if column.kind == "datetime":
        present = [at_zone(one, aware=True) for one in present]
    finite = sorted(one for one in present if not _odd(one))
    odd = [one for one in present if _odd(one)]
    distinct = len(set(finite)) + len({str(one) for one in odd})
    if not finite:
        return Statistics(
            column=column.index,
            rows=rows,
            nulls=nulls,
            distinct=distinct,
            distinct_exact=True,
            not_finite=len(odd),
        )
    marks = edges(finite[0], finite[-1])
    infinite = [one for one in odd if not math.isnan(one)]
    numbers = column.kind in {"integer", "number", "decimal"}
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=nulls,
        distinct=distinct,
        distinct_exact=True,
        min=cell(min([finite[0], *infinite])),
        max=cell(max([finite[-1], *infinite])),
        mean=cell(python_statistics.fmean(finite)) if numbers else None,
        sd=_deviation(finite) if numbers else None,
        median=cell(python_statistics.median_low(finite)),
        bins=bins(marks, [bisect.bisect_left(finite, edge) for edge in marks[1:-1]], len(finite)),
        not_finite=len(odd),
    )


def _odd(value: Any) -> bool:
    return isinstance(value, float | Decimal) and not math.isfinite(value)


def _deviation(finite: list[Any]) -> CellValue:
    if len(finite) < 2:  # noqa: PLR2004  # of a sample
        return None
    try:
        return cell(python_statistics.stdev([float(one) for one in finite]))
    except OverflowError:
        return Marked("inf", "inf")
