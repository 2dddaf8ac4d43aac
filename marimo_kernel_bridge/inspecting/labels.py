"""The labels of the rows of pandas' objects: of a table that was grouped, they are what its rows are about. Runs no code of labels."""

from __future__ import annotations

from typing import Any

from marimo_kernel_bridge.inspecting.columns import cell_text
from marimo_kernel_bridge.inspecting.dtypes import dtype_text, has_plain_array, is_plain_dtype
from marimo_kernel_bridge.inspecting.value_text import is_of_library, library_class, shorten


def index_text(index: Any) -> str:
    """Return the names of an index, and the type of its labels."""
    names = (
        [name for name in index.names if type(name) is str] if is_of_library(type(index), "pandas") else []
    )
    return " ".join(filter(None, (", ".join(shorten(name, 80) for name in names), dtype_text(index.dtype))))


def labels_of(index: Any, part: slice) -> tuple[str, ...]:
    """Return the labels of some rows as text; none if they are the positions of the rows, or of types of others."""
    kind = type(index)
    if not is_of_library(kind, "pandas"):
        return ()
    if kind is library_class("pandas", "RangeIndex"):
        if index.start == 0 and index.step == 1:
            return ()
    elif not all(is_plain_dtype(level.dtype) and has_plain_array(level.array) for level in _levels(index)):
        return ()
    return tuple(cell_text(label) for label in index[part].tolist())


def _levels(index: Any) -> list[Any]:
    """Return an index, or each of its levels."""
    several = type(index) is library_class("pandas", "MultiIndex")
    return list(index.levels) if several else [index]
