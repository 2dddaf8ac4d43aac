"""Tables of eager frames of pandas, polars and pyarrow, through narwhals: the frame's own methods, without a copy of it.

Its columns have their positions as names, so two of one name, and names that are no text, are like any other. Columns of
types without an order or a text of their own (objects, nested values) are read as Python's values.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw

from marimo_kernel_bridge.inspecting.value_text import is_one_of
from marimo_kernel_bridge.protocol.views import Column, ColumnKind, Detail, Statistics
from marimo_kernel_bridge.viewing.table import Cancellation, ExportFormat, Page, Query
from marimo_kernel_bridge.viewing.tables import (
    frame_filters,
    frame_statistics,
    moment_texts,
    pandas_texts,
    python_values,
    writing,
)
from marimo_kernel_bridge.viewing.tables.asked_values import TEXT_OPERATORS, has_no_letters
from marimo_kernel_bridge.viewing.tables.cells import cell, detail, nanoseconds_text, shown_cell, type_name
from marimo_kernel_bridge.viewing.tables.orders import Orders
from marimo_kernel_bridge.viewing.tables.plain_values import plain
from marimo_kernel_bridge.viewing.tables.whole_table import WholeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import Filter

Frame = Any
"""narwhals' `DataFrame`: mypy is told to skip the package."""
_AT_ONCE_MAX: Final = 1000
"""Rows of a sorted table that are looked for before all are sorted."""
_SMALL: Final = 50_000
"""Rows that are sorted at once."""
_FEW: Final = 1000
_WIDE: Final = 200
"""So many rows of more columns than that are searched as Python's values: each column for itself takes a library longer."""
_SAMPLED: Final = 5000
_ROW: Final = "row"
_SAMPLED_COLUMNS: Final = 50
_SAMPLED_ROWS: Final = 64
_COMPARED_AS_THEY_ARE: Final = (int, str, dt.date, dt.datetime, type(None))


class FrameTable(WholeTable):
    """A table over a frame whose columns are named by their positions.

    `objects` are the columns that are read as Python's values whatever narwhals makes of them. `fingerprint` returns
    something else once the source is no longer what it was; or `altered` says so.
    """

    def __init__(  # noqa: PLR0917  # each is a fact of the frame
        self,
        kind: str,
        frame: Frame,
        names: Sequence[str],
        dtypes: Sequence[str],
        objects: frozenset[int] = frozenset(),
        notes: Sequence[str] = (),
        fingerprint: Callable[[], object] = lambda: None,
        altered: Callable[[], Literal["", "changed", "gone"]] | None = None,
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self.kind = kind
        self._frame = frame
        self._length = len(frame)
        self._notes = tuple(notes)
        self._orders: Orders[Frame] = Orders()
        self._closed = closed
        schema = list(frame.schema.values())
        kinds: list[ColumnKind] = []
        mixed: list[str] = []
        self._as_python: set[int] = set()
        for index, dtype in enumerate(schema):
            typed = None if index in objects else kind_of(dtype)
            if typed is None:
                self._as_python.add(index)
                kinds.append(python_values.kind_of(self._values(index, None))[0])
                if kinds[-1] == "other":
                    mixed.append(names[index])
            else:
                kinds.append(typed)
                if typed not in frame_filters.TYPED:
                    self._as_python.add(index)
        self._notes += python_values.note_of_mixed(mixed)
        self._schema = schema
        self._columns = tuple(
            Column(index, name, kind, type_name(dtype))
            for index, (name, kind, dtype) in enumerate(zip(names, kinds, dtypes, strict=True))
        )
        opened_as = fingerprint()
        self._altered = altered or (lambda: "" if fingerprint() == opened_as else "changed")

    @property
    def frame(self) -> Frame:
        """The frame, as narwhals has it, its columns named by their positions."""
        return self._frame

    def check(self, query: Query) -> None:
        query.check(self._columns)
        for condition in query.filters:
            column = self._columns[condition.column]
            if condition.column in self._as_python:
                python_values.predicate(column, condition)
            else:
                frame_filters.mask(column, self._schema[column.index], condition)

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        ids, matching = self._ids(query, start, count, cancellation)
        read = [
            [shown_cell(value, self._columns[column]) for value in self._values(column, ids)]
            for column in columns
        ]
        rows = [list(row) for row in zip(*read, strict=True)] if read else [[] for _ in ids]
        return Page(rows, list(ids), matching)

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Statistics:
        ids = self._filtered(query, cancellation)
        shown = self._columns[column]
        series = self._frame[str(column)]
        # Arrow itself has no least and greatest of durations.
        by_python = column in self._as_python or (
            shown.kind == "duration" and series.implementation.is_pyarrow()
        )
        if by_python:
            return python_values.statistics_of(shown, self._values(column, ids), cancellation)
        return frame_statistics.statistics_of(shown, series if ids is None else series[ids], cancellation)

    def detail(self, row: int, column: int) -> Detail:
        self._require_cell(row, column)
        return detail(self._values(column, range(row, row + 1))[0], self._columns[column].kind)

    def export(
        self,
        query: Query,
        columns: Sequence[int],
        format: ExportFormat,  # noqa: A002  # the word of the protocol
        target: Path,
        cancellation: Cancellation,
    ) -> None:
        order = self._order(query, cancellation)
        rows = writing.rows_of(
            range(self._length) if order is None else order,
            columns,
            lambda column, ids: self._values(column, ids if isinstance(ids, range) else ids.to_list()),
            cancellation,
        )
        writing.write(rows, [self._columns[column] for column in columns], format, target)

    def altered(self) -> Literal["", "changed", "gone"]:
        return self._altered()

    def close(self) -> None:
        self._orders.close()
        self._closed()

    def _ids(
        self, query: Query, start: int, count: int, cancellation: Cancellation
    ) -> tuple[Sequence[int], int]:
        """Return the ids of one page, and how many rows match."""
        self._orders.look_at(query.key)
        if not query.sort and not query.narrowed:
            return range(min(start, self._length), min(start + count, self._length)), self._length
        order = self._orders.known(query.key)
        if order is None and query.sort and start + count <= _AT_ONCE_MAX:
            rows = self._narrowed_keys(query, cancellation)
            first = _first_of(rows, query, start + count) if len(rows) > _SMALL else None
            if first is not None:
                self._orders.behind(query.key, lambda behind: self._computed(query, behind))
                return first[_ROW].to_list()[start : start + count], len(rows)
        if order is None:
            order = self._order(query, cancellation)
        return order[start : start + count].to_list(), len(order)

    def _filtered(self, query: Query, cancellation: Cancellation) -> Any:
        """Return the ids of the rows that the filters leave, in the order of the source; None for all."""
        return self._order(Query((), query.filters, query.search), cancellation)

    def _order(self, query: Query, cancellation: Cancellation) -> Any:
        """Return the ids in the query's order as a series; None for all as they are."""
        if not query.sort and not query.narrowed:
            return None
        return self._orders.get(query.key, lambda own: self._computed(query, own), cancellation)

    def _computed(self, query: Query, cancellation: Cancellation) -> Any:
        if not query.sort:
            return self._kept(query, cancellation)
        rows = self._narrowed_keys(query, cancellation)
        cancellation.check()
        return _sorted(rows, query)[_ROW]

    def _narrowed_keys(self, query: Query, cancellation: Cancellation) -> Frame:
        """Return the rows that the filters leave: their ids as "row", and the sort's keys as "key0", "key1" and so on."""
        ids = self._filtered(query, cancellation)
        series = []
        for number, key in enumerate(query.sort):
            cancellation.check()
            column = self._columns[key.column]
            if key.column in self._as_python and self._schema[key.column] not in _SORTED_NATIVELY:
                ranks = python_values.sort_ranks(column, self._values(key.column, ids), cancellation)
                one = nw.new_series("rank", ranks, nw.Float64, backend=self._frame.implementation)
            else:
                one = frame_filters.sort_key(self._frame, str(key.column), self._schema[key.column])
                one = one if ids is None else one[ids]
            series.append(one.alias(f"key{number}"))
        rows = frame_filters.without_nan(frame_filters.side_by_side(series))
        if ids is None:
            return rows.with_row_index(_ROW)
        return frame_filters.side_by_side([ids.alias(_ROW), *(rows[name] for name in rows.columns)])

    def _kept(self, query: Query, cancellation: Cancellation) -> Any:
        """Return the ids of the rows that meet the filters and the search, as a series."""
        masks = [self._mask(condition, cancellation) for condition in query.filters]
        if query.search:
            masks.append(self._found(query.search, cancellation))
        mask = masks[0]
        for other in masks[1:]:
            mask &= other
        rows = mask.alias("mask").to_frame().with_row_index(_ROW)
        return rows.filter(nw.col("mask"))[_ROW]

    def _mask(self, condition: Filter, cancellation: Cancellation) -> Any:
        cancellation.check()
        column = self._columns[condition.column]
        is_small = self._length <= _FEW and len(self._columns) > _WIDE
        if condition.column in self._as_python or (is_small and condition.op in TEXT_OPERATORS):
            return self._by_values(column, condition)
        if frame_filters.is_in_none(column, condition):
            return self._series([False] * self._length)
        if frame_filters.by_cells(column, condition):
            met = None
            if column.kind == "datetime":
                met = moment_texts.met(self._frame[str(column.index)], condition.op, str(condition.value))
            return self._by_values(column, condition) if met is None else self._series(met)
        if column.kind == "text" and condition.op in TEXT_OPERATORS:
            texts = self._frame[str(column.index)].to_native()
            if pandas_texts.holds_texts(texts):
                needle = str(condition.value).lower()
                return self._series(
                    pandas_texts.met(texts, condition.op, needle, as_written=has_no_letters(needle))
                )
        expression = frame_filters.mask(column, self._schema[column.index], condition)
        written = frame_filters.numbers_to_write(self._frame, column, condition)
        mask = (self._frame if written is None else written).select(mask=expression)["mask"]
        if written is not None:
            mask = self._series(mask.to_list())
        if column.kind == "number" and condition.op in TEXT_OPERATORS:
            return self._with_exponents(mask, column, condition)
        return mask

    def _by_values(self, column: Column, condition: Filter) -> Any:
        test = python_values.predicate(column, condition)
        return self._series([test(plain(value)) for value in self._values(column.index, None)])

    def _with_exponents(self, mask: Any, column: Column, condition: Filter) -> Any:
        """Return the mask, with the few floats that libraries write otherwise compared as the cell shows them."""
        other = self._frame.select(other=frame_filters.written_otherwise(column)).with_row_index(_ROW)
        ids = other.filter(nw.col("other"))[_ROW]
        if not len(ids):
            return mask
        test = python_values.predicate(column, condition)
        kept = mask.to_list()
        for row, value in zip(ids.to_list(), self._values(column.index, ids), strict=True):
            kept[row] = test(plain(value))
        return self._series(kept)

    def _series(self, mask: list[bool]) -> Any:
        return nw.new_series("mask", mask, nw.Boolean, backend=self._frame.implementation)

    def _found(self, search: str, cancellation: Cancellation) -> Any:
        found = None
        for column in self._columns:
            if column.kind != "null":
                mask = self._mask(frame_filters.searched(column, search), cancellation)
                found = mask if found is None else found | mask
        if found is None:
            return self._series([False] * self._length)
        return found

    def _values(self, column: int, ids: Any) -> list[Any]:
        """Return one column of some rows (all, if None) as Python's values; what has nanoseconds as text."""
        series = self._frame[str(column)]
        if isinstance(ids, range):
            series = series[ids.start : ids.stop]
        elif ids is not None:
            series = series[ids]
        return _exact(series)


def kind_of(dtype: Any) -> ColumnKind | None:
    """Return the kind of a type of narwhals; None if the values decide."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "number"
    return next((kind for type_, kind in _KINDS if dtype == type_), None)


_KINDS: Final[tuple[tuple[Any, ColumnKind], ...]] = (
    (nw.Decimal, "decimal"),
    (nw.String, "text"),
    (nw.Boolean, "boolean"),
    (nw.Date, "date"),
    (nw.Datetime, "datetime"),
    (nw.Time, "time"),
    (nw.Duration, "duration"),
    (nw.Binary, "bytes"),
    (nw.List, "nested"),
    (nw.Array, "nested"),
    (nw.Struct, "nested"),
    (nw.Categorical, "category"),
    (nw.Enum, "category"),
)


_SORTED_NATIVELY: Final = (nw.Decimal, nw.Time)
"""Types that are filtered as Python's values, and that libraries sort as those."""


def sampled(values: Callable[[int, int], Sequence[Any]], length: int, columns: int) -> tuple[object, ...]:
    """Return a few values of a frame, for a comparison with what they are later. `values` returns each so many of a column."""
    step = max(1, length // _SAMPLED_ROWS)
    chosen = range(0, columns, max(1, columns // _SAMPLED_COLUMNS))
    return tuple(tuple(map(_compared, values(column, step))) for column in chosen)


def _compared(value: Any) -> object:
    """Return what is equal for equal values, without a call of a foreign class. NaN is equal to itself."""
    kind = type(value)
    if is_one_of(kind, _COMPARED_AS_THEY_ARE):
        return value
    return repr(value) if kind is float else repr(cell(value))


def _exact(series: Any) -> list[Any]:
    """Return the values without losing digits: Python's dates have microseconds. What the library calls null is None."""
    dtype = series.dtype
    values: list[Any]
    if series.implementation.is_pandas():
        values = series.to_list()
        missing = series.is_null().to_list()
        return [None if null else one for one, null in zip(values, missing, strict=True)]
    if getattr(dtype, "time_unit", "us") != "ns":
        try:
            values = series.to_list()
        except (ValueError, OverflowError):  # years that Python has not
            values = series.cast(nw.String).to_list()
    elif dtype == nw.Duration:
        counted = series.dt.total_nanoseconds().to_list()
        values = [None if one is None else nanoseconds_text(one) for one in counted]
    else:
        values = series.cast(nw.String).to_list()
    return values


def _first_of(rows: Frame, query: Query, count: int) -> Frame | None:
    """Return the first rows of a sort without sorting all: a sample bounds the first key of what may be among them.

    None if too few are within the bound (many nulls), or most are (few distinct values).
    """
    # Not a slice with a step, which pyarrow has not
    sample = rows["key0"].gather_every(max(1, len(rows) // _SAMPLED))
    first = sample.drop_nulls().sort(descending=query.sort[0].descending)
    if len(first) == 0:
        return None
    place = min(len(first) - 1, 2 * count * len(first) // len(rows) + 20)
    bound = first[place]
    candidates = rows.filter(nw.col("key0") >= bound if query.sort[0].descending else nw.col("key0") <= bound)
    if not count <= len(candidates) <= len(rows) // 2:
        return None
    return _sorted(candidates, query).head(count)


def _sorted(rows: Frame, query: Query) -> Frame:
    """Return the rows in order. Equal ones keep the order of the source, nulls are last."""
    if len(query.sort) == 1 and rows.implementation.is_pandas():
        native, downwards = rows.to_native(), query.sort[0].descending
        order = None
        if pandas_texts.holds_texts(native["key0"]):
            order = pandas_texts.order_of(native["key0"], descending=downwards)
        # Thrice as fast as by two keys
        native = (
            native.sort_values("key0", ascending=not downwards, kind="stable", na_position="last")
            if order is None
            else native.take(order)
        )
        return nw.from_native(native, eager_only=True)
    keys = [f"key{number}" for number in range(len(query.sort))]
    descending = [*(key.descending for key in query.sort), False]
    return rows.sort(*keys, _ROW, descending=descending, nulls_last=True)
