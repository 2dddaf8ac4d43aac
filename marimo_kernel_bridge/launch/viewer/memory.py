"""A process of ours that takes little memory: what it has freed is given back to the system when it has nothing to do.

The C library keeps what is freed between things that are still used, in each of its arenas: after imports and after queries
some megabytes. Where it is another one than glibc, nothing happens here.
"""

from __future__ import annotations

import ctypes
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ARENA_MAX: Final = -8  # of malloc.h
_WORK: Final = 0.02
"""Seconds of a processor between two looks from which on the process is at work."""


def have_one_arena() -> None:
    """Have all threads share what is freed. To be called before there are threads; DuckDB's large blocks are not from here."""
    with _elsewhere():
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give back what is freed."""
    with _elsewhere():
        ctypes.CDLL(None).malloc_trim(0)


def _elsewhere() -> suppress:
    return suppress(AttributeError, OSError, TypeError)  # musl and macOS; Windows has no library of this name


class Rests:
    """Gives memory back once after each time of work. To be looked at from time to time."""

    def __init__(
        self, act: Callable[[], object] = give_back, clock: Callable[[], float] = time.process_time
    ) -> None:
        """`clock` counts the processor time of this process."""
        self._act = act
        self._clock = clock
        self._seen = 0.0
        self._has_worked = False

    def look(self) -> None:
        now = self._clock()
        works, self._seen = now - self._seen > _WORK, now
        if not works and self._has_worked:
            self._act()
            self._seen = self._clock()
        self._has_worked = works
