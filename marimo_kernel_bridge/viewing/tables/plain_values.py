"""Values of numpy, pandas, polars and pyarrow as Python's own."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ARRAY_MAX: Final = 1_000_000
"""Items of an array in a cell."""


def plain(value: Any) -> Any:
    """Return the value as one of Python's own, if it is one of these libraries'; a missing one as None."""
    kind = type(value)
    if kind in _PYTHONS:
        return value
    library = _LIBRARIES.get(kind.__module__.partition(".")[0])
    if library is not None:
        return library(value, kind.__name__)
    if isinstance(value, Enum):
        return value.name
    return next((base(value) for type_, base in _BASES if isinstance(value, type_)), value)


def _of_pandas(value: Any, name: str) -> Any:
    if name in {"NaTType", "NAType"}:
        return None
    return str(value) if name in {"Period", "Interval"} else value


def _of_numpy(value: Any, name: str) -> Any:
    if name in {"datetime64", "timedelta64"}:
        text = str(value)
        return None if text == "NaT" else text
    if name == "ndarray":
        return (value if value.size <= _ARRAY_MAX else value.ravel()[:_ARRAY_MAX]).tolist()
    return value.item() if hasattr(value, "item") else value


def _of_polars(value: Any, name: str) -> Any:
    return value.to_list() if name == "Series" else value


def _of_pyarrow(value: Any, _name: str) -> Any:
    return value.as_py() if hasattr(value, "as_py") else value


_PYTHONS: Final = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple})
_LIBRARIES: Final[dict[str, Callable[[Any, str], Any]]] = {
    "pandas": _of_pandas,
    "numpy": _of_numpy,
    "polars": _of_polars,
    "pyarrow": _of_pyarrow,
}
_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)
"""Of subclasses, whose own methods might do anything."""
