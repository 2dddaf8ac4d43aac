"""The notebook's variables as data, read without running user code: type, shape, columns, a few rows.

Supports Python's containers, NumPy, pandas, Polars and Arrow by exact class; for a subclass only its name is returned.
Methods of unknown objects are never called (`value_text`).

There are two levels of detail. A list, and an inspection while a cell runs, read types, lengths and shapes only, which
is safe on the control thread. Rows are read on the main thread between cells, because user code may change a table
while another thread reads it.
"""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.columns import all_numbers, cell_text, counted_rows, described, item_text
from marimo_kernel_bridge.inspecting.dtypes import dtype_text, has_plain_array, is_plain_arrow, is_plain_dtype
from marimo_kernel_bridge.inspecting.labels import index_text, labels_of
from marimo_kernel_bridge.inspecting.value_text import (
    bases,
    class_name,
    describe_function,
    first_items,
    instance_dict,
    is_class,
    is_of_library,
    is_one_of,
    library_class,
    value_text,
)
from marimo_kernel_bridge.protocol.inspection import Column, Variable, VariableContent

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

MOST_ROWS: Final = 100
MOST_COLUMNS: Final = 50
_MOST_NAMED: Final = 20

_SIZED: Final = (list, tuple, set, frozenset, dict, bytearray)
_CHANGED: Final = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""Exceptions that reading a library's object may raise, especially while user code changes it."""


class _Sample(TypedDict, total=False):
    """A sample of a value's content, with the fields of `VariableContent`."""

    columns: tuple[Column, ...]
    total_columns: int
    rows: tuple[tuple[str, ...], ...]
    total_rows: int
    items: tuple[str, ...]
    total_items: int
    facts: tuple[str, ...]
    labels: tuple[str, ...]


_Reader = tuple[str, str, "Callable[[Any], str]", "Callable[[Any, slice], _Sample]"]


def list_variables(
    names: Mapping[str, object], hidden: Container[str], definers: Mapping[str, str]
) -> list[Variable]:
    """Return global variables, modules last. `definers` are the ids of the cells that define names. Any thread."""
    public = _public(names, hidden)
    public.sort(key=lambda item: type(item[1]) is types.ModuleType)
    return [describe(name, value, definers.get(name)) for name, value in public]


def _public(names: Mapping[str, object], hidden: Container[str]) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and name not in hidden
    ]


def find(
    names: Mapping[str, object], name: str, hidden: Container[str] = (), definer: str | None = None
) -> object:
    """Return the value of a global name. Any thread. Raises `BridgeError`: no_such_variable. `definer` is the cell that defines it."""
    found = [value for other, value in list(names.items()) if type(other) is str and other == name]
    if found:
        return found[0]
    if definer is not None:
        raise BridgeError(
            "no_such_variable",
            f"There is no variable {name!r:.100} yet: cell {definer} defines it, and has not run to its end in this kernel.",
            "Run that cell, and what it needs runs before it.",
        )
    public = sorted(name for name, _ in _public(names, hidden))
    raise BridgeError(
        "no_such_variable",
        f"There is no variable {name!r:.100}.",
        f"Existing variables: {', '.join(public[:_MOST_NAMED]) or 'none'}. A variable is a plain global name.",
    )


def inspect(
    names: Mapping[str, object],
    definers: Mapping[str, str],
    name: str,
    rows: int,
    offset: int = 0,
    *,
    sample: bool,
    hidden: Container[str] = (),
) -> VariableContent:
    """Return a variable with `rows` rows or items from `offset` on. Without `sample`, safe on any thread.

    Raises `BridgeError`: no_such_variable.
    """
    definer = definers.get(name)
    value = find(names, name, hidden, definer)
    variable = describe(name, value, definer)
    if not sample:
        return VariableContent(variable, sampled=False)
    content: _Sample = {}
    reader = _reader(type(value))
    with suppress(*_CHANGED):
        part = slice(offset, offset + max(0, min(rows, MOST_ROWS)))
        content = reader[3](without_attrs(value), part) if reader else _plain_content(value, part)
    return VariableContent(variable, **content)


def describe(name: str, value: object, definer: str | None = None) -> Variable:
    """Describe a variable. `definer` is the id of the cell that defines it."""
    kind = type(value)
    summary = ""
    with suppress(*_CHANGED):
        reader = _reader(kind)
        summary = reader[2](without_attrs(value)) if reader else _summary(value)
    return Variable(name, class_name(kind), summary, _is_ui_element(kind), definer)


def _summary(value: object) -> str:  # noqa: PLR0911  # one for each kind of value
    kind = type(value)
    if kind is types.ModuleType:
        version = types.ModuleType.__getattribute__(value, "__dict__").get("__version__")
        return f"version {version}" if type(version) is str else "module"
    if kind is types.FunctionType:
        return describe_function(value)  # type: ignore[arg-type]  # narrowed by its exact type
    if is_class(value):
        parents = [class_name(base) for base in bases(value)[1:-1]]
        return f"class, of {', '.join(parents)}" if parents else "class"
    if is_one_of(kind, _SIZED):
        return f"{len(value)} items: {value_text(value, 80)}"  # type: ignore[arg-type]  # an exact builtin
    if _is_ui_element(kind):
        return f"value {value_text(_attribute(value, '_value'), 80)}"
    text = value_text(value, 80)
    if text != f"<{class_name(kind)}>":
        return text
    parents = [class_name(base) for base in bases(kind)[1:-1]]
    return f"instance of a class of {', '.join(parents[:3])}" if parents else ""


def _plain_content(value: object, part: slice) -> _Sample:
    kind = type(value)
    if is_one_of(kind, (list, tuple, set, frozenset)):
        items = [value_text(item) for item in first_items(value, part.stop - part.start, part.start)]
        return {"items": tuple(items), "total_items": len(value)}  # type: ignore[arg-type]  # an exact builtin
    if kind is dict:
        pairs = first_items(value, part.stop - part.start, part.start)
        return {
            "items": tuple(f"{value_text(key, 80)}: {value_text(item)}" for key, item in pairs),
            "total_items": len(value),  # type: ignore[arg-type]  # an exact dict
        }
    if kind is str:
        return {"facts": (value_text(value, 2000),)}
    if kind is types.FunctionType:
        doc = value.__doc__ if type(value.__doc__) is str else ""
        lines = (f"line {value.__code__.co_firstlineno} of its cell", doc.strip())  # type: ignore[attr-defined]  # an exact function
        return {"facts": tuple(filter(None, lines))}
    attributes = _attributes(value)
    public = [(key, item) for key, item in attributes.items() if type(key) is str and not key.startswith("_")]
    return {
        "items": tuple(f".{key}: {value_text(item)}" for key, item in public[part]),
        "total_items": len(public),
    }


def _attributes(value: object) -> dict[str, object]:
    return {} if is_class(value) or type(value) is types.ModuleType else dict(instance_dict(value))


def _attribute(value: object, name: str) -> object:
    return instance_dict(value).get(name, ...)


def _is_ui_element(kind: type) -> bool:
    element = library_class("marimo._plugins.ui._core.ui_element", "UIElement")
    return element is not None and any(base is element for base in bases(kind))


# -- tables and arrays: module, class, summary and content of each -----------------------------------------------


def _reader(kind: type) -> _Reader | None:
    for reader in _READERS:
        if library_class(reader[0], reader[1]) is kind:
            return reader
    return None


def _shape(value: Any) -> str:
    rows, columns = value.shape
    return f"{rows} rows, {columns} columns"


def _length(value: Any) -> str:
    return f"{len(value)} values, {dtype_text(value.dtype)}"


def without_attrs(value: Any) -> Any:
    """Return a pandas object that shares its data with `value`; pandas copies `attrs`, which runs code of what is there."""
    attributes = instance_dict(value)
    if "_attrs" not in attributes:
        return value
    bare = object.__new__(type(value))
    instance_dict(bare).update({**attributes, "_attrs": {}})
    return bare


def _array_summary(array: Any) -> str:
    return f"shape {array.shape}, {dtype_text(array.dtype)}"


def _array_content(array: Any, part: slice) -> _Sample:
    values = array.reshape(-1)[part] if array.flags.c_contiguous else array.flat[part]
    facts = [f"{array.nbytes} bytes"]
    if array.size and array.dtype.kind in "biuf" and array.size <= 10_000_000:  # noqa: PLR2004  # about 10 ms
        with sys.modules["numpy"].errstate(all="ignore"):  # else a function of the user's may be called
            facts.append(f"min {array.min()}, max {array.max()}, mean {array.mean():.6g}")
    return {
        "items": tuple(value_text(item) for item in values.tolist()),
        "total_items": int(array.size),
        "facts": tuple(facts),
    }


def _table_content(
    total: int,
    names: list[Any],
    dtypes: list[str],
    columns: list[list[Any]],
    counted: Callable[[int, int], tuple[list[Any], object]] | None = None,
) -> _Sample:
    """Return a table: the values of its first columns, and what `counted` returns for (column, rows): its first values, and the whole."""
    named = [name if type(name) is str else value_text(name) for name in names]
    rows = zip(*columns, strict=True) if columns else ()
    shown = range(min(len(named), MOST_COLUMNS))
    most = counted_rows(total, len(shown))
    told = [
        Column(named[number], dtypes[number])
        if counted is None
        else _described(named[number], dtypes[number], partial(counted, number, most))
        for number in shown
    ]
    sample: _Sample = {
        "columns": tuple(told),
        "total_columns": len(named),
        "rows": tuple(tuple(cell_text(item) for item in row) for row in rows),
        "total_rows": total,
    }
    if counted is not None and most < total:
        sample["facts"] = (f"distinct and frequent values: of the first {most} rows",)
    return sample


def _described(name: str, dtype: str, read: Callable[[], tuple[list[Any], object]]) -> Column:
    if dtype.startswith("<"):  # a type of others, with methods of its own
        return Column(name, dtype)
    with suppress(*_CHANGED, OverflowError):
        return described(name, dtype, *read())
    return Column(name, dtype)


def _pandas_values(array: Any, part: slice = slice(None)) -> list[Any]:
    """Return the values of a column; for an extension type of others, only the type's name."""
    dtype = array.dtype
    if not is_plain_dtype(dtype) or not has_plain_array(array):
        return [f"<{class_name(type(dtype))}>"] * len(range(*part.indices(len(array))))
    array = array[part]
    numbers = all_numbers(array)  # whose own list has NumPy's scalars
    return list(array.tolist() if numbers is None else numbers.tolist())


def _pandas_table(table: Any, part: slice) -> _Sample:
    columns = table.columns
    names = list(columns.tolist()) if is_of_library(type(columns), "pandas") else ["?"] * table.shape[1]
    dtypes = [dtype_text(dtype) for dtype in table.dtypes.array]
    head = table.iloc[part, :MOST_COLUMNS]
    values = [_pandas_values(head.iloc[:, number].array) for number in range(head.shape[1])]
    memory = int(
        sum(block.nbytes for block in (table.iloc[:, i].array for i in range(min(len(names), MOST_COLUMNS))))
    )

    def counted(number: int, most: int) -> tuple[list[Any], object]:
        array = table.iloc[:, number].array
        return _pandas_values(array, slice(most)), all_numbers(array) if most < len(table) else None

    content = _table_content(len(table), names, dtypes, values, counted if part.start == 0 else None)
    content["facts"] = (f"index {index_text(table.index)}, about {memory} bytes", *content.get("facts", ()))
    content["labels"] = labels_of(table.index, part)
    return content


def _pandas_series(series: Any, part: slice) -> _Sample:
    """Return a series, or an index, which has no labels of its own."""
    values = _pandas_values(series.array, part)
    sample: _Sample = {"items": tuple(map(item_text, values)), "total_items": len(series)}
    index = getattr(series, "index", None) if library_class("pandas", "Series") is type(series) else None
    return sample if index is None else {**sample, "labels": labels_of(index, part)}


def _polars_table(table: Any, part: slice) -> _Sample:
    head = table[part].select(table.columns[:MOST_COLUMNS])
    columns = [head[name].to_list() for name in head.columns]

    def counted(number: int, most: int) -> tuple[list[Any], object]:
        series = table.to_series(number)
        numbers = series.dtype.is_numeric() and most < table.height
        return series[:most].to_list(), series if numbers else None

    dtypes = [f"{dtype}" for dtype in table.dtypes]
    return _table_content(table.height, table.columns, dtypes, columns, counted if part.start == 0 else None)


def _polars_series(series: Any, part: slice) -> _Sample:
    values = series[part].to_list()
    return {"items": tuple(value_text(item) for item in values), "total_items": len(series)}


def _arrow_shape(table: Any) -> str:
    return f"{table.num_rows} rows, {table.num_columns} columns"


def _arrow_table(table: Any, part: slice) -> _Sample:
    names, kinds = list(table.schema.names), list(table.schema.types)
    dtypes = [f"{kind}" if is_plain_arrow(kind) else f"<{class_name(type(kind))}>" for kind in kinds]
    head = table.slice(part.start, part.stop - part.start)
    columns = [
        head.column(number).to_pylist() if is_plain_arrow(kinds[number]) else [dtypes[number]] * head.num_rows
        for number in range(min(len(names), MOST_COLUMNS))
    ]

    def counted(number: int, most: int) -> tuple[list[Any], object]:
        return table.column(number).slice(0, most).to_pylist(), None

    return _table_content(table.num_rows, names, dtypes, columns, counted if part.start == 0 else None)


_READERS: Final[tuple[_Reader, ...]] = (
    ("pandas", "DataFrame", _shape, _pandas_table),
    ("pandas", "Series", _length, _pandas_series),
    ("pandas", "Index", _length, _pandas_series),
    ("polars", "DataFrame", _shape, _polars_table),
    ("polars", "Series", _length, _polars_series),
    ("pyarrow", "Table", _arrow_shape, _arrow_table),
    ("pyarrow", "RecordBatch", _arrow_shape, _arrow_table),
    ("numpy", "ndarray", _array_summary, _array_content),
)
