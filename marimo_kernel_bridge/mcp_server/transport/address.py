"""Where the MCP server over HTTP listens, and the URL that clients use for it.

Light, because printing a configuration needs it, too: no server is imported here.
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
"""Fixed, so that a client's configuration stays right when the server is started again."""


@dataclass(frozen=True)
class Listening:
    """A bound socket. `loopback`: only programs of this machine reach it."""

    socket: socket.socket
    host: str
    port: int
    loopback: bool

    @property
    def url(self) -> str:
        return url_of(self.host, self.port)


def url_of(host: str, port: int) -> str:
    """Return the address that clients use. A server on all interfaces is reached from here by the loopback."""
    address = ip_address(host)
    if address is not None and address.is_unspecified:
        host = "::1" if address.version == 6 else DEFAULT_HOST  # noqa: PLR2004  # IPv6
    return f"http://[{host}]:{port}{PATH}" if ":" in host else f"http://{host}:{port}{PATH}"


def listen(host: str, port: int, *, allow_remote: bool = False) -> Listening:
    """Bind the server's socket; port 0 takes any that is free.

    Raises `BridgeError`: bad_request, if the address is taken, not ours, or not the loopback without `allow_remote`.
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
        if sys.platform != "win32":  # there it would let us take a port that is in use
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
            "bad_request", f"{host!r} is no address of this machine: {error.strerror}.", "Try 127.0.0.1."
        ) from error
    family, _, _, _, address = found[0]
    return family, address


def ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return what a name says if it is an IP address, None for a name."""
    try:
        return ipaddress.ip_address(hostname)
    except ValueError:
        return None
