"""Locks of files that the system releases when their holder ends."""

from __future__ import annotations

import errno
import sys
from typing import Final

_NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""The errors of file systems that have no locks, as some of a network."""


def take(descriptor: int) -> None:
    """Lock an open file until it is closed. Raises `OSError` if somebody else has it."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  # on Windows only

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415  # not on Windows

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
