"""Detection of kernels that are starting, to tell them from ended ones while nothing listens yet.

A connection file exists before the kernel's process, and remains if the process is killed. A kernel's command line
names its connection file, so a young process that names it is about to listen. Kernels forked by a pool are not
detected: they listen a moment later, except the first one, whose pool has to start.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from marimo_kernel_bridge.client.connection import Connection, listens, stale
from marimo_kernel_bridge.errors import BridgeError

_YOUNG: Final = 60.0  # seconds
_PAUSE: Final = 0.1


def files_of_starting_kernels() -> frozenset[str]:
    """Return the connection files that are named in the command lines of young processes."""
    import psutil  # type: ignore[import-untyped]  # it has no types  # noqa: PLC0415  # rarely needed: most kernels listen already

    named: set[str] = set()
    for process in psutil.process_iter(["create_time"]):
        if time.time() - process.info["create_time"] > _YOUNG:
            continue
        try:
            arguments = process.cmdline()
        except psutil.Error:  # the process has ended, or belongs to another user
            continue
        named.update(
            os.path.realpath(argument)
            for before, argument in zip(["", *arguments], arguments, strict=False)
            if argument.endswith(".json") and before != "--existing"  # a console's
        )
    return frozenset(named)


async def require_listening(connection: Connection, bound: float) -> None:
    """Return as soon as something listens; wait `bound` seconds if the kernel is starting.

    Raises `BridgeError`: connection_file_stale, kernel_silent.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + bound
    while not await listens(connection):
        if connection.where not in await asyncio.to_thread(files_of_starting_kernels):
            raise stale(connection)
        if loop.time() > deadline:
            raise starting(connection)
        await asyncio.sleep(_PAUSE)


def starting(connection: Connection) -> BridgeError:
    """Return the error for a kernel that is not ready yet."""
    return BridgeError(
        "kernel_silent",
        f"The kernel of {connection.path.name} is starting: its process is running, but does not listen yet.",
        "Try again in a few seconds.",
    )
