"""A bounded part of a table that a variable holds, or its groups, for clients that draw it.

Reads on the main thread between runs, and changes nothing. Values are read as `inspecting` reads them: by the exact classes of
Python, NumPy, pandas, Polars and Arrow, so no method of the user's own runs. What would have to be computed first, such as
the plan of a LazyFrame, is refused.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.dtypes import has_plain_array, is_plain_dtype
from marimo_kernel_bridge.inspecting.labels import has_plain_labels
from marimo_kernel_bridge.inspecting.value_text import class_name, is_one_of, library_class
from marimo_kernel_bridge.inspecting.variables import without_attrs
from marimo_kernel_bridge.protocol.views import Column, TablePart
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.tables.groups import binned, grouped, scalar_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.messages import ReadTable
    from marimo_kernel_bridge.viewing.table import Table

MOST_COLUMNS: Final = 50
_MOST_ROWS: Final = 5000
_MOST_GROUPED: Final = 100_000
"""Rows of Python's own values that are grouped; of more, an even sample is."""
_SCALARS: Final = (str, int, float, bool, type(None))
_SEQUENCES: Final = (list, tuple)
_NEAR: Final = 5


def read_part(value: object, request: ReadTable) -> TablePart:
    """Return the part that is asked for. Raises `BridgeError`: not_a_table, bad_request."""
    value = _pairs(value) if request.edges else _tabular(value)
    total = _length(value)
    if not request.by:
        most = max(0, min(request.rows, _MOST_ROWS))
        thinned, step = _thinned(value, total, most)
        table = open_value(thinned)
        chosen = _chosen(table, request.columns) or table.columns[:MOST_COLUMNS]
        rows = scalar_rows(table, [column.index for column in chosen], most)
        return TablePart(table.kind, tuple(chosen), rows, total, _sampled(len(rows), total, step))
    return _groups(value, total, request)


def _groups(value: object, total: int, request: ReadTable) -> TablePart:
    whole = open_value(value)
    by, values = _chosen(whole, request.by), _chosen(whole, request.columns)
    if request.how != "count" and (
        len(values) != 1 or values[0].kind not in {"integer", "number", "decimal"}
    ):
        raise BridgeError("bad_request", f"{request.how} takes one column of numbers.")
    most = max(1, min(request.rows, _MOST_ROWS))
    if request.bins and len(by) == 1 and request.how == "count":
        columns, rows = binned(whole, by[0])
        return TablePart(whole.kind, columns, rows, total, f"Counts of all {total:,} rows.")
    column = values[0] if request.how != "count" else None
    found = grouped(whole, by, column, request.how, whole=True)
    note = f"{_WORDS[request.how]} of all {total:,} rows"
    if found is None:  # not by the library of the frame: by Python, of as many rows as take no second
        thinned, step = _thinned(value, total, _MOST_GROUPED)
        table = open_value(thinned)
        found = grouped(table, by, column, request.how, whole=False)
        assert found is not None, "Python groups all values"
        if step > 1:
            note = f"{_WORDS[request.how]} of each {_nth(step)} row, {table.rows or 0:,} of {total:,}"
    columns, rows = found
    left_out = len(rows) - most
    note += f"; the {most:,} largest of {len(rows):,} groups." if left_out > 0 else f", {len(rows):,} groups."
    return TablePart(whole.kind, columns, rows[:most], total, note)


_WORDS: Final = {
    "count": "Counts",
    "sum": "Sums",
    "mean": "Means",
    "median": "Medians",
    "min": "Minima",
    "max": "Maxima",
}


def _sampled(shown: int, total: int, step: int) -> str:
    if shown in {0, total}:
        return ""
    return (
        f"Each {_nth(step)} row: {shown:,} of {total:,}."
        if step > 1
        else f"The first {shown:,} of {total:,} rows."
    )


def _nth(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _chosen(table: Table, names: Sequence[str]) -> list[Column]:
    known = {column.name: column for column in reversed(table.columns)}
    chosen = []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name[:100], known, _NEAR) or list(known)[:_NEAR]
            raise BridgeError(
                "bad_request",
                f"There is no column {name[:100]!r}.",
                f"There are {', '.join(one[:60] for one in near)}{' and others' if len(known) > len(near) else ''}.",
            )
        chosen.append(known[name])
    return chosen


# -- which table a value is, by its exact class -------------------------------------------------------------------------


def _tabular(value: object) -> object:
    kind = type(value)
    for library, name, prepared, _ in _LIBRARIES:
        if library_class(library, name) is kind:
            return prepared(value)
    if is_one_of(kind, _SEQUENCES):
        return _of_sequence(value)  # type: ignore[arg-type]  # its exact type is known
    if kind is dict:
        return _of_dict(value)  # type: ignore[arg-type]  # its exact type is known
    raise BridgeError(
        "not_a_table",
        f"The value is a {class_name(kind)}, and no table whose rows can be read without running code of its class.",
        "Make one of it in a cell: a DataFrame of pandas or Polars, an Arrow table, an array, a list of dicts, a dict of lists.",
    )


def _of_sequence(value: Sequence[Any]) -> object:
    if not value:
        raise BridgeError("not_a_table", "The list is empty.")
    if all(type(row) is dict for row in value):
        return value
    if all(is_one_of(type(one), _SCALARS) for one in value):
        return {"position": list(range(len(value))), "value": list(value)}
    if all(is_one_of(type(row), _SEQUENCES) for row in value) and len({len(row) for row in value}) == 1:
        return {str(number): list(column) for number, column in enumerate(zip(*value, strict=True))}
    raise BridgeError(
        "not_a_table", "The list holds neither dicts, nor numbers and texts, nor lists of one length."
    )


def _of_dict(value: dict[Any, Any]) -> object:
    if value and all(is_one_of(type(one), _SEQUENCES) for one in value.values()):
        if len({len(one) for one in value.values()}) > 1:
            raise BridgeError("not_a_table", "The lists of this dict have different lengths.")
        return value
    if value and all(is_one_of(type(one), _SCALARS) for one in (*value, *value.values())):
        return {"name": [str(key) for key in value], "value": list(value.values())}
    raise BridgeError("not_a_table", "The dict holds neither lists of one length, nor numbers and texts.")


def _pairs(value: object) -> object:
    """Return a dict of names with lists of names as pairs; anything else as it is as a table."""
    if type(value) is not dict or not all(is_one_of(type(one), (list, tuple, set)) for one in value.values()):
        return _tabular(value)
    pairs = [
        (str(name), str(other))
        for name, others in value.items()
        if is_one_of(type(name), _SCALARS)
        for other in others
        if is_one_of(type(other), _SCALARS)
    ]
    if not pairs:
        raise BridgeError("not_a_table", "The dict has no pairs of names.")
    return {"source": [one for one, _ in pairs], "target": [one for _, one in pairs]}


def _of_pandas(frame: Any) -> object:
    frame = without_attrs(frame)
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    if not (has_plain_labels(frame.index) and has_plain_labels(frame.columns)):
        raise BridgeError(
            "not_a_table",
            "The labels of its rows or columns are of a type of others, which has methods of its own.",
            "Make a frame without them in a cell: reset_index(drop=True) removes those of the rows.",
        )
    arrays = [frame.iloc[:, number].array for number in range(frame.shape[1])]
    kept = [
        number
        for number, array in enumerate(arrays)
        if is_plain_dtype(array.dtype) and has_plain_array(array)
    ]
    return frame if len(kept) == len(arrays) else frame.iloc[:, kept]


def _as_it_is(value: Any) -> Any:
    return value


def _each_of_pandas(frame: Any, step: int) -> Any:
    """Return each so many rows. The numbers from 0 on that every frame has stay no column."""
    index: Any = frame.index
    part = frame.iloc[::step]
    is_range = library_class("pandas", "RangeIndex") is type(index)
    if is_range and index.name is None and (index.start, index.step) == (0, 1):
        part = part.reset_index(drop=True)
    return part


def _each(value: Any, step: int) -> Any:
    return value[::step]


_LIBRARIES: Final[tuple[tuple[str, str, Callable[[Any], Any], Callable[[Any, int], Any]], ...]] = (
    ("pandas", "DataFrame", _of_pandas, _each_of_pandas),
    ("pandas", "Series", _of_pandas, _each_of_pandas),
    ("polars", "DataFrame", _as_it_is, lambda value, step: value.gather_every(step)),
    ("polars", "Series", lambda value: value.to_frame(), lambda value, step: value.gather_every(step)),
    ("pyarrow", "Table", _as_it_is, lambda value, step: value.take(list(range(0, value.num_rows, step)))),
    (
        "pyarrow",
        "RecordBatch",
        _as_it_is,
        lambda value, step: value.take(list(range(0, value.num_rows, step))),
    ),
    ("numpy", "ndarray", _as_it_is, _each),
)
"""Library, class, what is read of it, and each so many rows of that."""


def _length(value: object) -> int:
    if type(value) is dict:
        return len(next(iter(value.values())))
    return len(value)  # type: ignore[arg-type]  # a class of `_LIBRARIES`, or a list


def _thinned(value: Any, total: int, most: int) -> tuple[Any, int]:
    """Return an even part of the rows, and each how many rows one is taken."""
    step = max(1, -(-total // max(1, most)))
    if step == 1:
        return value, 1
    if type(value) is dict:
        return {name: one[::step] for name, one in value.items()}, step
    for library, name, _, each in _LIBRARIES:
        if library_class(library, name) is type(value):
            return each(value, step), step
    return value[::step], step
