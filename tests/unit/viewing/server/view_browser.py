"""What a browser does with a view: cookies, redirects, a socket. And tables that do what tests want."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from marimo_kernel_bridge.protocol.views import OpenedView
from marimo_kernel_bridge.viewing.server.serving import ViewServer
from marimo_kernel_bridge.viewing.table import Cancellation, Page, Query, Table
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

BOUND = 30.0
ROWS = [{"city": f"city {n}", "price": n * 10} for n in range(1000)]


def data(name: str = "sales") -> Data:
    return Data(name, name, "variable")


async def opened(
    server: ViewServer, value: Any = ROWS, name: str = "sales", session: str = PERSON
) -> OpenedView:
    """Open a view of a value."""
    return await server.control.open(data(name), session, lambda: open_value(value))


class Tab:
    """An open page, by its socket."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.answers: dict[Any, dict[str, Any]] = {}
        self.closed = False
        self._asked = 0

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        return await self.answer(await self.send(do, **fields))

    async def send(self, do: str, **fields: Any) -> int:
        self._asked += 1
        await self.socket.write_message(json.dumps({"id": self._asked, "do": do, **fields}))
        return self._asked

    async def answer(self, number: int | None) -> dict[str, Any]:
        while number not in self.answers and await self._read():
            pass
        return self.answers.pop(number)

    async def event(self, kind: str) -> dict[str, Any]:
        """Return the next event of a kind; those before it are dropped."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == kind:
                    return event
            assert await self._read(), f"the socket was closed before {kind}"

    async def rest(self) -> int | None:
        """Read until the socket is closed, and return the code."""
        while await self._read():
            pass
        return self.socket.close_code

    async def _read(self) -> bool:
        text = await asyncio.wait_for(self.socket.read_message(), BOUND)
        if text is None:
            return False
        message = json.loads(text)
        if "event" in message:
            self.events.append(message)
        else:
            self.answers[message["id"]] = message
        return True


class Browser:
    """A browser: it keeps cookies by name and path, and follows redirects."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, tuple[str, str]] = {}
        self._client = SimpleAsyncHTTPClient(force_instance=True)

    async def get(
        self, path: str, *, method: str = "GET", body: str | None = None, **headers: str
    ) -> HTTPResponse:
        """Request a path, without following a redirect. A header `host` or `origin` may be a foreign one."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        if cookie := self.cookie_header(path):
            named.setdefault("Cookie", cookie)
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}{path}", method, headers=named, body=body, follow_redirects=False
        )
        response = await self._client.fetch(request, raise_error=False)
        for line in response.headers.get_list("Set-Cookie"):
            (name, value), *rest = (part.strip().partition("=")[::2] for part in line.split(";"))
            attributes = {key.lower(): text for key, text in rest}
            self.cookies[name] = (value, attributes["path"])
        return response

    def cookie_header(self, path: str) -> str:
        return "; ".join(
            f"{name}={value}" for name, (value, below) in self.cookies.items() if path.startswith(below)
        )

    async def visit(self, url: str) -> HTTPResponse:
        """Open an address as a person does."""
        response = await self.get(url.removeprefix(f"http://127.0.0.1:{self.port}"))
        while response.code == 303:
            response = await self.get(response.headers["Location"])
        return response

    async def tab(self, opened: OpenedView, **headers: str) -> Tab:
        """Open the page of a view, and its socket."""
        assert (await self.visit(opened.url)).code == 200
        return await self.connect(opened.description.view, **headers)

    async def connect(self, view: str, **headers: str) -> Tab:
        """Open the socket of a view. Raises `HTTPClientError` if it is refused."""
        path = f"/view/{view}/ws"
        named = {"Origin": f"http://127.0.0.1:{self.port}", "Cookie": self.cookie_header(path)}
        named |= {name.title(): value for name, value in headers.items()}
        named = {name: value for name, value in named.items() if value or name == "Host"}
        request = HTTPRequest(f"ws://127.0.0.1:{self.port}{path}", headers=named)
        return Tab(await websocket_connect(request))

    def close(self) -> None:
        self._client.close()


class SlowTable:
    """A table whose reads wait for the test, or fail. The rest is a real one's."""

    def __init__(self, value: Any = ROWS, failure: Exception | None = None) -> None:
        self.of: Table = open_value(value)
        self.may_read, self.may_count = threading.Event(), threading.Event()
        self.reading, self.counting = threading.Event(), threading.Event()
        self.failure = failure
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        self.reading.set()
        assert self.may_read.wait(BOUND)
        if self.failure is not None:
            raise self.failure
        return self.of.page(query, start, count, columns, cancellation)

    def statistics(self, query: Query, column: int, cancellation: Cancellation) -> Any:
        self.counting.set()
        cancellation.stopped_by(self.may_count.set)
        assert self.may_count.wait(BOUND)
        cancellation.check()
        return self.of.statistics(query, column, cancellation)

    def close(self) -> None:
        self.closed = True
        self.of.close()
