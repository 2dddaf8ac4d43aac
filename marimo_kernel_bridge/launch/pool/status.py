"""The pools of warm kernels that run for this user: looking at them, and ending them. Starts none."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.launch.pool.protocol import ask, is_supported, own_directory

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class PoolState:
    """A pool as it described itself.

    `modules` is how many it has imported, `forked` how many kernels it made, `trouble` why it makes none ("": it does).
    """

    pid: int
    python: str
    preload: tuple[str, ...]
    modules: int
    kernels: tuple[int, ...]
    forked: int
    trouble: str


def running_pools() -> list[PoolState]:
    """Return the pools that answer."""
    return _ask_all("status")


def stop_pools() -> list[PoolState]:
    """Let pools fork no more kernels; each ends when its kernels have."""
    return _ask_all("stop")


def _ask_all(question: Literal["status", "stop"]) -> list[PoolState]:
    if not is_supported():
        return []
    answers = (_ask(path, question) for path in sorted(own_directory().glob("*.sock")))
    return [state for state in answers if state is not None]


def _ask(path: Path, question: str) -> PoolState | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(os.fspath(path))
            reply = ask(connection, {question: True})
        except (OSError, ValueError):
            return None
    if "pid" not in reply:  # it came to its end just then
        return None
    return PoolState(
        pid=reply["pid"],
        python=reply["python"],
        preload=tuple(reply["preload"]),
        modules=reply["modules"],
        kernels=tuple(reply["kernels"]),
        forked=reply["forked"],
        trouble=reply.get("trouble", ""),  # a pool of an earlier version does not tell
    )
