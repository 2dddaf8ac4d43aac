"""Which connections over HTTP are served: those that send the head of a request in time, and not too many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from marimo_kernel_bridge.mcp_server.transport import http

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:  # of ASGI
    del scope, receive
    await asyncio.sleep(0.3)  # longer than a head may take
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(app, http=http.BoundedConnection, log_config=None, timeout_keep_alive=1)
    config.load()
    state = ServerState()

    def connected() -> http.BoundedConnection:
        return http.BoundedConnection(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with asyncio.timeout(20), server:
        yield server.sockets[0].getsockname()


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(b"", 0), (b"GET / HT", 0), (REQUEST[:-2], 0), (REQUEST, 1), (REQUEST + b"GET /", 1)],
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


async def test_a_connection_beyond_the_limit_is_refused_until_another_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 2)
    closing = REQUEST[:-2] + b"Connection: close\r\n\r\n"
    async with served() as address:
        first, second, third = [await asyncio.open_connection(*address) for _ in range(3)]
        refusal = await third[0].read()
        assert refusal.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\n")
        assert refusal.endswith(
            b'{"error": "The server has 2 connections, its limit. Try again in 10 seconds."}'
        )
        first[1].write(closing)
        assert b"200 OK" in await first[0].read()
        fourth = await asyncio.open_connection(*address)
        fourth[1].write(closing)
        assert b"200 OK" in await fourth[0].read()
        for _, writer in (first, second, third, fourth):
            writer.close()


def test_half_of_the_files_of_the_process_are_left_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    assert http._most_connections() == 128
