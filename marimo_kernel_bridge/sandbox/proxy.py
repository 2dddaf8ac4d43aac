"""The proxy of a sandbox that may reach some hosts: a process outside, which connects where the list allows and logs each wish.

It speaks HTTP: `CONNECT`, which carries TLS through, and plain requests with a whole address. It is forked before the kernel
confines itself, and accepts on a socket that was made in the kernel's own network and sent to it: so programs inside find it
on their loopback. It ends when the kernel does. What it is sent is code's in the sandbox, and trusted in nothing: heads have a
size and a time, and so has the number of connections.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from marimo_kernel_bridge.sandbox.hosts import allows, may_be_reached_at
from marimo_kernel_bridge.sandbox.streams import close_all_but

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
_LARGEST_HEAD: Final = 65_536
_HEAD_BOUND: Final = 30.0
_CONNECT_BOUND: Final = 30.0
_MOST_CONNECTIONS: Final = 200
_PIECE: Final = 65_536
_LARGEST_LOG: Final = 10_000_000
_HOP: Final = (b"proxy-", b"connection:", b"keep-alive:")


class RefusedError(Exception):
    """A request that is not passed on: the status that the client gets, and why."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Outside:
    """A proxy that runs: the descriptor of the connection to it, and the port where it is to be found inside."""

    connection: int
    port: int


def start(hosts: Sequence[str], log: Path) -> Outside:
    """Fork the proxy. The calling process has one thread. Raises `OSError`."""
    ours, theirs = socket.socketpair()
    # Taken here, too, and listened on by nobody: a socket of this network that connects to it finds nothing.
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port: int = taken.getsockname()[1]
    if not os.fork():
        _serve(hosts, log, theirs, taken)
    theirs.close()
    taken.close()
    return Outside(ours.detach(), port)


def listen_inside(proxy: Outside) -> dict[str, str | None]:
    """Make the proxy accept in this process's network; return the variables by which programs find it. Raises `OSError`.

    The connection to the proxy stays open as long as this process: its end ends the proxy.
    """
    connection = socket.socket(fileno=proxy.connection)
    with socket.create_server(("127.0.0.1", proxy.port)) as listener:
        socket.send_fds(connection, [b"x"], [listener.fileno()])
    connection.detach()
    os.set_inheritable(proxy.connection, False)  # noqa: FBT003  # os's signature
    here = "localhost,127.0.0.1,::1"
    variables: dict[str, str | None] = dict.fromkeys(VARIABLES, f"http://127.0.0.1:{proxy.port}")
    return variables | {"NO_PROXY": here, "no_proxy": here}


def _serve(hosts: Sequence[str], log: Path, kernel: socket.socket, taken: socket.socket) -> NoReturn:
    """Be the proxy, until the kernel ends."""
    try:
        os.setsid()  # interrupts are the kernel's
        close_all_but({kernel.fileno(), taken.fileno()})
        _, descriptors, _, _ = socket.recv_fds(kernel, 1, 1)
        if descriptors:
            with socket.socket(fileno=descriptors[0]) as listener:
                asyncio.run(Proxy(hosts, log).serve(listener, kernel))
    finally:
        os._exit(0)


class Proxy:
    """Passes requests on to the hosts of a list."""

    def __init__(self, hosts: Sequence[str], log: Path) -> None:
        self._hosts = tuple(hosts)
        self._log = log
        self._connections = 0

    async def serve(self, listener: socket.socket, kernel: socket.socket) -> None:
        """Accept until the other end of `kernel` is closed."""
        loop = asyncio.get_running_loop()
        kernel.setblocking(False)  # noqa: FBT003  # its signature
        server = await asyncio.start_server(self._client, sock=listener, limit=_LARGEST_HEAD)
        async with server:
            with suppress(OSError):
                while await loop.sock_recv(kernel, 1):
                    pass

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(_HEAD_BOUND):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head, reader, writer)
        except RefusedError as refused:
            with suppress(OSError):
                writer.write(_reply(refused.status, f"The sandbox's proxy refuses this: {refused}.\n"))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has left, or speaks something else
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, host, port, path = destination(head)
        allowed = allows(self._hosts, host, port)
        self._note(method, host, port, allowed=allowed)
        if not allowed:
            raise RefusedError("403 Forbidden", f"{host}:{port} is not among the hosts of its network")
        upstream, up = await self._connected(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                up.write(_passed_on(head, method, path))
            await _both(reader, writer, upstream, up)
        finally:
            up.close()

    async def _connected(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address of a host that may be reached: the one that was looked at, and no later one."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_BOUND):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                for *_, address in found:
                    if may_be_reached_at(self._hosts, host, str(address[0])):
                        return await asyncio.open_connection(str(address[0]), port)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise RefusedError("502 Bad Gateway", f"{host}:{port} cannot be reached: {error}") from error
        raise RefusedError("403 Forbidden", f"{host} leads to this machine or its neighbours")

    def _note(self, method: str, host: str, port: int, *, allowed: bool) -> None:
        """Log a wish: no path and no header, which may hold secrets."""
        line = {
            "at": round(time.time(), 3),
            "method": method[:20],
            "host": host[:260],
            "port": port,
            "allowed": allowed,
        }
        with suppress(OSError):
            if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG:
                self._log.replace(self._log.with_suffix(".old"))
            descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{json.dumps(line)}\n")


def destination(head: bytes) -> tuple[str, str, int, str]:
    """Return method, host, port and path of a request to a proxy. Raises `RefusedError`."""
    try:
        method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        if not version.startswith("HTTP/1."):
            raise RefusedError("505 HTTP Version Not Supported", "only HTTP/1 is understood")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = parts.port or (443 if method == "CONNECT" else 80)
    except ValueError:
        raise RefusedError("400 Bad Request", "this is no request to a proxy") from None
    if not parts.hostname or parts.scheme not in {"", "http"} or (method != "CONNECT" and not parts.scheme):
        raise RefusedError("400 Bad Request", "the request names no host that a proxy can connect to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return method, parts.hostname, port, path


def _passed_on(head: bytes, method: str, path: str) -> bytes:
    """Return the head of a plain request as a server expects it. The connection is of this request alone."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    kept = [line for line in lines if not line.lower().startswith(_HOP)]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *kept, b"Connection: close", b"", b""])


async def _both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream: asyncio.StreamReader,
    up: asyncio.StreamWriter,
) -> None:
    """Pass bytes on in both directions, until the server has no more."""
    sending = asyncio.create_task(_copy(reader, up))
    try:
        await _copy(upstream, writer)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


def _reply(status: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
