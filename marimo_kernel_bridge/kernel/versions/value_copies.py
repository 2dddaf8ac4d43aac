"""Copies of objects that user code is about to mutate, if a copy is possible and cheap.

Not copied: objects that draw, run or are tied to external resources (figures, widgets, files, modules), objects that are
large including their contents, and all objects once the copies together are large.
"""

from __future__ import annotations

import sys
import types
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

T = TypeVar("T")

LARGEST: Final = 200_000_000
"""The maximum size of a copied object, in bytes."""
MOST: Final = 500_000_000
"""The maximum size of all copies together, in bytes."""

_MOST_ITEMS: Final = 1_000_000
_ITEMS_PER_OBJECT: Final = 20
"""Copying an object with contents takes as long as copying this many numbers."""
_PLAIN: Final = frozenset({int, float, complex, bool, type(None), str, bytes})
_TIED: Final = frozenset(
    """matplotlib ipywidgets anywidget traitlets marimo asyncio threading _thread multiprocessing subprocess socket
    sqlite3 sqlalchemy duckdb _io io tkinter concurrent contextvars IPython ipykernel zmq requests bokeh""".split()  # noqa: SIM905  # a list of words
)
_DRAWN: Final = frozenset({"matplotlib", "ipywidgets", "anywidget", "marimo"})
"""Packages whose objects may be copied with what holds them, and the copy would be useless."""
_IN_FORCE: Final = frozenset({("decimal", "Context"), ("mpmath.ctx_mp", "MPContext")})
"""Classes whose instances a library reads where it is asked for nothing: a copy would not be read."""
_UNCHANGING: Final = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
    types.GeneratorType,
)


@dataclass(frozen=True)
class ValueCopy(Generic[T]):
    """A copy of a value, and its approximate size in bytes."""

    value: T
    size: int


def copy_of(value: T, copying: Callable[[T], T], taken: int = 0) -> ValueCopy[T] | None:
    """Return a copy of a value, None if it cannot be copied. `taken`: the bytes of other copies."""
    parts = value if isinstance(value, tuple) else (value,)
    try:
        if any(is_tied(part) or _computes_attributes(part) for part in parts):
            return None
        size = size_of(parts, deep=copying is deepcopy or not _has(value, "copy"))
        return ValueCopy(copying(value), size) if size <= min(LARGEST, MOST - taken) else None
    except Exception:  # noqa: BLE001  # classes of user code may raise anything
        return None


def is_tied(value: object) -> bool:
    """Return whether a value is tied to an external resource, so that a copy would be useless."""
    return isinstance(value, _UNCHANGING) or is_tied_class(type(value))  # type: ignore[arg-type]  # a class can be hashed


def is_drawn(value: object) -> bool:
    """Return whether a value is a figure of matplotlib or a part of one: what has changed it shows there, and nowhere else."""
    return str(type(value).__module__).partition(".")[0] == "matplotlib"


def mapped(value: Any, *, read: bool = False) -> str | None:
    """Return the path of the file that an array is a map of, None for any other value. `read`: also one that cannot be written."""
    if str(type(value).__module__).partition(".")[0] != "numpy":
        return None
    while hasattr(
        type(value), "__array_finalize__"
    ):  # an array; the `base` of a data type is the data type itself
        path = getattr(value, "filename", None)
        if path is not None:
            modes = {"c"} if read else {"r", "c"}  # a copy on write is the array's own
            return None if getattr(value, "mode", "r") in modes else str(path)
        value = getattr(value, "base", None)
    return None


@lru_cache(maxsize=1000)
def is_tied_class(kind: type) -> bool:
    """Return whether instances of a class are tied to an external resource."""
    bases = kind.__mro__[:-1]
    return any(
        str(base.__module__).partition(".")[0] in _TIED or (base.__module__, base.__name__) in _IN_FORCE
        for base in bases
    )


def shares(value: object, others: Iterable[object]) -> bool:
    """Return whether an instance shares contents with one of the others, so that copying it alone would separate them.

    For example, an optimizer holds the parameters of its model. Objects too large to search are assumed to share.
    """
    parts = [part for part in (value if isinstance(value, tuple) else (value,)) if _is_instance(part)]
    if not parts:
        return False
    roots = {id(part) for part in parts}
    held = _reached(parts, set())
    apart = [other for other in others if id(other) not in roots and _is_instance(other)]
    return held is None or any(
        (inside := _reached([other], held)) is None or inside & held for other in apart
    )


def _is_instance(value: object) -> bool:
    return (
        own_attributes(value) is not None
        and not isinstance(value, _UNCHANGING)
        and not _has(value, "__array__")
    )


def _has(value: object, name: str) -> bool:
    """Return whether the class of a value has an attribute. `hasattr` may run code of the class."""
    return any(name in vars(base) for base in type(value).__mro__)


def own_attributes(value: object) -> dict[str, object] | None:
    """Return the `__dict__` of a value, bypassing attribute access of its class."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return own if isinstance(own, dict) else None


def _computes_attributes(value: object) -> bool:
    """Return whether a class of the notebook computes attributes: to copy its instance would ask it for some."""
    return any("__getattr__" in vars(base) and base.__module__ == "__main__" for base in type(value).__mro__)


def _reached(values: Iterable[object], targets: AbstractSet[int]) -> set[int] | None:
    """Return the reached mutable objects, at least until the first of `targets`; None if there are too many."""
    seen: set[int] = set()
    reached: set[int] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Enum) or is_tied(value):
            continue
        if isinstance(value, list | dict | set) or own_attributes(value) is not None or _has(value, "nbytes"):
            reached.add(id(value))
            if id(value) in targets:
                break
        if len(seen) > _MOST_ITEMS // _ITEMS_PER_OBJECT:
            return None
        waiting += _held(value)
    return reached


def size_of(values: Iterable[object], *, deep: bool) -> int:
    """Return an estimate of the size of copies in bytes; more than `LARGEST` if copying takes too long.

    The contents of containers and objects count if copies are `deep`.
    """
    seen: set[int] = set()
    waiting = list(values)
    size, items = 0, 0
    while waiting and size <= LARGEST:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if deep and type(value).__module__.partition(".")[0] in _DRAWN and is_tied_class(type(value)):  # type: ignore[arg-type]  # a class can be hashed
            return LARGEST + 1  # what others draw on as well
        if deep and mapped(value) is not None:
            return LARGEST + 1  # a copy would not be on disk
        size += _own_size(value)
        held = _held(value) if deep else []
        others = [part for part in held if type(part) not in _PLAIN]
        plain = len(held) - len(others)
        items += plain + len(others) * _ITEMS_PER_OBJECT
        if items > _MOST_ITEMS:
            return LARGEST + 1
        size += plain * sys.getsizeof(0)
        waiting += others
    return size


def _own_size(value: Any) -> int:  # of whatever class
    if type(value).__module__.partition(".")[0] == "pandas" and _has(value, "memory_usage"):
        used = value.memory_usage(deep=False)
        return int(used if isinstance(used, int) else used.sum())
    own = value.nbytes if _has(value, "nbytes") else None
    if isinstance(own, int):
        return own
    sizes = next(vars(base)["__sizeof__"] for base in type(value).__mro__ if "__sizeof__" in vars(base))
    return (
        sys.getsizeof(value, 0) if type(sizes) is types.MethodDescriptorType else 0
    )  # a mock would note the call


def _held(value: Any) -> list[object]:  # of whatever class
    """Return the contents that a deep copy of a value also copies, up to what can be copied at all."""
    if isinstance(value, _UNCHANGING) or type(value).__module__.partition(".")[0] == "pandas":
        return []
    held: list[object] = []
    if isinstance(value, dict | list | tuple | set | frozenset):
        if len(value) > _MOST_ITEMS:
            return [*range(_MOST_ITEMS + 1)]
        held += value.values() if isinstance(value, dict) else value
    elif _has(value, "dtype") and getattr(value.dtype, "hasobject", False):
        held += value.tolist()
    held += (own_attributes(value) or {}).values()
    slots = [base.__dict__.get("__slots__", ()) for base in type(value).__mro__]
    for names in slots:
        held += [getattr(value, name, None) for name in ([names] if isinstance(names, str) else names)]
    return held
