"""Attributes of which each thread has a value of its own. IPython has one thread, and a kernel with subshells several."""

from __future__ import annotations

import threading
from typing import Generic, Self, TypeVar, overload

_T = TypeVar("_T")


class PerThread(Generic[_T]):
    """An attribute of which each thread sets and gets its own value, `default` before it has set one."""

    def __init__(self, default: _T) -> None:
        self._default = default
        self._key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"{name} of threads"

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> _T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> _T | Self:
        if instance is None:
            return self
        value: _T = getattr(self._values(instance), "value", self._default)
        return value

    def __set__(self, instance: object, value: _T) -> None:
        self._values(instance).value = value

    def _values(self, instance: object) -> threading.local:
        values: threading.local = vars(instance).setdefault(self._key, threading.local())
        return values
