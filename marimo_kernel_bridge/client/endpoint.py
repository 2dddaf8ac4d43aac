"""How a kernel is reached: through its connection file, or through a Jupyter server. The one place that tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.connection import Connection, listens
from marimo_kernel_bridge.client.jupyter_server import ServerKernel
from marimo_kernel_bridge.client.starting_kernels import require_listening
from marimo_kernel_bridge.client.zmq_channels import Channels
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.websocket_channels import ServerChannels

Endpoint = Connection | ServerKernel


def open_channels(endpoint: Endpoint, username: str) -> Channels | ServerChannels:
    """Open the channels to a kernel; must be called in the event loop."""
    if isinstance(endpoint, Connection):
        return Channels(endpoint, username)
    from marimo_kernel_bridge.client.websocket_channels import ServerChannels  # noqa: PLC0415  # Tornado is slow to import

    return ServerChannels(endpoint, username)


async def is_there(endpoint: Endpoint) -> bool:
    """Whether there may be a kernel. False is proof that there is none."""
    if isinstance(endpoint, Connection):
        return await listens(endpoint)
    try:
        return await endpoint.server.has_kernel(endpoint.kernel_id)
    except BridgeError:
        return True  # the server is away for a moment, or for good: the kernel may live


async def why_unreachable(endpoint: Endpoint) -> BridgeError | None:
    """Tell a server that is away from a kernel that is stuck; None if the way to the kernel is open."""
    if isinstance(endpoint, Connection):
        return None
    try:
        await endpoint.server.has_kernel(endpoint.kernel_id)
    except BridgeError as problem:
        return problem
    return None


async def require_there(endpoint: Endpoint, bound: float) -> None:
    """Return if there may be a kernel; wait `bound` seconds for one that is starting.

    Raises `BridgeError`: connection_file_stale, kernel_silent, server_refused.
    """
    if isinstance(endpoint, Connection):
        await require_listening(endpoint, bound)
    elif not await endpoint.server.has_kernel(endpoint.kernel_id):
        raise BridgeError(
            "server_refused",
            f"The Jupyter server at {endpoint.server.url} has no kernel {endpoint.kernel_id}.",
            "It may have ended. Pass the path of the notebook: the server knows its kernel.",
        )
