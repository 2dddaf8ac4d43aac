"""Values as text without running any of their code: no `str`, `repr`, `len`, `==` or attribute of an unknown object.

An object's methods may be slow, print, raise, or change the notebook's state without the graph knowing; inspecting a
variable must have no such effect. So only instances of exact builtin types, and of a few from the standard library,
NumPy and pandas, are formatted; any other object is represented by the name of its class.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import itertools
import pathlib
import sys
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

LONGEST: Final = 200
"""Characters of one value."""

_READ: Final = 20_000
"""Characters of a longer text that are looked at before it is shortened."""

_pass_through: ContextVar[Callable[[str], str]] = ContextVar("_pass_through", default=str)


@contextmanager
def texts_passed_through(function: Callable[[str], str]) -> Iterator[None]:
    """Within this block, apply a function to texts before they are shortened: half of a secret is not known as one."""
    token = _pass_through.set(function)
    try:
        yield
    finally:
        _pass_through.reset(token)


_MOST_ITEMS: Final = 8
_DEEPEST: Final = 2
_MOST_BITS: Final = 2000  # of an int: conversion to decimal takes quadratic time

_SAFE_STR: Final = (
    dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, complex, range,
)  # fmt: skip
_BRACKETS: Final[tuple[tuple[type, str], ...]] = ((list, "[]"), (tuple, "()"), (set, "{}"), (frozenset, "{}"))
_LIBRARY_SCALARS: Final = ("numpy", "pandas")


def is_one_of(kind: type, kinds: tuple[type, ...]) -> bool:
    """Return whether `kind` is one of `kinds` itself; `in` would run a metaclass's code."""
    return any(kind is candidate for candidate in kinds)


def class_name(kind: type) -> str:
    """Return a class's qualified name with its module, as set by the class statement."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    plain = module if type(module) is str and module not in {"builtins", "__main__"} else ""
    return f"{plain}.{name}" if plain else str(name)


def bases(kind: type) -> tuple[type, ...]:
    """Return the class and its bases, in method resolution order."""
    classes: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return classes


def library_class(module: str, name: str) -> type | None:
    """Return a class of a module if the module is imported."""
    value = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return value if type(value) is type or isinstance(value, type) else None


def value_text(value: object, longest: int = LONGEST, depth: int = 0) -> str:
    """Return a value as text, or the name of its class in angle brackets."""
    kind = type(value)
    if value is None or value is True or value is False or value is ...:
        return "..." if value is ... else f"{value}"
    if kind is int:
        bits = int.bit_length(value)  # type: ignore[arg-type]  # narrowed by its exact type
        return f"{value}" if bits <= _MOST_BITS else f"<int of {bits} bits>"
    if kind is str or kind is bytes:
        return _quoted(value, longest)  # type: ignore[arg-type]  # its exact type is known
    if kind is float or is_one_of(kind, _SAFE_STR) or _is_library_scalar(kind):
        return shorten(f"{value}", longest)
    if is_one_of(kind, (list, tuple, set, frozenset, dict)) and depth < _DEEPEST:
        return shorten(_container_text(value, longest, depth), longest)
    return f"<{class_name(kind)}>"


def shorten(text: str, longest: int = LONGEST) -> str:
    """Shorten text to a length."""
    if len(text) > longest:
        text = _pass_through.get()(text[:_READ])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _quoted(value: str | bytes, longest: int) -> str:
    if len(value) <= longest:
        return repr(value)
    written = repr(value[:_READ])
    passed = _pass_through.get()(written)
    shown = repr(value[:longest]) if passed == written else shorten(passed, longest)
    return f"{shown}… ({len(value)} in all)"


def _container_text(value: Any, longest: int, depth: int) -> str:  # an exact builtin container
    items = first_items(value, _MOST_ITEMS)
    if type(value) is dict:
        texts = [
            f"{value_text(key, longest, depth + 1)}: {value_text(item, longest, depth + 1)}"
            for key, item in items
        ]
        brackets = "{}"
    else:
        texts = [value_text(item, longest, depth + 1) for item in items]
        brackets = next(pair for container, pair in _BRACKETS if container is type(value))
    more = len(value) - len(items)
    inside = ", ".join([*texts, *([f"… {more} more"] if more > 0 else [])])
    return f"{brackets[0]}{inside}{brackets[1]}"


def first_items(value: Any, most: int, offset: int = 0) -> list[Any]:  # an exact builtin container
    """Return items of a builtin container, pairs for a dict. Iteration runs no code of the items."""
    source = value.items() if type(value) is dict else value
    return list(itertools.islice(source, offset, offset + most))


def _is_library_scalar(kind: type) -> bool:
    """Return whether a class is one of NumPy's or pandas' scalars (`numpy.float64`, `Timestamp`), by identity."""
    module, _, name = class_name(kind).rpartition(".")
    if module.partition(".")[0] not in _LIBRARY_SCALARS:
        return False
    library = module.partition(".")[0]
    if library == "numpy":
        generic = library_class("numpy", "generic")
        return library_class("numpy", name) is kind and any(base is generic for base in bases(kind))
    scalars = ("Timestamp", "Timedelta", "Period", "Interval")
    missing = ("NaTType", "NAType")
    return any(library_class("pandas", scalar) is kind for scalar in scalars) or name in missing


def describe_function(function: types.FunctionType) -> str:
    """Return a function's parameters, from its code object."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames[: code.co_argcount])
    stars = code.co_varnames[count : count + 2]
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        names.append(f"*{stars[0]}")
    elif code.co_kwonlyargcount:
        names.append("*")
    names += code.co_varnames[code.co_argcount : count]
    if code.co_flags & 0x08:  # inspect.CO_VARKEYWORDS
        names.append(f"**{stars[-1] if not code.co_flags & 0x04 else stars[1]}")
    return f"({', '.join(names)})"
