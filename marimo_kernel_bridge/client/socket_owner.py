"""Who is behind a Unix socket of this machine.

A name in the file system is no proof of who listens there: another user may have put it into a folder that others can
write to. `port_owner` does the same for ports.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Iterable

_CREDENTIALS: Final = struct.Struct("3i")  # process, user and group, as of ucred in <sys/socket.h>


def why_not_ours(base: str, ports: Iterable[int]) -> str:
    """Return why sockets of ZeroMQ's transport ipc may be another user's, empty if not; `base` is before the numbers.

    The system's own user is no other. Sockets that do not exist are nobody's.
    """
    if sys.platform == "win32":  # there are no user ids
        return ""
    if base.startswith("@"):
        return "any user may listen at its abstract sockets"
    for port in ports:
        path = f"{base}-{port}"
        try:
            status = os.lstat(path)
        except (OSError, ValueError):  # ValueError: a null byte
            continue
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid not in _ours():
            return f"{path} is no socket of this user"
    folder = Path(base).parent
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return ""
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    if shared or status.st_uid not in _ours():
        return f"other users can put sockets into {folder}"
    return ""


def foreign_peer(connection: socket.socket | TransportSocket) -> int | None:
    """Return the id of another user at the other end of a Unix socket, None if there is none or the system does not tell."""
    if sys.platform != "linux":
        return None
    _, user, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return None if user in _ours() else int(user)


def _ours() -> frozenset[int]:
    return frozenset({0, os.getuid()}) if sys.platform != "win32" else frozenset()
