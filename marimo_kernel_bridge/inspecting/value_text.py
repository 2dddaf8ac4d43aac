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
import types
import uuid
import zoneinfo
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
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

_SAFE_STR: Final = (dt.date, dt.timedelta, dt.timezone, decimal.Decimal, complex, range)
_CLOCKS: Final = (dt.datetime, dt.time)
_ZONES: Final = (type(None), dt.timezone, zoneinfo.ZoneInfo)
_DATA: Final = (str, list, tuple, dict, type(None), dt.timedelta, types.GetSetDescriptorType)
_PATHS: Final = (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)
_PARTS_OF_PATHS: Final = ("_str", "_raw_path", "_raw_paths", "_drv", "_root", "_parts", "_tail_cached")
"""Where the versions of Python keep what a path is made of: strings, or lists of them."""
_BRACKETS: Final[tuple[tuple[type, str], ...]] = ((list, "[]"), (tuple, "()"), (set, "{}"), (frozenset, "{}"))


def is_one_of(kind: type, kinds: tuple[type, ...]) -> bool:
    """Return whether `kind` is one of `kinds` itself; `in` would run a metaclass's code."""
    return any(kind is candidate for candidate in kinds)


def class_name(kind: type) -> str:
    """Return a class's qualified name with its module, as set by the class statement."""
    name = str.__str__(type.__dict__["__qualname__"].__get__(kind))  # it may be of a subclass of str
    module = type.__dict__["__module__"].__get__(kind)
    plain = module if type(module) is str and module not in {"builtins", "__main__"} else ""
    return f"{plain}.{name}" if plain else name


def bases(kind: type) -> tuple[type, ...]:
    """Return the class and its bases, in method resolution order."""
    classes: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return classes


def is_class(value: object) -> TypeGuard[type]:
    """Return whether a value is a class, without reading its `__class__`, which may run code."""
    return any(base is type for base in bases(type(value)))


def instance_dict(value: object) -> dict[str, Any]:
    """Return an instance's attributes, bypassing any code of its class; none if it keeps them elsewhere."""
    for base in bases(type(value)):
        descriptor = type.__dict__["__dict__"].__get__(base).get("__dict__")
        if descriptor is not None:
            attributes = descriptor.__get__(value) if type(descriptor) is types.GetSetDescriptorType else None
            return attributes if type(attributes) is dict else {}
    return {}


def library_class(module: str, name: str) -> type | None:
    """Return a class of a module if the module is imported."""
    value = _of_module(module, name)
    return value if is_class(value) else None


def _of_module(module: str, name: str) -> object:
    try:
        return types.ModuleType.__getattribute__(sys.modules[module], "__dict__").get(name)
    except (KeyError, TypeError, AttributeError):  # there is none, or something else in its place
        return None


def is_of_library(kind: type, library: str) -> bool:
    """Return whether a class is one that a module of an imported library has under its name."""
    module, _, name = class_name(kind).rpartition(".")
    return module.partition(".")[0] == library and library_class(module, name) is kind


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
    scalar = _standard_scalar(value) or _library_scalar(value, longest)
    if scalar:
        return shorten(scalar, longest)
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


def is_plain_zone(zone: object) -> bool:
    """Return whether a time zone is one of the standard library, or of pytz: one of the user's runs code when asked."""
    kind = type(zone)
    if is_one_of(kind, _ZONES):
        return True
    of_pytz = [library_class("pytz.tzinfo", name) for name in ("StaticTzInfo", "DstTzInfo")]
    own = type.__dict__["__dict__"].__get__(kind)  # pytz makes a class for each zone, with data only
    return any(bases(kind)[1] is base for base in of_pytz) and all(
        is_one_of(type(part), _DATA) for part in list(own.values())
    )


def _standard_scalar(value: Any) -> str:
    """Return a value of the standard library as text, "" if it is none or holds an object with code of its own."""
    kind = type(value)
    if kind is float or is_one_of(kind, _SAFE_STR):
        return str.__str__(f"{value}")  # a time zone's name may be of a subclass of str
    if is_one_of(kind, _CLOCKS):
        zone = value.tzinfo
        plain = value if is_plain_zone(zone) else value.replace(tzinfo=None)
        return f"{plain}" if plain is value else f"{plain} <{class_name(type(zone))}>"
    if kind is fractions.Fraction and type(value.numerator) is type(value.denominator) is int:
        return f"{value}"
    if kind is uuid.UUID and type(value.int) is int:
        return f"{value}"
    if is_one_of(kind, _PATHS):
        parts = [getattr(value, name, "") for name in _PARTS_OF_PATHS]
        texts = [text for part in parts for text in (part if type(part) is list else [part])]
        return f"{value}" if all(type(text) is str for text in texts) else ""
    return ""


def _library_scalar(value: Any, longest: int) -> str:
    """Return one of NumPy's or pandas' scalars (`numpy.float64`, `Timestamp`) as text, "" for all else.

    What holds other objects (a record, an interval, a time zone) is not one.
    """
    kind = type(value)
    if is_of_library(kind, "numpy"):
        generic, void = library_class("numpy", "generic"), library_class("numpy", "void")
        kinds = bases(kind)
        is_scalar = any(base is generic for base in kinds) and not any(base is void for base in kinds)
        return str.__str__(f"{value}") if is_scalar else ""
    if any(kind is type(_of_module("pandas", name)) for name in ("NaT", "NA")) and value is not None:
        return f"{value}"
    if not any(
        library_class("pandas", name) is kind for name in ("Timestamp", "Timedelta", "Period", "Interval")
    ):
        return ""
    if library_class("pandas", "Interval") is kind:
        ends = f"{value_text(value.left, longest)}, {value_text(value.right, longest)}"
        closed = {"left": "[)", "right": "(]", "both": "[]"}.get(value.closed, "()")
        return f"{closed[0]}{ends}{closed[1]}"
    return f"{value}" if is_plain_zone(getattr(value, "tzinfo", None)) else ""


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
