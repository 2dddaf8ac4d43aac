"""Small files that only their owner can read.

Written atomically, with mode 0600 from the first moment on. A file that others could reach is refused, not repaired: they
may have read it already, or written it.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST: Final = 1024


def replace(path: Path, text: str) -> None:
    """Write a file, in place of one that may be there. Raises `BridgeError`: bad_request."""
    with _refused(path), _written(path, text) as temporary:
        temporary.replace(path)


def read_or_make(path: Path, new: Callable[[], str]) -> str:
    """Return a file's text without white space around it; if there is no file, make it with the text that `new` returns.

    If another process makes it at the same time, both return the same. Raises `BridgeError`: bad_request.
    """
    with _refused(path):
        if not os.path.lexists(path):
            with _written(path, new()) as temporary, suppress(FileExistsError):
                path.hardlink_to(temporary)  # publishes it with its content, or fails if the name exists
        return _read(path)


def read(path: Path) -> str | None:
    """Return a file's text without white space around it; None if there is none. Raises `BridgeError`: bad_request."""
    with _refused(path):
        return _read(path) if os.path.lexists(path) else None


def unusable(path: Path, why: str) -> BridgeError:
    return BridgeError(
        "bad_request", f"{path} is not used: {why}.", "Delete the file: the next start makes a new one."
    )


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"{path} cannot be used: {error.strerror}.",
            "Set JUPYTER_DATA_DIR and JUPYTER_RUNTIME_DIR to folders that you can write to.",
        ) from error


@contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # with mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{text}\n")
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _read(path: Path) -> str:
    # O_NONBLOCK: opening a fifo of that name must not block before fstat reports its type.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _judge(path, os.fstat(file.fileno()))
        return file.read(_LONGEST + 1).decode("ascii", "replace").strip()


def _judge(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise unusable(path, "it is not a regular file")
    if sys.platform == "win32":  # user ids and modes have no meaning on Windows
        return
    if status.st_uid != os.getuid():
        raise unusable(path, f"it belongs to user id {status.st_uid}, and we run as {os.getuid()}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise unusable(path, f"other users can reach it (mode {stat.S_IMODE(status.st_mode):o})")
