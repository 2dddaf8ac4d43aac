"""Unix sockets in folders of Jupyter's runtime directory that only their owner can enter.

Whoever can connect to such a socket is this user, and whoever listens on it as well: neither end needs a password.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

from marimo_kernel_bridge.errors import BridgeError

_MAX_SOCKET_PATH: Final = 100  # bytes; the systems' limits are 104 and 108


def private_directory(name: str) -> Path:
    """Return a directory for sockets, made if need be. Raises OSError, or `BridgeError`: bad_request."""
    from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415  # not for a process that is given the path

    directory = Path(jupyter_runtime_dir(), name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if sys.platform == "win32":  # user ids and modes have no meaning on Windows
        return directory
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise BridgeError(
            "bad_request",
            f"{directory} is accessible to other users, so no socket in it is used.",
            "Remove it; the next start creates a new one.",
        )
    return directory


def socket_path(directory: Path, name: str) -> Path:
    """Return the path of a socket. Raises `BridgeError`: bad_request."""
    return bindable(directory / f"{name}.sock")


def bindable(path: Path) -> Path:
    """Return a path that is short enough for a socket. Raises `BridgeError`: bad_request."""
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise BridgeError(
            "bad_request",
            f"The path of Jupyter's runtime directory is too long for a Unix socket: {path}.",
            "Set JUPYTER_RUNTIME_DIR to a shorter path.",
        )
    return path
