"""The address on which the MCP server over HTTP listens, and its URL for clients.

Imports no server, because commands that only print a configuration use it, too.
"""

from __future__ import annotations

import getpass
import hashlib
import ipaddress
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.own_files import read_or_make, unusable

PATH: Final = "/mcp"
HEALTH: Final = "/health"
DEFAULT_HOST: Final = "127.0.0.1"

_PORTS: Final = range(20000, 32000)
"""Below those that systems give to outgoing connections."""
_ATTEMPTS: Final = 100


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


def own_port() -> int:
    """Return this user's port, so that a client's configuration stays valid when the server is restarted.

    It follows from the user's id, was free when it was chosen, and is kept in a file. Raises `BridgeError`: bad_request.
    """
    path = Path(jupyter_data_dir(), "marimo-kernel-bridge", "mcp-port")
    text = read_or_make(path, lambda: str(_free_port()))
    if not (text.isdecimal() and 0 < int(text[:6]) < 2**16):
        raise unusable(path, "it contains no port")
    return int(text)


def _free_port() -> int:
    user = os.getuid() if sys.platform != "win32" else getpass.getuser()
    for attempt in range(_ATTEMPTS):
        digest = hashlib.sha256(f"{user} {attempt}".encode()).digest()
        port = _PORTS[int.from_bytes(digest[:4]) % len(_PORTS)]
        with socket.socket() as sock:
            try:
                sock.bind((DEFAULT_HOST, port))
            except OSError:
                continue
        return port
    raise BridgeError("bad_request", "No free port was found.", "Choose one with --port.")


def require_not_foreign(host: str, port: int) -> None:
    """Raise `BridgeError` bad_request, if another user listens on a port of an address, or it is none of this machine."""
    _, (address, *_) = _resolve(host, port)
    if (user := foreign_listener(address, port)) is not None:
        raise BridgeError(
            "bad_request",
            f"User id {user} listens on port {port}, and would get what clients send to it, tokens too.",
            "Choose another --port.",
        )


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
    require_not_foreign(address[0], port)
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
