"""Whether `doctor` sees that a kernel opens in marimo's editor, and says why not. It is green in test_docs.py."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.cli import editor_check

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Person:
    """A front end in which every cell shows the same text."""

    text: str

    async def run(self, _name: str, _code: str) -> Person:
        return self


def state(text: str) -> tuple[str, str]:
    person: Any = Person(text)
    return asyncio.run(editor_check.state(person))


@contextmanager
def serving(page: bytes) -> Iterator[str]:
    """Serve a page to who has exchanged the code of the address for a cookie. Yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "code=" in self.path:
                self.send_response(303)
                self.send_header("Location", "/")
                self.send_header("Set-Cookie", "mkb=1; Path=/; HttpOnly")
                self.end_headers()
                return
            self.send_response(200 if self.headers["Cookie"] == "mkb=1" else 403)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/?code=Ab_-9"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_page_of_the_address_is_fetched_with_its_cookie() -> None:
    with serving(b"<html><marimo-filename hidden>") as address:
        verdict, detail = state(f"Open this notebook in marimo's editor: {address}\nIt works once.")
    assert (verdict, "opens marimo's editor" in detail) == ("ok", True)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("", "shows no address, but: nothing"),
        ("one\nruntime_mismatch: another marimo", "shows no address, but: runtime_mismatch: another marimo"),
        ("http://127.0.0.1:1/?code=x", "does not answer"),
    ],
)
def test_what_keeps_the_editor_closed_is_told(shown: str, reason: str) -> None:
    verdict, detail = state(shown)
    assert verdict == "FAILED"
    assert reason in detail


def test_another_page_is_not_taken_for_the_editor() -> None:
    with serving(b"<html>something else") as address:
        verdict, detail = state(address)
    assert (verdict, "not that of marimo's editor" in detail) == ("FAILED", True)
