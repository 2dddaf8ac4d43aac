"""Which connections over HTTP are served: those that send the head of a request in time, and not too many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from marimo_kernel_bridge.mcp_server.transport import http
from marimo_kernel_bridge.mcp_server.transport.token import Token

pytestmark = pytest.mark.anyio

REQUEST = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOKEN = b"Authorization: Bearer " + b"t" * 43 + b"\r\n\r\n"
CLOSING = REQUEST[:-2] + b"Connection: close\r\n" + TOKEN


async def app(scope: Any, receive: Any, send: Any) -> None:  # of ASGI
    del scope, receive
    await asyncio.sleep(0.3)  # longer than a head may take
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, int]]:
    guarded = http.AccessCheck(app, Token(Path(), "t" * 43), host="127.0.0.1", loopback=True)
    config = uvicorn.Config(guarded, http=http.BoundedConnection, log_config=None, timeout_keep_alive=1)
    config.load()
    state = ServerState()

    def connected() -> http.BoundedConnection:
        return http.BoundedConnection(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with asyncio.timeout(20), server:
        yield server.sockets[0].getsockname()


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", 0),
        (b"GET / HT", 0),
        (REQUEST[:-2], 0),
        (REQUEST[:-2] + b"Content-Length: 9\r\n\r\n", 0),
        (REQUEST[:-2] + TOKEN, 1),
        (REQUEST[:-2] + TOKEN + b"GET /", 1),
    ],
)
async def test_a_connection_ends_unless_the_heads_arrive(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: int
) -> None:
    monkeypatch.setattr(http, "HEAD_BOUND", 0.1)
    async with served() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        assert (await reader.read()).count(b"200 OK") == answered
        writer.close()


async def test_a_client_with_the_token_gets_in_however_many_connections_strangers_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 3)
    async with served() as address:
        client = await asyncio.open_connection(*address)
        client[1].write(REQUEST[:-2] + TOKEN)
        assert b"200 OK" in await client[0].readuntil(b"ok")
        strangers = []
        for _ in range(10):
            stranger = await asyncio.open_connection(*address)
            strangers.append(stranger)
            stranger[1].write(REQUEST)
            assert b"401 Unauthorized" in await stranger[0].readline()
        for reader, _ in strangers[:-2]:
            with suppress(ConnectionError):
                await reader.read()  # ends: the oldest of them are closed
        client[1].write(REQUEST[:-2] + TOKEN)
        assert b"200 OK" in await client[0].readuntil(b"ok")
        for _, writer in (client, *strangers):
            writer.close()


async def test_a_connection_beyond_the_limit_is_refused_until_one_of_a_client_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 2)
    async with served() as address:
        first, second = [await asyncio.open_connection(*address) for _ in range(2)]
        for reader, writer in (first, second):
            writer.write(REQUEST[:-2] + TOKEN)
            await reader.readuntil(b"ok")
        third = await asyncio.open_connection(*address)
        refusal = await third[0].read()
        assert refusal.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\n")
        assert refusal.endswith(
            b'{"error": "The server has 2 connections, its limit. Try again in 10 seconds."}'
        )
        first[1].write(CLOSING)
        await first[0].read()
        fourth = await asyncio.open_connection(*address)
        fourth[1].write(CLOSING)
        assert b"200 OK" in await fourth[0].read()
        for _, writer in (first, second, third, fourth):
            writer.close()


def test_half_of_the_files_of_the_process_are_left_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    assert http._most_connections() == 128
