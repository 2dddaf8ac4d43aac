"""How large values are, in a word or two and without anything that is in them. Runs no user code."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from marimo_kernel_bridge.inspecting.value_text import class_name, is_one_of, library_class

_CONTAINERS: Final = (list, tuple, set, frozenset, dict, bytearray)
_SHAPED: Final = (
    ("pandas", "DataFrame"),
    ("polars", "DataFrame"),
    ("numpy", "ndarray"),
    ("pyarrow", "Table"),
)
_COUNTED: Final = (("pandas", "Series"), ("pandas", "Index"), ("polars", "Series"))
_LIBRARIES: Final = frozenset(module for module, _ in (*_SHAPED, *_COUNTED))
_CHANGED: Final = (AttributeError, RuntimeError, TypeError, ValueError)
"""What a library's object may raise while user code changes it."""


def size_text(value: Any) -> tuple[str, str]:  # of whatever class
    """Return the type of a value and its size, "" for what has none."""
    kind = type(value)
    name = class_name(kind)
    size = ""
    with suppress(*_CHANGED):
        if is_one_of(kind, _CONTAINERS):
            size = f"{len(value)} items"
        elif is_one_of(kind, (str, bytes)):
            size = f"{len(value)} {'characters' if kind is str else 'bytes'}"
        elif name.partition(".")[0] in _LIBRARIES:
            if any(library_class(*known) is kind for known in _COUNTED):
                size = f"{len(value)} items"
            elif any(library_class(*known) is kind for known in _SHAPED):
                size = " x ".join(map(str, value.shape))
    return name, size
