"""Which values can be shown as a table without running code: of their classes, of the plan or query that makes their rows.

For who may look and not run: what is decided here is decided by the exact classes of a value and its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.dtypes import has_plain_array, is_plain_arrow, is_plain_dtype
from marimo_kernel_bridge.inspecting.labels import has_plain_labels
from marimo_kernel_bridge.inspecting.value_text import bases, class_name, is_one_of, library_class
from marimo_kernel_bridge.inspecting.variables import without_attrs
from marimo_kernel_bridge.viewing.tables.live_values import EXCHANGED, KINDS, no_table, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.viewing.table import Table


def open_without_code(value: Any) -> Table:
    """Return the table that a value is, if no code runs. Raises `BridgeError`: not_a_table, not_installed, not_allowed."""
    kind = type(value)
    if is_read_without_code(value):
        table = table_of(value)
        if table is not None:
            return table
    elif _may_be_a_table(kind):
        raise BridgeError(
            "not_allowed",
            f"Reading the rows of this {class_name(kind)} may run code: of its classes, or of the plan or query that makes them.",
            "That needs the permission 'scratch', and agents that are not paused. A frame or a list that a cell has made of it can be shown.",
        )
    raise no_table(kind)


def is_read_without_code(value: Any) -> bool:
    """Return whether a value is of a library's own class or Python's, its rows are there, and what they are in is of no other class."""
    kind = type(value)
    if is_one_of(kind, (list, tuple)):
        return not any(issubclass(type(row), dict) and type(row) is not dict for row in value)
    if kind is dict:
        columns = map(type, value.values())
        return not any(
            issubclass(one, (list, tuple)) and not is_one_of(one, (list, tuple)) for one in columns
        )
    return any(is_plain(value) for library, name, is_plain in _PLAIN if library_class(library, name) is kind)


def _may_be_a_table(kind: type) -> bool:
    libraries = (library_class(library, name) for library, kinds in KINDS.items() for name, _ in kinds)
    types = (list, tuple, dict, *filter(None, libraries))
    own = [type.__dict__["__dict__"].__get__(base) for base in bases(kind)]
    return any(issubclass(kind, type_) for type_ in types) or any(
        name in names for names in own for name in EXCHANGED
    )


def _is_plain_frame(frame: Any) -> bool:
    frame = without_attrs(frame)
    arrays = (frame.iloc[:, number].array for number in range(frame.shape[1]))
    return has_plain_labels(frame.index) and has_plain_labels(frame.columns) and all(map(_is_plain, arrays))


def _is_plain_series(series: Any) -> bool:
    return has_plain_labels(series.index) and _is_plain(series.array)


def _is_plain(array: Any) -> bool:
    return is_plain_dtype(array.dtype) and has_plain_array(array)


def _always(_: object) -> bool:
    return True


def _has_plain_types(table: Any) -> bool:
    return all(map(is_plain_arrow, table.schema.types))


_PLAIN: Final[tuple[tuple[str, str, Callable[[Any], bool]], ...]] = (
    ("pandas", "DataFrame", _is_plain_frame),
    ("pandas", "Series", _is_plain_series),
    ("polars", "DataFrame", _always),
    ("polars", "Series", _always),
    ("pyarrow", "Table", _has_plain_types),
    ("pyarrow", "RecordBatch", _has_plain_types),
    ("numpy", "ndarray", _always),
)
