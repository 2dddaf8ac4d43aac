"""Reading files that somebody else may have put there: regular ones only, up to a size.

A pipe would hold the reader up forever, and a device fill its memory.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_NOTEBOOK: Final = 200_000_000
"""Bytes of a notebook, or of a file that holds one."""

LONGEST_PATH: Final = 4096
"""Characters of a path that somebody else names: taking one apart takes long with its parts."""


@contextmanager
def pinned(path: Path, root: Path | None) -> Iterator[Path]:
    """Yield a way to a place in `root` that nobody can turn elsewhere meanwhile: by its folder, which is open. None: the path as it is.

    For paths that code in a sandbox may change: it runs on Linux alone. Raises `BridgeError`: not_allowed, bad_request.
    """
    if root is None:
        yield path
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, ValueError) as error:
        raise BridgeError("bad_request", f"There is no folder for {path}.") from error
    try:
        real = os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115  # once for each write
        if not Path(real).is_relative_to(os.path.realpath(root)):
            raise BridgeError("not_allowed", f"{path} is not in {root}; nothing was done.")
        here = Path(f"/proc/self/fd/{folder}", path.name)
        try:
            yield here
        except BridgeError as refusal:
            message = refusal.message.replace(str(here), str(path))
            raise BridgeError(refusal.code, message, refusal.hint) from refusal
    finally:
        os.close(folder)


def read_bytes(path: str | Path, most: int, *, links: bool = True) -> bytes:
    """Return the content of a file. Raises `OSError`, also if it is no regular file or has more than `most` bytes.

    `links`: it may be a link.
    """
    try:
        # Opening a device may already do something.
        _require_regular(os.stat(path, follow_symlinks=links).st_mode)  # noqa: PTH116
        follow = 0 if links else getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | follow)
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


def is_file(path: str | Path) -> bool:
    """Whether there is a file. Not either where that cannot be said, and `Path` raises: below a closed folder, by too long a name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder, as `is_file` says it."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: str | Path) -> bool:
    """Whether there is anything, as `is_file` says it."""
    return os.path.exists(path)  # noqa: PTH110


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
