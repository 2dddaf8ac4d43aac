"""A process of ours that takes little memory: what it does not need is given back to the system when it has nothing to do.

The C library keeps what is freed between things that are still used, in each of its arenas: after imports and after queries
some megabytes. Where it is another one than glibc, nothing happens here.

Half of the process are pages of DuckDB's program, which the system keeps as the file has them, and maps again when they are used.
On Linux they are unmapped, so that the system may take them for others at once.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_ARENA_MAX: Final = -8  # of malloc.h
_DATABASE: Final = "_duckdb"
_FIELDS: Final = 5
"""After the address of a mapping that has a file."""
_WORK: Final = 0.02
"""Seconds of a processor between two looks from which on the process is at work."""


def have_one_arena() -> None:
    """Have all threads share what is freed. To be called before there are threads; DuckDB's large blocks are not from here."""
    with _elsewhere():
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give back what is freed, and the pages of DuckDB's program."""
    with _elsewhere():
        ctypes.CDLL(None).malloc_trim(0)
    module = sys.modules.get(_DATABASE)
    if module is not None and module.__file__ and sys.platform == "linux":
        with _elsewhere():
            unmap_program(str(Path(module.__file__).resolve()))  # as the system names what is mapped


def unmap_program(file: str) -> None:
    """Unmap the pages of a library that nothing has changed. It is loaded: nothing of it is about to be written."""
    library = ctypes.CDLL(None)
    library.madvise.argtypes = ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
    with Path("/proc/self/smaps").open(encoding="utf-8", errors="replace") as mappings:
        for start, end in unchanged_parts(mappings, file):
            library.madvise(start, end - start, mmap.MADV_DONTNEED)


def unchanged_parts(mappings: Iterable[str], file: str) -> Iterator[tuple[int, int]]:
    """Return from where to where parts of a file are mapped that nobody may write, and that are as the file has them.

    A part that was written before it was closed to writing, as the loader does with addresses, has pages of its own, which exist nowhere else.
    """
    start = end = 0
    for line in mappings:
        first, *fields = line.split()
        if not first.endswith(":"):
            start, end = (int(one, 16) for one in first.split("-"))
            path = line.split(maxsplit=5)[5].strip() if len(fields) >= _FIELDS else ""
            if path != file or "w" in fields[0] or not fields[0].endswith("p"):
                start = end = 0
        elif first == "Anonymous:" and end:
            if fields[0] == "0":
                yield start, end
            start = end = 0


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
