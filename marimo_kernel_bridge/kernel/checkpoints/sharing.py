"""Which of the objects that two pickled values reach make them one group: those that can be mutated."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import functools
import pathlib
import pickle
import re
import sys
import types
import uuid
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

_CONSTANT: Final = (
    str,
    bytes,
    int,
    float,
    complex,
    tuple,
    frozenset,
    range,
    slice,
    type,
    types.ModuleType,
    types.CodeType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.GenericAlias,
    type(None),
    type(...),
    type(NotImplemented),
    dt.date,
    dt.time,
    dt.timedelta,
    dt.tzinfo,
    decimal.Decimal,
    fractions.Fraction,
    pathlib.PurePath,
    pickle.PickleBuffer,
    re.Pattern,
    uuid.UUID,
    Enum,
)
_CONSTANT_PACKAGES: Final = frozenset({"pyarrow"})
_CONSTANT_CLASSES: Final = (
    ("numpy", "dtype"),
    ("numpy", "generic"),
    ("numpy", "ufunc"),
    ("pandas", "Index"),
    ("pandas.api.extensions", "ExtensionDtype"),
    ("polars", "DataType"),
)
"""By the module and the name of a class: what no value mutates, or (an index) what frames share without showing it."""
_LONG: Final = 64 * 1024
"""Bytes of a constant that is worth to be kept only once."""


@functools.lru_cache(maxsize=1_000)
def held_by_library(kind: type) -> frozenset[int]:
    """Return the ids of containers that a library's class holds: they are in every instance (`DataFrame._metadata`)."""
    return frozenset(
        id(value)
        for base in kind.__mro__
        if base.__module__ != "__main__"
        for value in vars(base).values()
        if isinstance(value, (list, dict, set))
    )


def can_be_shared(value: object, saved_functions: AbstractSet[int]) -> bool:
    """Return whether values that reach an object show each other its mutations.

    `saved_functions` are the ids of functions that are saved; others are only named.
    """
    kind = type(value)
    if issubclass(kind, types.FunctionType):
        return id(value) in saved_functions
    return not is_constant(kind) and not _is_named(value)  # type: ignore[arg-type]  # a class can be hashed


@functools.lru_cache(maxsize=1_000)
def is_constant(kind: type) -> bool:
    """Return whether nothing mutates the instances of a class, or nobody sees it."""
    if issubclass(kind, _CONSTANT) or kind.__module__.partition(".")[0] in _CONSTANT_PACKAGES:
        return True
    classes = (getattr(sys.modules.get(module), name, None) for module, name in _CONSTANT_CLASSES)
    return any(known is not None and issubclass(kind, known) for known in classes)


def _is_named(value: object) -> bool:
    """Return whether a value is saved as the name of a global (`pandas.NA`)."""
    kind = type(value)
    if kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__:
        return False
    try:
        return isinstance(value.__reduce_ex__(5), str)
    except Exception:  # noqa: BLE001  # a class of the user's
        return False


def is_one_object(value: object) -> bool:
    """Return whether the identity of a constant that two names have is kept, too: it is seen, or it takes memory."""
    if isinstance(value, (str, bytes)):
        return len(value) >= _LONG
    return isinstance(value, (tuple, frozenset)) and bool(value)


def reached_by_class(kind: type, reached: Callable[[object], frozenset[int]]) -> frozenset[int]:
    """Return the ids of what a class of the notebook reaches, except through attributes that its instances can share.

    Instances have their methods in common, which does not make them one value; a list in the class does. `reached`
    returns the ids of what a value reaches.
    """
    if issubclass(kind, Enum):
        return reached(kind)
    shared = [
        value
        for name, value in vars(kind).items()
        if not (name.startswith("__") and name.endswith("__")) and not _is_of_class(value)
    ]
    return reached(kind) - reached(shared)


def _is_of_class(value: object) -> bool:
    return isinstance(value, (types.FunctionType, type, property, classmethod, staticmethod)) or hasattr(
        type(value), "__get__"
    )
