"""The types of columns, as text, and whether they are a library's: types of others have methods of their own, which are not called."""

from __future__ import annotations

from typing import Any, Final

from marimo_kernel_bridge.inspecting.value_text import (
    bases,
    class_name,
    is_of_library,
    is_plain_zone,
    library_class,
)

_ARRAYS: Final = ("_ndarray", "_data", "_mask", "_left", "_right")
"""Where the arrays of pandas have those of NumPy."""


def dtype_text(dtype: Any) -> str:
    kind = type(dtype)
    if is_plain_dtype(dtype):
        return f"{dtype}"
    if library_class("pandas", "DatetimeTZDtype") is kind:
        return "datetime with time zone"
    return f"<{class_name(kind)}>"


def is_plain_dtype(dtype: Any) -> bool:
    """Return whether a dtype is of a library, and has no parts that may be of other classes, such as a fill value."""
    kind = type(dtype)
    if any(base is library_class("numpy", "dtype") for base in bases(kind)):
        return class_name(kind) != "numpy.dtypes.StringDType"
    if library_class("pandas", "DatetimeTZDtype") is kind:
        return is_plain_zone(dtype.tz)
    if library_class("pandas", "IntervalDtype") is kind:
        return is_plain_dtype(dtype.subtype)
    if library_class("pandas", "ArrowDtype") is kind:
        return is_plain_arrow(dtype.pyarrow_dtype)
    return is_of_library(kind, "pandas") and library_class("pandas", "SparseDtype") is not kind


def has_plain_array(array: Any) -> bool:
    """Return whether the values of an array of pandas are in one of NumPy itself, not of a class of others, which has methods of its own."""
    if not is_of_library(type(array), "pandas"):
        return False
    ndarray = library_class("numpy", "ndarray")
    parts = [type(getattr(array, name, None)) for name in _ARRAYS]
    return all(part is ndarray or all(base is not ndarray for base in bases(part)) for part in parts)


def is_plain_arrow(kind: Any) -> bool:
    """Return whether an Arrow type and all its parts are the library's: extension types have methods of their own."""
    if not is_of_library(type(kind), "pyarrow") or class_name(type(kind)).endswith("ExtensionType"):
        return False
    parts = [kind.field(number).type for number in range(kind.num_fields)]
    values = getattr(kind, "value_type", None)  # of a dictionary
    return all(map(is_plain_arrow, parts if values is None else [*parts, values]))
