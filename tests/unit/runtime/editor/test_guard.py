"""Who gets past the guard of marimo's server, and to what."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from marimo_kernel_bridge.runtime.editor.guard import Guard

PORT = 4321
HOST = f"127.0.0.1:{PORT}"
OWN = f"http://{HOST}"


class Server:
    """marimo's server, which answers all that reaches it."""

    def __init__(self, *, edits: bool = True) -> None:
        self.guard = Guard(self._answer, "the-token", PORT, edits=edits)
        self.reached: list[tuple[str, str]] = []
        self.banner = '{"op": "banner", "data": {}}'

    async def _answer(self, scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        self.reached.append((scope["path"], scope["query_string"].decode()))
        if scope["type"] == "websocket":
            await send({"type": "websocket.send", "text": self.banner})
            await send({"type": "websocket.send", "text": '{"op": "cell-op", "data": {}}'})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        kind: str = "http",
        host: str = HOST,
        origin: str | None = None,
        query: str = "",
    ) -> list[dict[str, Any]]:
        """Send a request, and return the messages of the answer."""
        headers = [(b"Host", host.encode())] + ([] if origin is None else [(b"origin", origin.encode())])
        scope = {"type": kind, "path": path, "headers": headers, "query_string": query.encode()}
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        asyncio.run(self.guard(scope | {"method": method}, receive, send))
        return sent

    def status(self, path: str, method: str = "GET", **asked: Any) -> int:
        status: int = self.ask(path, method, **asked)[0]["status"]
        return status


@pytest.mark.parametrize(
    "path",
    ["/", "/assets/index-B1x.js", "/favicon.ico", "/public-files-sw.js", "/health", "/api/version"],
)
def test_the_page_and_its_files_are_there(path: str) -> None:
    assert Server().status(path) == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/kernel/shutdown", "POST"),
        ("/api/kernel/restart_session", "POST"),
        ("/api/kernel/save", "POST"),
        ("/api/kernel/rename", "POST"),
        ("/api/kernel/copy", "POST"),
        ("/api/kernel/save_user_config", "POST"),
        ("/api/kernel/scratchpad/run", "POST"),
        ("/api/kernel/execute", "POST"),
        ("/api/kernel/install_missing_packages", "POST"),
        ("/api/files/list_files", "POST"),
        ("/api/packages/add", "POST"),
        ("/api/secrets/keys", "POST"),
        ("/api/ai/chat", "POST"),
        ("/api/export/html", "POST"),
        ("/api/home/shutdown_session", "POST"),
        ("/api/kernel/run", "DELETE"),
        ("/api/kernel/run", "GET"),
        ("/auth/token", "GET"),
        ("/auth/login", "POST"),
        ("/public/secrets.txt", "GET"),
        ("/@file/10-a.js", "GET"),
        ("/assets/../index.html", "GET"),
        ("/api/environment", "GET"),
        ("/sse", "GET"),
        ("/docs", "GET"),
    ],
)
def test_nothing_else_is(path: str, method: str) -> None:
    server = Server()
    assert server.status(path, method, origin=OWN) == 404
    assert not server.reached


def test_only_the_editor_may_change_and_run_cells() -> None:
    for path in ("/api/kernel/run", "/api/document/transaction", "/api/kernel/interrupt"):
        assert Server().status(path, "POST", origin=OWN) == 200
        assert Server(edits=False).status(path, "POST", origin=OWN) == 404
    assert Server(edits=False).status("/api/kernel/set_ui_element_value", "POST", origin=OWN) == 200


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", ""])
def test_another_name_of_this_machine_is_refused(host: str) -> None:
    assert Server().status("/", host=host) == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", f"https://{HOST}"])
def test_a_page_of_another_site_is_refused(origin: str) -> None:
    server = Server()
    assert server.status("/api/kernel/run", "POST", origin=origin) == 403
    assert server.ask("/ws", kind="websocket", origin=origin) == [{"type": "websocket.close", "code": 1008}]
    assert not server.reached


def test_the_socket_is_for_pages_and_there_is_one() -> None:
    server = Server()
    assert server.ask("/ws", kind="websocket")[0]["type"] == "websocket.close"
    assert server.ask("/terminal/ws", kind="websocket", origin=OWN)[0]["type"] == "websocket.close"
    assert server.ask("/ws_sync", kind="websocket", origin=OWN)[0]["type"] == "websocket.close"
    shown = server.ask("/ws", kind="websocket", origin=OWN)
    assert [message["text"] for message in shown] == [
        '{"op": "cell-op", "data": {}}'
    ]  # no banner with a restart


def test_a_code_works_once_and_marimos_token_is_no_ones() -> None:
    server = Server()
    code = server.guard.new_code()
    for query in (f"code={code}&view-as=present", f"code={code}", "access_token=the-token", "code=other"):
        server.ask("/", query=query)
    assert [query for _, query in server.reached] == ["view-as=present&access_token=the-token", "", "", ""]


def test_a_code_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    code = server.guard.new_code()
    monkeypatch.setattr("marimo_kernel_bridge.runtime.editor.guard.time.monotonic", lambda: 1e12)
    server.ask("/", query=f"code={code}")
    assert server.reached == [("/", "")]


def test_who_has_neither_code_nor_cookie_is_told_how_to_get_in() -> None:
    (start, body) = Server().ask("/auth/login", query="next=%2F")
    assert (start["status"], b"%marimo open" in body["body"]) == (403, True)
