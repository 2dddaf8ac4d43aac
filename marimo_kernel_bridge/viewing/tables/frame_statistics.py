"""Statistics of a series of narwhals whose kind has an order or a text in every library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from marimo_kernel_bridge.protocol.views import Bin, Statistics
from marimo_kernel_bridge.viewing.tables.bins import TOP, bins, edges
from marimo_kernel_bridge.viewing.tables.cells import cell, shown_cell
from marimo_kernel_bridge.viewing.tables.plain_values import plain

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.views import CellValue, Column
    from marimo_kernel_bridge.viewing.table import Cancellation


def statistics_of(column: Column, series: Any, cancellation: Cancellation) -> Statistics:
    """Return the statistics of the values that the filters leave."""
    rows = len(series)
    present = series.drop_nulls()
    if column.kind == "number":
        present = present.filter(~present.is_nan())
    nulls = rows - len(present)
    cancellation.check()
    if column.kind in {"text", "boolean", "category"}:
        return _counted(column, present, rows, nulls)
    finite = present.filter(present.is_finite()) if column.kind == "number" else present
    cancellation.check()
    distinct = present.n_unique() if len(present) else 0
    cancellation.check()
    if len(finite) == 0:
        return Statistics(column.index, rows, nulls, distinct, distinct_exact=True, not_finite=len(present))
    try:
        low, high = plain(finite.min()), plain(finite.max())
    except (ValueError, OverflowError):  # years that Python has not
        ends = [finite.sort(descending=one).head(1).cast(nw.String).to_list()[0] for one in (False, True)]
        least, greatest = (shown_cell(one, column) for one in ends)
        bars = (Bin(least, greatest, len(finite)),)
        return Statistics(
            column.index, rows, nulls, distinct, distinct_exact=True, min=least, max=greatest, bins=bars
        )
    marks = edges(low, high)
    below = []
    for edge in marks[1:-1]:
        cancellation.check()
        below.append(int((finite < edge).sum()))
    numbers = column.kind in {"integer", "number"}
    infinite = len(present) - len(finite)
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=nulls,
        distinct=distinct,
        distinct_exact=True,
        min=_infinity(present, "-inf") if infinite else cell(low),
        max=_infinity(present, "inf") if infinite else cell(high),
        mean=cell(finite.mean()) if numbers else None,
        sd=cell(finite.std()) if numbers and len(finite) > 1 else None,
        median=cell(finite.median()) if numbers else None,
        bins=bins(marks, below, len(finite)),
        not_finite=infinite,
    )


def _infinity(present: Any, which: str) -> CellValue:
    """Return the least or the greatest of floats, of which some are infinite."""
    return cell(plain(present.min() if which == "-inf" else present.max()))


def _counted(column: Column, present: Any, rows: int, nulls: int) -> Statistics:
    if column.kind == "category":
        present = present.cast(nw.String)
    counts = present.value_counts(sort=True, name="count")
    value = counts.columns[0]
    first = counts.head(TOP)
    top = tuple(
        (cell(one), int(count))
        for one, count in zip(first[value].to_list(), first["count"].to_list(), strict=True)
    )
    return Statistics(
        column=column.index,
        rows=rows,
        nulls=nulls,
        distinct=len(counts),
        distinct_exact=True,
        top=top,
        other=len(present) - sum(count for _, count in top),
    )
