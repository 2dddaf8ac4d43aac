"""`mcp --connect`: this process's stdin and stdout, joined to this user's running server.

MCP clients start it as a server over stdio. It moves bytes and understands none. It reaches the server by a socket in a
folder that only this user can enter, so it sends no token, and nobody else can listen in the server's place; on Linux the system says who does.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.socket_owner import foreign_peer
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.transport.run_files import RunFiles

_STDIN, _STDOUT = 0, 1
_CHUNK: Final = 64 * 1024


def join(files: RunFiles, start: str) -> None:
    """Move messages until the client or the server ends. `start` is the command that starts the server.

    Raises `BridgeError`: bad_request, if no server runs, or it ends before the client does.
    """
    server = files.connected()
    if server is None:
        raise BridgeError("bad_request", "No MCP server of yours runs.", f"Start it, and let it run: {start}")
    with server:
        if (user := foreign_peer(server)) is not None:
            raise BridgeError(
                "bad_request", f"User id {user} listens at {files.socket_file}; nothing was sent."
            )
        client_ended = threading.Event()
        threading.Thread(target=_send, args=(server, client_ended), daemon=True).start()
        try:
            _receive(server)
        except BrokenPipeError:  # the client has ended, and reads no more
            return
    if not client_ended.is_set():
        raise BridgeError(
            "bad_request",
            "The MCP server has ended, or refused a message.",
            f"If it has ended, start it; then connect again: {start}",
        )


def _receive(server: socket.socket) -> None:
    """Write what the server sends, until it ends. Raises BrokenPipeError, if the client has ended."""
    while data := _received(server):
        while data:
            data = data[os.write(_STDOUT, data) :]


def _received(server: socket.socket) -> bytes:
    try:
        return server.recv(_CHUNK)
    except ConnectionResetError:  # it ended with messages unread
        return b""


def _send(server: socket.socket, ended: threading.Event) -> None:
    """Send what the client writes, until it or the server ends."""
    with suppress(OSError):  # the server has ended, which the other direction tells
        while data := os.read(_STDIN, _CHUNK):
            server.sendall(data)
        ended.set()
        server.shutdown(socket.SHUT_WR)
