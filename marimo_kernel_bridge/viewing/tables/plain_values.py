"""Values of any library as Python's own, which all that shows them then tells apart without running code of theirs.

What a class is, and what is in an object of it, is found past its own methods: `isinstance` asks an object for its class, which a
proxy answers by code, and a class is hashed by code of its metaclass. An object of another class becomes a `Text` with its name.
"""

from __future__ import annotations

import datetime as dt
import operator
import sys
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.dtypes import is_plain_arrow
from marimo_kernel_bridge.inspecting.value_text import (
    class_name,
    instance_dict,
    is_of_library,
    is_one_of,
    is_plain_zone,
    library_class,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ARRAY_MAX: Final = 1_000_000
"""Items of an array in a cell."""
_MOST_CLASSES: Final = 1000


class Text:
    """Stands for a value that is shown as a text: that of an identifier, a path or a fraction, or the name of its class."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def plain(value: Any) -> Any:
    """Return the value as one of Python's own or a `Text`; a missing one of a library as None."""
    kind = type(value)
    if is_builtin(kind):
        return value
    known = _known.get(id(kind))
    if known is None or known[0] is not kind:
        if len(_known) > _MOST_CLASSES:  # of a notebook that makes classes without end
            _known.clear()
        known = _known[id(kind)] = kind, _conversion(kind)
    return known[1](value)


def is_plain_kind(kind: type) -> bool:
    """Return whether values of a class are as they are for pandas, too, which asks others by their code what they are."""
    return is_builtin(kind) or is_one_of(kind, _PLAIN)


def is_builtin(kind: type) -> bool:
    """Return whether a class is one of Python's own whose values are as they are."""
    return type(kind) is type and kind in _PYTHONS


_PYTHONS: Final = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple})
_known: dict[int, tuple[type, Callable[[Any], Any]]] = {}
"""How values of a class are converted, by the identity of the class, which is held so that no other has it."""


def _conversion(kind: type) -> Callable[[Any], Any]:
    for library, conversion in _LIBRARIES.items():
        if library in sys.modules and is_of_library(kind, library):
            return conversion(kind)
    if is_one_of(kind, _AS_THEY_ARE):
        return _itself
    for base, own in _BASES:
        if issubclass(kind, base):
            return own
    return _text


def _itself(value: Any) -> Any:
    return value


def _missing(_: Any) -> None:
    return None


def _text(value: Any) -> Text:
    """Return the text of an identifier, a path or a fraction, else the name of the class."""
    return Text(value_text(value, sys.maxsize))


def _named(value: Any) -> Text:
    return Text(f"<{class_name(type(value))}>")


# -- of libraries: each returns how values of one of its classes are converted ----------------------------------------------


def _of_pandas(kind: type) -> Callable[[Any], Any]:
    def moment(value: Any) -> Any:
        return value if is_plain_zone(value.tzinfo) else _named(value)

    known: dict[str, Callable[[Any], Any]] = {
        "NaTType": _missing,
        "NAType": _missing,
        "Timestamp": moment,
        "Timedelta": _itself,
        "Period": str,
        "Interval": lambda value: value_text(value, sys.maxsize),
    }
    return known.get(_last(kind), _named)


def _of_numpy(kind: type) -> Callable[[Any], Any]:
    generic = library_class("numpy", "generic")
    if _last(kind) in {"datetime64", "timedelta64"}:
        return _count_of_numpy
    if _last(kind) == "ndarray":
        return lambda value: (value if value.size <= _ARRAY_MAX else value.ravel()[:_ARRAY_MAX]).tolist()
    return operator.methodcaller("item") if generic is not None and issubclass(kind, generic) else _named


def _count_of_numpy(value: Any) -> str | None:
    text = str(value)
    return None if text == "NaT" else text


def _of_polars(kind: type) -> Callable[[Any], Any]:
    return operator.methodcaller("to_list") if _last(kind) == "Series" else _named


def _of_pyarrow(kind: type) -> Callable[[Any], Any]:
    scalar = library_class("pyarrow.lib", "Scalar")
    if scalar is None or not issubclass(kind, scalar):
        return _named
    return lambda value: value.as_py() if is_plain_arrow(value.type) else _named(value)


def _last(kind: type) -> str:
    return class_name(kind).rpartition(".")[2]


_LIBRARIES: Final[dict[str, Callable[[type], Callable[[Any], Any]]]] = {
    "pandas": _of_pandas,
    "numpy": _of_numpy,
    "polars": _of_polars,
    "pyarrow": _of_pyarrow,
}


# -- of Python: values of its own classes, and what is in those of classes made of them --------------------------------------


def _moment(value: Any) -> Any:
    zone = dt.datetime.tzinfo.__get__(value)
    if not is_plain_zone(zone):
        return _named(value)
    if type(value) is dt.datetime:
        return value
    date, clock = _date(value), [getattr(dt.datetime, name).__get__(value) for name in _CLOCK]
    made = dt.datetime.combine(date, dt.time(*clock), zone)
    return made.replace(fold=dt.datetime.fold.__get__(value))


def _time(value: Any) -> Any:
    zone = dt.time.tzinfo.__get__(value)
    if not is_plain_zone(zone):
        return _named(value)
    clock = [getattr(dt.time, name).__get__(value) for name in _CLOCK]
    made = dt.time(*clock).replace(tzinfo=zone, fold=dt.time.fold.__get__(value))
    return value if type(value) is dt.time else made


def _date(value: Any) -> dt.date:
    return dt.date(*(getattr(dt.date, name).__get__(value) for name in _DATE))


def _duration(value: Any) -> dt.timedelta:
    return dt.timedelta(*(getattr(dt.timedelta, name).__get__(value) for name in _SPAN))


_DATE: Final = ("year", "month", "day")
_CLOCK: Final = ("hour", "minute", "second", "microsecond")
_SPAN: Final = ("days", "seconds", "microseconds")


def _name_of_member(member: Any) -> Any:
    name = instance_dict(member).get("_name_")
    return name if type(name) is str else _named(member)


def _pairs(value: Any) -> Any:
    """Return what is in a dictionary of a class of others, as one of Python's own."""
    items = list(dict.items(value))
    if all(is_one_of(type(key), (str, int, float, bool, type(None), bytes)) for key, _ in items):
        return dict(items)
    return _named(value)  # keys of other classes are hashed by code of theirs


_AS_THEY_ARE: Final = (Decimal, dt.date, dt.timedelta, complex, bytearray, memoryview, set, frozenset, Text)
_PLAIN: Final = (Decimal, dt.date, dt.timedelta)
_WHOLE: Final = slice(None)
_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (Enum, _name_of_member),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes.__getitem__(value, _WHOLE)),
    (bytearray, lambda value: bytearray.__getitem__(value, _WHOLE)),
    (list, list.copy),
    (tuple, lambda value: tuple.__getitem__(value, _WHOLE)),
    (dict, _pairs),
    (set, lambda value: list(set.__iter__(value))),
    (frozenset, lambda value: list(frozenset.__iter__(value))),
    (Decimal, Decimal),
    (dt.datetime, _moment),
    (dt.date, _date),
    (dt.time, _time),
    (dt.timedelta, _duration),
)
"""How values of a class that is made of one of these are converted, whose own methods might do anything. A datetime is a date."""
