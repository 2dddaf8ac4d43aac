"""The streams and other open descriptors of the processes of a sandbox."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator


@contextmanager
def errors_told() -> Iterator[int]:
    """Keep stderr, under the number that is yielded, for what is said after an exception; close it before code runs in the sandbox."""
    log = os.dup(2)
    try:
        yield log
    except BaseException:
        os.dup2(log, 2)
        raise
    finally:
        os.close(log)


def leave_streams(kept: Collection[int] | None = None) -> None:
    """Keep no stream of the program that started the kernel but its log; with `kept`, no other descriptor but these, either.

    Its output may be a protocol of its own. A terminal can be read, too: the person types there. The mode and the times of
    a file can be changed by its descriptor, and it lies outside.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if os.isatty(2) or stat.S_ISREG(os.fstat(2).st_mode):
        os.dup2(nothing, 2)
    os.dup2(2, 1)
    if kept is not None:
        for descriptor in set(opened_here()) - {0, 1, 2, nothing, *kept}:
            with suppress(OSError):  # that of the list itself
                os.fstat(descriptor)
                # Not closed: what Python's start has opened may be written to, when the number is that of something else.
                os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def close_all_but(kept: Container[int], opened: Iterable[int] | None = None) -> None:
    """Close all descriptors of this process but some, and but its standard streams.

    `opened` are those that it has, for a process that /proc may not show.
    """
    for descriptor in opened_here() if opened is None else opened:
        if descriptor > 2 and descriptor not in kept:  # noqa: PLR2004  # stderr
            with suppress(OSError):  # that of the list itself
                os.close(descriptor)


def opened_here() -> list[int]:
    """Return the descriptors of this process, and that of the list itself."""
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # numbers
