"""Whether a kernel is surely in no sandbox: by who started it, and not by what it says alone, because its code can have it say anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.connection import Connection

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached


async def is_surely_open(attached: Attached) -> bool:
    """Return whether a kernel of this machine may know what this process does.

    That is one that a session or this server, or a Jupyter server by an installed kernelspec, has started without a sandbox, and that says the
    same. Raises `BridgeError` if it does not answer.
    """
    connection = attached.client.connection
    if not isinstance(connection, Connection) or not connection.here:
        return False
    if (await attached.client.reads.describe()).sandbox:  # also one that this version cannot read
        return False
    from marimo_kernel_bridge.launch.kernelspecs import asks_for_sandbox  # noqa: PLC0415  # a server starts without jupyter_client

    asks = await asyncio.to_thread(asks_for_sandbox, connection.kernel_name)
    if attached.started_with is not None:
        return attached.started_with.sandbox is None and not asks
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    return asks is False and connection.kernel_id in await notebooks_by_kernel()
