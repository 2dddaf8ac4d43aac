"""Files that only this user may read and write: reading none of anybody else, and writing them whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTIAL: Final = ".partial-"
"""What the names of files begin with that are being written."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def open_own(path: Path) -> int:
    """Return a descriptor to read a file that is this user's alone.

    Raises `BridgeError`: checkpoint_foreign, checkpoint_broken if it cannot be read; `FileNotFoundError`.
    """
    # O_NONBLOCK: opening a fifo of that name must not block before fstat reports its type.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise foreign(path, "it is a symbolic link") from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise foreign(path, "this user may not read it") from error
        raise broken(path, error.strerror or str(error)) from error
    try:
        _judge(path, os.fstat(descriptor), stat.S_ISREG, 0o077)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_own(path: Path) -> bytes:
    """Return the content of a file that is this user's alone. Raises as `open_own` does."""
    with os.fdopen(open_own(path), "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise broken(path, error.strerror or str(error)) from error


def judge_folder(folder: Path) -> None:
    """Refuse a folder that belongs to another user or that others can write to. One that is missing is right."""
    try:
        status = folder.stat()
    except OSError:
        return
    _judge(folder, status, stat.S_ISDIR, 0o022)


def _judge(path: Path, status: os.stat_result, is_right: Callable[[int], bool], forbidden: int) -> None:
    if not is_right(status.st_mode):
        raise foreign(path, "it is not a regular file or folder")
    if sys.platform == "win32":  # user ids and modes have no meaning there
        return
    if status.st_uid != os.getuid():
        raise foreign(path, f"it belongs to user id {status.st_uid}, but this process runs as {os.getuid()}")
    if status.st_mode & forbidden:
        can: Literal["read", "write to"] = "read" if forbidden & 0o044 else "write to"
        raise foreign(path, f"other users can {can} it (mode {stat.S_IMODE(status.st_mode):o})")


def foreign(path: Path, reason: str) -> BridgeError:
    """Return the error for a file that is another's, or open to others."""
    return BridgeError(
        "checkpoint_foreign",
        f"{path} is not used: {reason}.",
        "Restore a checkpoint of your own, or run the cells.",
    )


def broken(path: Path, reason: str) -> BridgeError:
    """Return the error for a file of a checkpoint that is not what was saved."""
    return BridgeError(
        "checkpoint_broken",
        f"The checkpoint cannot be restored: {path}: {reason}.",
        "Restore another one, or run the cells.",
    )


def deleted_meanwhile(folder: Path) -> BridgeError:
    """Return the error for a checkpoint of which files were deleted while it was written."""
    return BridgeError(
        "not_writable",
        f"The checkpoint is not saved: files of it were deleted in {folder} while it was written.",
        "Save again.",
    )


@contextmanager
def refusing(folder: Path) -> Iterator[None]:
    """Turn errors of writing below a folder into `BridgeError`: disk_full, not_writable."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise BridgeError(
                "disk_full",
                f"The checkpoint is not saved: {folder}: {reason}. Earlier checkpoints are unchanged.",
                "Free space there, or delete checkpoints (marimo-kernel-bridge checkpoints).",
            ) from error
        raise BridgeError(
            "not_writable",
            f"The checkpoint is not saved: {error.filename or folder}: {reason}.",
            "Make the folder writable, or name another one in MARIMO_KERNEL_BRIDGE_CHECKPOINTS.",
        ) from error


def new_partial(folder: Path) -> tuple[int, Path]:
    """Return the descriptor and the path of a new file in a folder, which is there only while it is written."""
    path = folder / f"{PARTIAL}{os.getpid()}-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o600), path


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write bytes, however many the system takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_whole(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file whole or not at all. Raises `OSError`: `FileExistsError` if it exists and must not be replaced."""
    descriptor, partial = new_partial(path.parent)
    try:
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if replace:
            partial.replace(path)
        else:
            os.link(partial, path)  # unlike a rename, fails if the file exists by now
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a loss of power, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
