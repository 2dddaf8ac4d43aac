"""Rows of a table as plain numbers and texts, and its groups: by the frame's own library where it can, else in Python."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.views import Column, Marked
from marimo_kernel_bridge.viewing.table import Cancellation, Query
from marimo_kernel_bridge.viewing.tables.cells import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.views import CellValue, ColumnKind, Scalar
    from marimo_kernel_bridge.viewing.table import Table

Rows = tuple[tuple["Scalar", ...], ...]

_CHUNK: Final = 10_000
_NATIVE: Final = frozenset({"integer", "number", "text", "boolean", "date", "datetime", "category"})
_VALUE: Final = "value"
_NOT_SHOWN: Final = {"long": "[long text]", "nested": "[nested]", "bytes": "[bytes]"}
"""Cells whose text is cut: a part of a secret in it would be no secret for the redaction."""


def scalar(value: CellValue) -> Scalar:
    """Return a cell as a number or a text. What is no finite number is None."""
    if not isinstance(value, Marked):
        return value
    if value.k in {"nan", "inf"}:
        return None
    if value.k in {"decimal", "big"}:
        try:
            number = float(value.t)
        except ValueError:
            return value.t
        return number if math.isfinite(number) else None
    return _NOT_SHOWN.get(value.k, value.t)


def scalar_rows(table: Table, columns: Sequence[int], most: int) -> Rows:
    """Return the first rows of some columns."""
    rows: list[tuple[Scalar, ...]] = []
    while len(rows) < most:
        count = min(_CHUNK, most - len(rows))
        page = table.page(Query(), len(rows), count, columns, Cancellation())
        rows += (tuple(map(scalar, row)) for row in page.rows)
        if len(page.rows) < count:
            break
    return tuple(rows)


def binned(table: Table, column: Column) -> tuple[tuple[Column, ...], Rows]:
    """Return the histogram of a column: from, to, count. Of texts their counts, the most frequent ones and all others."""
    found = table.statistics(Query(), column.index, Cancellation())
    if found.bins:
        ends = (Column(0, "from", column.kind, column.dtype), Column(1, "to", column.kind, column.dtype))
        rows = tuple((scalar(one.low), scalar(one.high), one.count) for one in found.bins)
        return (*ends, _counts(2)), rows
    named = tuple((scalar(value), count) for value, count in found.top)
    others = ((f"[{(found.distinct or 0) - len(named):,} others]", found.other),) if found.other else ()
    return (Column(0, column.name, "text", column.dtype), _counts(1)), (*named, *others)


def _counts(index: int) -> Column:
    return Column(index, "count", "integer", "")


def grouped(
    table: Table, by: Sequence[Column], value: Column | None, how: str, *, whole: bool
) -> tuple[tuple[Column, ...], Rows] | None:
    """Return one row for each group, the largest first: the columns of `by`, and the value.

    `whole`: by the library of a frame, however many rows it has; None if it cannot.
    """
    rows = _by_library(table, by, value, how) if whole else _by_python(table, by, value, how)
    if rows is None:
        return None
    kind: ColumnKind = "integer" if how == "count" else "number"
    name = how if value is None else f"{how} of {value.name}"
    columns = tuple(Column(number, one.name, one.kind, one.dtype) for number, one in enumerate(by))
    return (*columns, Column(len(by), name, kind, "")), tuple(sorted(rows, key=_largest_first))


def _largest_first(row: tuple[Scalar, ...]) -> tuple[bool, float]:
    last = row[-1]
    return (False, -last) if isinstance(last, int | float) else (True, 0.0)


def _by_library(
    table: Table, by: Sequence[Column], value: Column | None, how: str
) -> list[tuple[Scalar, ...]] | None:
    frame = getattr(table, "frame", None)
    columns = [*by, *([value] if value is not None else [])]
    if frame is None or any(column.kind not in _NATIVE for column in columns):
        return None
    import narwhals as nw  # noqa: PLC0415  # there is a frame of it

    if frame.implementation.is_pyarrow() and how == "median":
        return None
    if any(frame.schema[str(column.index)] == nw.Object for column in columns):
        return None  # its library would compare objects by code of theirs
    names = [str(column.index) for column in by]
    what = nw.len() if value is None else getattr(nw.col(str(value.index)), how)()
    found = frame.group_by(*names, drop_null_keys=False).agg(what.alias(_VALUE))
    return [tuple(scalar(cell(one)) for one in row) for row in found.select(*names, _VALUE).iter_rows()]


def _by_python(
    table: Table, by: Sequence[Column], value: Column | None, how: str
) -> list[tuple[Scalar, ...]]:
    columns = [column.index for column in (*by, *([value] if value is not None else []))]
    groups: dict[tuple[Scalar, ...], list[float]] = {}
    for row in scalar_rows(table, columns, table.rows or 0):
        members = groups.setdefault(row[: len(by)], [])
        if value is None:
            members.append(1)
        elif isinstance(row[-1], int | float):
            members.append(row[-1])
    return [(*key, _HOW[how](members) if members else None) for key, members in groups.items()]


_HOW: Final[dict[str, Callable[[list[float]], Any]]] = {
    "count": len,
    "sum": sum,
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
}
