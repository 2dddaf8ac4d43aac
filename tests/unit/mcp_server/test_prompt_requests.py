"""Connections over HTTP that do not send the head of a request end; those that do are served."""

import asyncio
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


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(b"", 0), (b"GET / HT", 0), (REQUEST[:-2], 0), (REQUEST, 1), (REQUEST + b"GET /", 1)],
)
async def test_a_connection_ends_unless_the_heads_arrive(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: int
) -> None:
    monkeypatch.setattr(http, "HEAD_BOUND", 0.1)
    config = uvicorn.Config(app, http=http.PromptRequests, log_config=None, timeout_keep_alive=1)
    config.load()
    state = ServerState()

    def connected() -> http.PromptRequests:
        return http.PromptRequests(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        async with asyncio.timeout(20):
            assert (await reader.read()).count(b"200 OK") == answered
        writer.close()
