"""Reading files that somebody else may have put there: regular ones only, up to a size.

A pipe would hold the reader up for ever, and a device fill its memory.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_NOTEBOOK: Final = 200_000_000
"""Bytes of a notebook, or of a file that holds one."""

LONGEST_PATH: Final = 4096
"""Characters of a path that somebody else names: taking one apart takes long with its parts."""


def read_bytes(path: str | Path, most: int) -> bytes:
    """Return the content of a file. Raises `OSError`, also if it is no regular file or has more than `most` bytes."""
    try:
        _require_regular(os.stat(path).st_mode)  # noqa: PTH116  # opening a device may already do something
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
            _require_regular(os.fstat(descriptor).st_mode)
            content = file.read(most + 1)
    except ValueError as error:  # a null byte in the path
        raise OSError(errno.EINVAL, str(error)) from error
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return content


def read_text(path: str | Path, most: int) -> str:
    """Return the text of a UTF-8 file, with line feeds alone. Raises `OSError` as `read_bytes` does, `UnicodeDecodeError`."""
    return read_bytes(path, most).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
