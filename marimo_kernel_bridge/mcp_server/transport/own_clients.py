"""Clients of the server on a Unix socket: a stream of messages each, as over stdio.

Only this user can reach the socket, so there is no token, and nothing else of HTTP. Each connection is a session: what it is
attached to is its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakSet

import anyio
from mcp.server.stdio import stdio_server

from marimo_kernel_bridge.client.socket_owner import foreign_peer

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from mcp.server.lowlevel import Server

GRACE: Final = 6
"""Seconds for open calls to end after they are cancelled; interrupting a run takes up to 5."""

CONNECTION: Final[ContextVar[str]] = ContextVar("CONNECTION", default="")
"""The id of the connection on which a request came; empty for requests that came otherwise."""

_LONGEST: Final = 4 * 1024 * 1024  # bytes of a message, as of a request over HTTP

logger = logging.getLogger(__name__)


class _TextFile:
    """A connection as the text file that the SDK reads and writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def __aiter__(self) -> _TextFile:
        return self

    async def __anext__(self) -> str:
        try:
            line = await self._reader.readline()
        except ValueError as error:
            raise ConnectionError(f"a message is longer than {_LONGEST} bytes") from error
        if not line:
            raise StopAsyncIteration
        return line.decode(errors="replace")

    async def write(self, text: str) -> None:
        self._writer.write(text.encode())

    async def flush(self) -> None:
        await self._writer.drain()


@asynccontextmanager
async def one_lifespan(server: Server[Any]) -> AsyncIterator[None]:
    """Begin the server's lifespan for all connections, however clients come: the SDK begins one for each."""
    async with server.lifespan(server) as kernels:
        server.lifespan = lambda _: nullcontext(kernels)
        yield


@asynccontextmanager
async def own_clients(server: Server[Any], listening: socket.socket) -> AsyncIterator[None]:
    """Serve clients that connect, within `one_lifespan`; at the end cancel their calls, as uvicorn's are."""
    sessions: set[asyncio.Task[None]] = set()
    transports: WeakSet[asyncio.WriteTransport] = WeakSet()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio makes one for each connection
        if (user := foreign_peer(writer.get_extra_info("socket"))) is not None:
            logger.warning("User id %d connected, and was refused.", user)
            writer.close()
            return
        sessions.add(task)
        transports.add(writer.transport)
        connection = secrets.token_hex(16)
        CONNECTION.set(connection)
        try:
            file = cast("anyio.AsyncFile[str]", _TextFile(reader, writer))
            async with stdio_server(file, file) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())
        except* (OSError, anyio.BrokenResourceError) as problem:  # or cancelled with requests waiting
            logger.warning("A client's connection ended: %s", problem.exceptions)
        finally:
            sessions.discard(task)
            writer.close()
            kernels.end_session(connection)

    async with (
        server.lifespan(server) as kernels,
        await asyncio.start_unix_server(session, sock=listening, limit=_LONGEST),
    ):
        try:
            yield
        finally:
            for task in sessions:
                task.cancel()
            if sessions:
                await asyncio.wait(sessions, timeout=GRACE)
            for transport in transports:
                transport.abort()  # else a client that reads nothing keeps it open, and newer Pythons wait for it
