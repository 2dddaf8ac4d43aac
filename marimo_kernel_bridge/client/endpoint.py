"""The endpoint of a kernel: a connection file, a Jupyter server, or a notebook in marimo's own editor.

Only this module distinguishes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.client.jupyter_server import ServerKernel
from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.channels import Channels

Endpoint = Connection | ServerKernel | MarimoNotebook


def needs_no_secret(endpoint: Endpoint) -> bool:
    """Whether this process reaches a kernel with what this user's files and settings say, and no token that a caller gave."""
    return not isinstance(endpoint, ServerKernel) or endpoint.server.needs_no_secret


def open_channels(endpoint: Endpoint, username: str) -> Channels:
    """Open the channels to a kernel; must be called in the event loop."""
    match endpoint:
        case Connection():
            from marimo_kernel_bridge.client.zmq_channels import ZmqChannels  # noqa: PLC0415  # only the transport in use is imported

            return ZmqChannels(endpoint, username)
        case ServerKernel():
            from marimo_kernel_bridge.client.websocket_channels import WebsocketChannels  # noqa: PLC0415  # Tornado is slow to import

            return WebsocketChannels(endpoint, username)
        case MarimoNotebook():
            from marimo_kernel_bridge.client.marimo_editor.channels import MarimoChannels  # noqa: PLC0415  # likewise

            return MarimoChannels(endpoint, username)
        case _:
            assert_never(endpoint)
