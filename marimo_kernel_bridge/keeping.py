"""Copies of objects that user code is about to change, where there can be one at a price that nobody notices.

No copy: of what draws, runs or is tied to something outside (figures, widgets, files, modules), and of what is large.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LARGEST: Final = 200_000_000
"""Bytes of an array or a table that is copied."""

_MOST_ITEMS: Final = 1_000_000
_TIED: Final = frozenset(
    """matplotlib ipywidgets anywidget traitlets marimo asyncio threading _thread multiprocessing subprocess socket
    sqlite3 sqlalchemy duckdb _io io tkinter concurrent contextvars IPython ipykernel zmq requests bokeh""".split()  # noqa: SIM905  # a list of words
)
_UNCHANGING: Final = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
    types.GeneratorType,
)


def kept(value: T, copied: Callable[[T], T]) -> T | None:
    """Return a copy of a value; None where there is none to be had."""
    parts = value if isinstance(value, tuple) else (value,)
    if any(_is_tied(part) or _size(part) > LARGEST for part in parts):
        return None
    try:
        return copied(value)
    except Exception:  # noqa: BLE001  # whatever user code's `__copy__` raises
        return None


def _is_tied(value: object) -> bool:
    if isinstance(value, _UNCHANGING):
        return True
    return any(base.__module__.partition(".")[0] in _TIED for base in type(value).__mro__[:-1])


def _size(value: Any) -> int:  # of whatever class
    """Return a guess at the bytes of a copy, without looking at items."""
    try:
        if isinstance(value, (list, dict, set, tuple)):
            return LARGEST + 1 if len(value) > _MOST_ITEMS else 0
        if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "memory_usage"):
            used = value.memory_usage(deep=False)
            return int(used if isinstance(used, int) else used.sum())
        return int(value.nbytes if hasattr(value, "nbytes") else sys.getsizeof(value))
    except Exception:  # noqa: BLE001  # as above
        return 0
