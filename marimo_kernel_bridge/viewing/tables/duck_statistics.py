"""Statistics of a column by DuckDB: one scan for the numbers, one for the bins or the frequent values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.views import Bin, Statistics
from marimo_kernel_bridge.viewing.tables.bins import TOP, bins, edges
from marimo_kernel_bridge.viewing.tables.cells import cell, shown_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.views import CellValue, Column
    from marimo_kernel_bridge.viewing.tables.duck_sql import Sql

_COUNTED_MAX: Final = 200_000
"""Rows of which distinct values are counted, not estimated."""
_EXACT_MAX: Final = 2_000_000
"""Rows of which the median is found."""
_ORDERED: Final = frozenset({"integer", "number", "decimal", "date", "datetime"})


def statistics_of(  # noqa: PLR0917  # each is a part of the statement
    column: Column,
    name: str,
    run: Callable[[str, Sequence[Any]], list[Any]],
    source: str,
    where: Sql,
    length: int,
) -> Statistics:
    """Return the statistics of the values that a condition leaves."""
    exact = length <= _EXACT_MAX
    counts_exactly = length <= _COUNTED_MAX and column.kind != "other"
    distinct = f"count(DISTINCT {name})" if counts_exactly else f"approx_count_distinct({name})"
    if column.kind not in _ORDERED:
        return _counted(column, name, run, source, where, distinct, exact=counts_exactly)
    finite = f"FILTER (WHERE isfinite({name}))" if column.kind in {"number", "date", "datetime"} else ""
    present = f"FILTER (WHERE NOT isnan({name}))" if column.kind == "number" else ""
    numbers = column.kind in {"integer", "number", "decimal"}
    asked = [
        "count(*)",
        f"count({name}) {present}",
        f"count({name}) {finite}",
        f"{distinct} {present}",
        f"min({name}) {finite}",
        f"max({name}) {finite}",
        _text(column, f"min({name}) {finite}"),
        _text(column, f"max({name}) {finite}"),
    ]
    if numbers:
        asked += [f"avg({name}) {finite}", f"stddev_samp(CAST({name} AS DOUBLE)) {finite}"]
        asked += [f"median({name}) {finite}"] if exact else []
    rows, count, counted, values, low, high, least, greatest, *moments = run(
        f"SELECT {', '.join(asked)} FROM {source}{where.text}", where.values
    )[0]
    mean, deviation, median = (*moments, None, None, None)[:3]
    if counted < count:  # some are infinite
        extremes = ", ".join(_text(column, f"{one}({name}) {present}") for one in ("min", "max"))
        least, greatest = run(f"SELECT {extremes} FROM {source}{where.text}", where.values)[0]
    shown: list[CellValue] = [shown_cell(one, column) for one in (least, greatest)]
    bars: tuple[Bin, ...] = ()
    if isinstance(low, str) or isinstance(high, str):  # dates that Python has not
        bars = (Bin(shown_cell(str(low), column), shown_cell(str(high), column), counted),)
    elif counted:
        marks = edges(low, high)
        only = f"isfinite({name})" if finite and counted < count else f"{name} IS NOT NULL"
        bars = bins(marks, _below(name, run, source, where, marks, only), counted)
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=rows - count,
        distinct=values,
        distinct_exact=counts_exactly,
        min=shown[0],
        max=shown[1],
        mean=cell(mean),
        sd=cell(deviation),
        median=cell(median),
        bins=bars,
        not_finite=count - counted,
    )


def _below(  # noqa: PLR0917  # each is a part of the question
    name: str,
    run: Callable[[str, Sequence[Any]], list[Any]],
    source: str,
    where: Sql,
    marks: list[Any],
    only: str,
) -> list[int]:
    """Return how many values are below each inner edge. Each value is compared with as few of them as a search by halves needs."""
    inner = marks[1:-1]
    if not inner:
        return []
    asked: list[Any] = []

    def between(first: int, last: int) -> str:
        if first == last:
            return str(first)
        middle = (first + last) // 2
        asked.append(inner[middle])
        return f"CASE WHEN {name} < ? THEN {between(first, middle)} ELSE {between(middle + 1, last)} END"

    place = between(0, len(inner))
    present = f"{where.text} AND" if where.text else " WHERE"
    counted = dict(
        run(
            f"SELECT CAST({place} AS UTINYINT), count(*) FROM {source}{present} {only} GROUP BY 1",
            [*asked, *where.values],
        )
    )
    return list(itertools.accumulate(int(counted.get(number, 0)) for number in range(len(inner))))


def _counted(  # noqa: PLR0917  # each is a part of the question
    column: Column,
    name: str,
    run: Callable[[str, Sequence[Any]], list[Any]],
    source: str,
    where: Sql,
    distinct: str,
    *,
    exact: bool,
) -> Statistics:
    rows, count, values = run(
        f"SELECT count(*), count({name}), {distinct} FROM {source}{where.text}", where.values
    )[0]
    text = (
        name if column.kind in {"boolean", "text", "bytes"} and column.dtype not in {"UUID", "BIT"} else None
    )
    shown = text or f"CAST({name} AS VARCHAR)"
    present = f"{where.text} AND" if where.text else " WHERE"
    top = run(
        f"SELECT {shown}, count(*) FROM {source}{present} {name} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {TOP}",
        where.values,
    )
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=rows - count,
        distinct=values,
        distinct_exact=exact,
        top=tuple((shown_cell(value, column), int(times)) for value, times in top),
        other=count - sum(int(times) for _, times in top),
    )


def _text(column: Column, expression: str) -> str:
    return f"CAST({expression} AS VARCHAR)" if column.kind in {"date", "datetime"} else expression
