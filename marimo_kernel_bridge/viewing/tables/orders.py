"""The row ids of the newest queries, in their order, so that each page of one query need not compute them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT: Final = 4
T = TypeVar("T")


class Orders(Generic[T]):
    """What was computed for the newest keys. Two threads that ask for one key at once may both compute it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, T] = OrderedDict()

    def known(self, key: str) -> T | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: str, value: T) -> T:
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return value

    def get(self, key: str, compute: Callable[[], T]) -> T:
        known = self.known(key)
        return known if known is not None else self.put(key, compute())

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
