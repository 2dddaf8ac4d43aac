"""Files of notebooks that are written whole or not at all, with the mode that they should have."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from pathlib import Path

DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errors of a disk, or of this user's part of it, that has no room."""


def existing(target: Path) -> BridgeError:
    """Return the error for a file that must not be overwritten."""
    return BridgeError("output_exists", f"{target} exists.", "Name another file with -o, or pass --force.")


def write_whole(target: Path, content: str | bytes, *, overwrite: bool, like: Path | None = None) -> None:
    """Write a file atomically: the content goes to a neighboring file, which is then renamed.

    What is replaced keeps its mode. A new file, which its owner may write, is for nobody else who
    may not read or write the file `like`, whose content it repeats.
    Raises `BridgeError`: output_exists, disk_full, bad_request.
    """
    neighbor = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    kept = _mode_of(target) if overwrite else None
    most = _mode_of(like) if like is not None else None
    try:
        neighbor.unlink(missing_ok=True)  # of a process with this id that was killed
        try:
            with _new_file(neighbor, 0o666 if most is None else (most | 0o600) & 0o666) as file:
                file.write(content.encode() if isinstance(content, str) else content)
            if kept is not None:
                neighbor.chmod(kept)
            if overwrite:
                neighbor.replace(target)
            else:
                os.link(neighbor, target)  # unlike a rename, fails if the target exists by now
        finally:
            neighbor.unlink(missing_ok=True)
    except FileExistsError as error:
        raise existing(target) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise BridgeError(
                "disk_full",
                f"There is no room for {target}; it is as it was.",
                "Ask the person to free space, then call again.",
            ) from error
        reason, hint = str(error), "Name another file with -o."
        if isinstance(error, OSError):
            reason = error.strerror or reason
            if error.filename2 is not None and not overwrite:
                hint = "This file system has no hard links: pass --force, or name another file with -o."
        raise BridgeError("bad_request", f"{target} cannot be written: {reason}.", hint) from error


def _new_file(path: Path, mode: int) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")  # noqa: PTH123  # with a mode


def _mode_of(path: Path) -> int | None:
    """Return who may read and write a file; None if there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode) & 0o777
    except (OSError, ValueError):
        return None
