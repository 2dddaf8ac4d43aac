"""The state of this user's running pools, and ending them. Starts none."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from marimo_kernel_bridge.launch.pool.protocol import (
    PROTOCOL,
    PoolRequest,
    PoolState,
    ask,
    is_supported,
    own_directory,
)

if TYPE_CHECKING:
    from pathlib import Path


def running_pools() -> list[PoolState]:
    """Return the pools that answer."""
    return _ask_all(PoolRequest(protocol=PROTOCOL, status=True))


def stop_pools() -> list[PoolState]:
    """Stop all pools from forking kernels, and return their states; each ends when its kernels have."""
    return _ask_all(PoolRequest(protocol=PROTOCOL, stop=True))


def _ask_all(request: PoolRequest) -> list[PoolState]:
    if not is_supported():
        return []
    answers = (_ask(path, request) for path in sorted(own_directory().glob("*.sock")))
    return [state for state in answers if state is not None]


def _ask(path: Path, request: PoolRequest) -> PoolState | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(os.fspath(path))
            return ask(connection, request, PoolState)
        except (OSError, ValueError):
            return None
