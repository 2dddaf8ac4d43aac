"""The labels of the rows of pandas' objects: of a table that was grouped, they are what its rows are about. Runs no code of labels."""

from __future__ import annotations

from typing import Any, Final

from marimo_kernel_bridge.inspecting.columns import cell_text
from marimo_kernel_bridge.inspecting.dtypes import dtype_text, has_plain_array, is_plain_dtype
from marimo_kernel_bridge.inspecting.value_text import is_of_library, is_one_of, library_class, shorten

_NAMES: Final = (type(None), str, int, float, bool)


def index_text(index: Any) -> str:
    """Return the names of an index, and the type of its labels."""
    names = (
        [name for name in index.names if type(name) is str] if is_of_library(type(index), "pandas") else []
    )
    return " ".join(filter(None, (", ".join(shorten(name, 80) for name in names), dtype_text(index.dtype))))


def labels_of(index: Any, part: slice) -> tuple[str, ...]:
    """Return the labels of some rows as text; none if they are the positions of the rows, or of types of others."""
    if not has_plain_labels(index):
        return ()
    kind = type(index)
    if kind is library_class("pandas", "RangeIndex") and index.start == 0 and index.step == 1:
        return ()
    return tuple(cell_text(label) for label in index[part].tolist())


def has_plain_labels(index: Any) -> bool:
    """Return whether an index, the types of its labels and their arrays are the library's.

    The names of several levels are hashed with each part that is taken of it.
    """
    kind = type(index)
    if not is_of_library(kind, "pandas"):
        return False
    if kind is library_class("pandas", "MultiIndex") and not all(
        is_one_of(type(name), _NAMES) for name in index.names
    ):
        return False
    return kind is library_class("pandas", "RangeIndex") or all(
        is_plain_dtype(level.dtype) and has_plain_array(level.array) for level in _levels(index)
    )


def _levels(index: Any) -> list[Any]:
    """Return an index, or each of its levels."""
    several = type(index) is library_class("pandas", "MultiIndex")
    return list(index.levels) if several else [index]
