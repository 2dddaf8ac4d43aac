"""A Jupyter server in this process that has what a test gives it: its kernels, its sessions, its answers.

What passes over a kernel's websocket is up to the test: `received` has what came, `send` sends.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from marimo_kernel_bridge.client.jupyter_server import JupyterServer
from marimo_kernel_bridge.client.websocket_channels import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = Any  # of the REST API and of messages

TOKEN = "t0ken"


class ServedKernels:
    """The server's side: what it has, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.server = JupyterServer(f"http://127.0.0.1:{port}", TOKEN)
        self.kernels: dict[str, Json] = {"k-1": {"id": "k-1", "name": "marimo", "execution_state": "idle"}}
        self.sessions: list[Json] = []
        self.answers: dict[str, tuple[int, str]] = {}
        """By method and path: a status and a body, or a location, in place of the server's own."""
        self.asked: list[str] = []
        self.protocol: str | None = PROTOCOL
        self.sockets: asyncio.Queue[Socket] = asyncio.Queue()
        """The connections that were made."""

    def opened(self, notebook: str, kernel_id: str | None) -> None:
        """Have a session for a notebook."""
        kernel = None if kernel_id is None else {"id": kernel_id}
        self.sessions.append({"path": notebook, "kernel": kernel, "type": "notebook"})


class _Handler(RequestHandler):
    def initialize(self, served: ServedKernels) -> None:
        self.served = served

    async def answer(self) -> None:
        asked = f"{self.request.method} {self.request.path}"
        self.served.asked.append(asked)
        kernel_id = self.request.path.removeprefix("/api/kernels/").split("/")[0]
        if asked in self.served.answers:
            status, text = self.served.answers[asked]
            self.set_status(status)
            if status // 100 == 3:
                self.set_header("Location", text)
            else:
                self.write(text)
        elif self.request.headers.get("Authorization") != f"token {TOKEN}":
            self.set_status(403)
        elif asked == "GET /api/sessions":
            self.write(json.dumps(self.served.sessions))
        elif asked == "GET /api/kernels":
            self.write(json.dumps([*self.served.kernels.values()]))
        elif kernel_id not in self.served.kernels:
            self.set_status(404)
        elif self.request.method == "DELETE":
            del self.served.kernels[kernel_id]
            self.set_status(204)
        else:
            self.write(json.dumps(self.served.kernels[kernel_id]))

    get = post = delete = answer


class Socket(WebSocketHandler):
    """The server's end of a kernel's channels."""

    def initialize(self, served: ServedKernels) -> None:
        self.served = served
        self.received: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
        """The channel and the message of what came."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return self.served.protocol if self.served.protocol in subprotocols else None

    def open(self, kernel_id: str) -> None:
        assert kernel_id in self.served.kernels
        assert self.request.headers["Authorization"] == f"token {TOKEN}"
        self.served.sockets.put_nowait(self)

    def on_message(self, message: str | bytes) -> None:
        if isinstance(message, str):
            whole = json.loads(message)
            self.received.put_nowait((whole["channel"], whole))
            return
        channel, parts = deserialize_msg_from_ws_v1(message)
        names = ("header", "parent_header", "metadata", "content")
        self.received.put_nowait((channel, dict(zip(names, map(json.loads, parts), strict=True))))

    def send(self, channel: str, msg_type: str, content: Json, parent: Json | None = None) -> None:
        """Send a message of the kernel's."""
        header = {"msg_type": msg_type, "session": "process-1", "msg_id": "m-1"}
        parts = {"header": header, "parent_header": parent or {}, "metadata": {}, "content": content}
        if self.served.protocol is None:
            self.write_message(json.dumps(parts | {"channel": channel}))
        else:
            packed = [json.dumps(part).encode() for part in parts.values()]
            self.write_message(serialize_msg_to_ws_v1(packed, channel), binary=True)


@asynccontextmanager
async def serving() -> AsyncIterator[ServedKernels]:
    """Serve on a port of this machine."""
    listening, port = bind_unused_port()
    served = ServedKernels(port)
    end = {"served": served}
    http = HTTPServer(Application([(r"/api/kernels/([^/]+)/channels", Socket, end), (r"/.*", _Handler, end)]))
    http.add_socket(listening)
    try:
        yield served
    finally:
        http.stop()
        await http.close_all_connections()
