"""The address on which the MCP server over HTTP listens, and its URL for clients.

Imports no server, because commands that only print a configuration use it, too.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from dataclasses import dataclass
from typing import Any, Final

from marimo_kernel_bridge.errors import BridgeError

PATH: Final = "/mcp"
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 27180
"""Fixed, so that a client's configuration stays valid when the server is restarted."""


@dataclass(frozen=True)
class Listening:
    """A bound socket. `loopback`: only programs on this machine can reach it."""

    socket: socket.socket
    host: str
    port: int
    loopback: bool

    @property
    def url(self) -> str:
        return url_of(self.host, self.port)


def url_of(host: str, port: int) -> str:
    """Return the URL for clients. For a server on all interfaces, it is that of the loopback."""
    address = ip_address(host)
    if address is not None and address.is_unspecified:
        host = "::1" if address.version == 6 else DEFAULT_HOST  # noqa: PLR2004  # IPv6
    return f"http://[{host}]:{port}{PATH}" if ":" in host else f"http://{host}:{port}{PATH}"


def listen(host: str, port: int, *, allow_remote: bool = False) -> Listening:
    """Bind the server's socket; port 0 selects a free one.

    Raises `BridgeError`: bad_request, if the address is in use, not on this machine, or not the loopback without
    `allow_remote`.
    """
    family, address = _resolve(host, port)
    loopback = ipaddress.ip_address(address[0]).is_loopback
    if not loopback and not allow_remote:
        raise BridgeError(
            "bad_request",
            f"Other machines could reach the server on {host}, and anyone with the token runs code as you.",
            "An SSH tunnel to a server on 127.0.0.1 is safer. If you mean it, pass --allow-remote.",
        )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # on Windows the option would allow binding a port that is in use
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise BridgeError(
            "bad_request",
            f"Cannot listen on port {port} of {host}: {error.strerror}.",
            "If a server of yours runs there, clients can use that one; else choose another --port.",
        ) from error
    return Listening(sock, host, sock.getsockname()[1], loopback)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:  # a socket address
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BridgeError(
            "bad_request", f"{host!r} is not an address of this machine: {error.strerror}.", "Try 127.0.0.1."
        ) from error
    family, _, _, _, address = found[0]
    return family, address


def ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address, or None if the text is a host name."""
    try:
        return ipaddress.ip_address(hostname)
    except ValueError:
        return None
