"""The MCP server over streamable HTTP: access checks, serving and shutdown.

Serves `mcp_tools.build_server`, in both versions of the protocol. A request is accepted if its Host names this server
(which prevents DNS rebinding), its Origin is not a foreign page, and it has the token. Responses are event streams,
never single JSON bodies, which would lose progress and cancellation.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from marimo_kernel_bridge.mcp_server.answers.size_limit import keep_answers_small
from marimo_kernel_bridge.mcp_server.transport.address import HEALTH, PATH, Listening, ip_address
from marimo_kernel_bridge.mcp_server.transport.bodies import OneMessage
from marimo_kernel_bridge.mcp_server.transport.own_clients import GRACE, one_lifespan, own_clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from marimo_kernel_bridge.mcp_server.transport.token import Token

HEAD_BOUND: Final = 10.0
"""Seconds for the head of a request."""
MOST_CONNECTIONS: Final = 500
"""At once; fewer where a process may open few files, as on macOS."""
ADMITTED: Final = "marimo-kernel-bridge.admitted"
"""The key in the state of requests with the right token."""
logger = logging.getLogger(__name__)


class AccessCheck:
    """Accepts requests, or rejects them: 421 wrong host, 403 foreign page, 404 no such path, 401 no token.

    Rule 1: only the head of a request is read before it is accepted. A connection that has sent the token once is marked
    in its state, as it may stay however many there are.
    Rule 2: no response, and no line of the log, contains a token.
    """

    def __init__(self, app: ASGIApp, token: Token, *, host: str, loopback: bool) -> None:
        self._app = app
        self._token = token
        self._loopback = loopback
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = _refusal_of_twins(headers) or self._refusal(scope["path"], headers)
            if refusal is None:
                scope.setdefault("state", {})[ADMITTED] = True
        elif scope["type"] != "lifespan":  # uvicorn is told to take no websockets
            raise ValueError(f"not checked: {scope['type']}")
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host"), headers.get("origin")
        if not self._is_ours(_hostname(f"//{host}")):
            return _refuse(421, f"This server is not {host!r:.100}.")
        if origin is not None and not self._is_same_site(_hostname(origin), _hostname(f"//{host}")):
            return _refuse(403, f"Pages of {origin!r:.100} may not use this server.")
        if path == HEALTH:  # it says nothing but that the server runs
            return JSONResponse({"status": "ok"})
        if path != PATH:
            # Checked before the token: clients look for OAuth metadata here, and must learn that there is none.
            return _refuse(404, f"MCP is at {PATH}.")
        if not self._token.admits(headers.get("authorization")):
            return _refuse(
                401,
                "The token is missing or wrong. Each start of the server makes a new one, in the file that it names.",
                {"www-authenticate": 'Bearer realm="marimo-kernel-bridge"'},
            )
        return None

    def _is_ours(self, hostname: str | None) -> bool:
        """Return whether a host name belongs to this server, and is not one that a foreign site resolves to its address."""
        if hostname is None:
            return False
        if self._loopback:
            return _is_loopback(hostname)
        # No site can take over an IP address, this machine's name, or the name that the server was started with.
        return hostname in self._names or ip_address(hostname) is not None

    @staticmethod
    def _is_same_site(origin: str | None, host: str | None) -> bool:
        return origin is not None and (
            origin == host or (_is_loopback(origin) and host is not None and _is_loopback(host))
        )


def _refusal_of_twins(headers: Headers) -> JSONResponse | None:
    """Refuse what is checked and is there twice: a program on the way may have looked at the other one."""
    for name, status in (("host", 400), ("origin", 403), ("authorization", 401)):
        if len(headers.getlist(name)) > 1:
            return _refuse(status, f"There are several headers {name!r}.")
    return None


def _hostname(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
    except ValueError:
        return None
    return None if parts.username is not None else parts.hostname


def _is_loopback(hostname: str) -> bool:
    address = ip_address(hostname)
    return hostname == "localhost" or (address is not None and address.is_loopback)


def _refuse(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    logger.info("Refused a request with %d: %s", status, why)
    return JSONResponse({"error": why}, status, headers)


class OpenCalls:
    """The calls in progress, which are cancelled on shutdown: uvicorn would wait for them indefinitely.

    A tool stops its run in the kernel when its call is cancelled.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls: set[anyio.CancelScope] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as call:
            self._calls.add(call)
            try:
                await self._app(scope, receive, answer)
            finally:
                self._calls.remove(call)
        if call.cancelled_caught and begun:
            await send({"type": "http.response.body", "body": b""})
        elif call.cancelled_caught:
            await _refuse(503, "The server is shutting down.")(scope, receive, send)

    def end(self) -> None:
        """Cancel them all."""
        for call in self._calls:
            call.cancel()


def _most_connections() -> int:
    """Return how many connections there may be: kernels need files, too."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource  # noqa: PLC0415  # not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


def _too_many(most: int) -> bytes:
    """Return the response to a connection beyond the limit, whose request is not read."""
    body = json.dumps({"error": f"The server has {most} connections, its limit. Try again in 10 seconds."})
    head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\nconnection: close\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


class BoundedConnection(H11Protocol):
    """A connection that is closed unless the head of each request arrives in time, or when there are too many.

    Each takes up a file of the process, also if it says nothing and has no token. Beyond the limit the oldest one that has not
    sent the token is closed, so that strangers keep no client out, however many they open; if all have, the new one is refused.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # uvicorn's
        super().__init__(*arguments, **options)
        self._too_late: asyncio.TimerHandle | None = None
        self._made = 0.0
        self._admitted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._made = self.loop.time()
        self._time_head()
        most = _most_connections()
        stay = [one for one in self.connections if not one.transport.is_closing()]
        if len(stay) > most:
            logger.info("Closed a connection: there are %d", most)
            strangers = [one for one in stay if isinstance(one, BoundedConnection) and not one.admitted]
            oldest = min(strangers, key=lambda one: one._made)  # noqa: SLF001  # of this class
            if oldest is self:
                transport.write(_too_many(most))
                transport.close()
            else:
                oldest.transport.abort()

    @property
    def admitted(self) -> bool:
        """Whether one of its requests had the right token."""
        return self._admitted or (self.scope is not None and ADMITTED in self.scope["state"])

    def data_received(self, data: bytes) -> None:
        self._admitted = self.admitted
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self._too_late is None:
            self._too_late = self.loop.call_later(HEAD_BOUND, self.transport.close)
        elif not waits and self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, calls: OpenCalls) -> None:
        super().__init__(config)
        self._calls = calls

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._calls.end()
        await super().shutdown(sockets)


def http_app(server: MCPServer[Any], token: Token, listening: Listening) -> AccessCheck:
    """Return the server behind the access check."""
    server.middleware.append(keep_answers_small)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        # The access check has already verified Host and Origin.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return AccessCheck(OneMessage(app), token, host=listening.host, loopback=listening.loopback)


def serve_http(
    server: MCPServer[Any],
    token: Token,
    listening: Listening,
    own: socket.socket | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; then end open calls, detach from all kernels, and return.

    `own` is the Unix socket for this user's clients.
    """
    # uvicorn shuts down, then raises the signal again for its previous handler, which would kill this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if ready is not None:
        ready()  # the socket listens already, so a client that connects now waits in its queue
    with listening.socket, suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, token, listening, own))


def _say_without_files(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in a line that the process may open no further file; a traceback in the log reads files, and would end the server.

    asyncio accepts connections again a second later.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        with suppress(OSError):
            logger.warning("No file is left for a further connection, which waits for one that ends.")
    else:
        loop.default_exception_handler(context)


async def _serve(
    server: MCPServer[Any], token: Token, listening: Listening, own: socket.socket | None
) -> None:
    asyncio.get_running_loop().set_exception_handler(_say_without_files)
    calls = OpenCalls(http_app(server, token, listening))
    config = uvicorn.Config(
        calls,
        http=BoundedConnection,
        log_config=None,  # the SDK has set up logging, to stderr
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE,
        # Accepted in one turn of the loop, before those beyond the limit are closed: they must leave files to spare.
        backlog=_most_connections() // 4,
    )
    connections = server._lowlevel_server  # noqa: SLF001  # the SDK serves streams with it
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(one_lifespan(connections))
        if own is not None:
            await stack.enter_async_context(own_clients(connections, own))
        await _Server(config, calls).serve(sockets=[listening.socket])
