"""Which notebook a kernel belongs to, and servers that are not asked. The servers are threads of the test."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.connection import connection_files
from marimo_kernel_bridge.client.discovery import (
    FoundKernel,
    connection_file_of,
    find_kernels,
    notebooks_by_kernel,
    page_policies,
)
from marimo_kernel_bridge.errors import BridgeError, ErrorCode

pytestmark = pytest.mark.anyio


class Server(http.server.ThreadingHTTPServer):
    """A program that must not get the token, or that passes it on. It notes what it is asked."""

    def __init__(self, redirects_to: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.redirects_to = redirects_to


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.redirects_to:
            self.send_response(302)
            self.send_header("Location", self.server.redirects_to)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Security-Policy", "script-src 'self'")
        self.end_headers()
        self.wfile.write(
            b'[{"path": "a.ipynb", "kernel": {"id": "1"}}, {"path": "b", "kernel": {"id": "2"}, "type": "console"},'
            b' {"path": "c.ipynb", "kernel": null}]'
        )

    def log_message(self, *_arguments: object) -> None:
        pass


Listen = Callable[..., Server]


@pytest.fixture
def listener() -> Iterator[Listen]:
    """Start a server: `listener(redirects_to="")`."""
    servers: list[Server] = []

    def listen(redirects_to: str = "") -> Server:
        server = Server(redirects_to)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "runtime"
    directory.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
    return directory


def announce(runtime_dir: Path, port: int, **changes: object) -> Path:
    fields = {
        "pid": os.getpid(),
        "port": port,
        "base_url": "/",
        "token": "secret",
        "root_dir": "/data",
        "hostname": "127.0.0.1",
        "secure": False,
    }
    path = runtime_dir / f"jpserver-{len(list(runtime_dir.iterdir()))}.json"
    path.write_text(json.dumps(fields | changes))
    path.chmod(0o600)
    return path


async def test_an_announced_server_is_asked_with_its_token(runtime_dir: Path, listener: Listen) -> None:
    server = listener()
    announce(runtime_dir, server.server_port)
    assert await notebooks_by_kernel() == {"1": "/data/a.ipynb"}
    assert server.asked == [("/api/sessions", "token secret")]


async def test_the_policies_of_the_pages_of_own_servers_are_known(
    runtime_dir: Path, listener: Listen
) -> None:
    server = listener()
    announce(runtime_dir, server.server_port)
    announce(runtime_dir, 1)  # it does not answer
    announce(runtime_dir, server.server_port, hostname="example.org")
    address = f"http://127.0.0.1:{server.server_port}"
    assert await page_policies() == {address: "script-src 'self'"}
    assert server.asked == [("/lab", "token secret")]


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "example.org"},
        {"hostname": "0.0.0.0"},
        {"secure": True},
        {"pid": 2**22 + 1},
        {"token": 7},
    ],
)
async def test_a_server_elsewhere_or_gone_is_never_given_the_token(
    runtime_dir: Path, listener: Listen, changes: dict[str, object]
) -> None:
    server = listener()
    announce(runtime_dir, server.server_port, **changes)
    assert await notebooks_by_kernel() == {}
    assert server.asked == []


async def test_another_user_on_a_servers_port_is_never_given_the_token(
    runtime_dir: Path, listener: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = listener()
    announce(runtime_dir, server.server_port)
    monkeypatch.setattr("marimo_kernel_bridge.client.discovery.foreign_listener", lambda *_: 4242)
    assert await notebooks_by_kernel() == {}
    assert server.asked == []


async def test_an_announcement_that_others_may_write_is_ignored(runtime_dir: Path, listener: Listen) -> None:
    server = listener()
    announce(runtime_dir, server.server_port).chmod(0o666)
    assert await notebooks_by_kernel() == {}
    assert server.asked == []


async def test_the_token_follows_no_redirect(runtime_dir: Path, listener: Listen) -> None:
    thief = listener()
    announce(runtime_dir, listener(f"http://127.0.0.1:{thief.server_port}/").server_port)
    assert await notebooks_by_kernel() == {}
    assert thief.asked == []


async def test_a_server_that_does_not_answer_is_left_out(runtime_dir: Path) -> None:
    announce(runtime_dir, 1)
    assert await notebooks_by_kernel() == {}


# Kernels by notebook


def found(notebook: str | None, problem: ErrorCode | None = None) -> FoundKernel:
    path = Path(f"/run/kernel-{notebook}.json")
    return FoundKernel(path, "id", notebook, problem=BridgeError(problem, "no") if problem else None)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[FoundKernel]:
    """Kernels that are found, for the test to fill."""
    kernels: list[FoundKernel] = []

    async def find_kernels() -> list[FoundKernel]:
        return kernels

    monkeypatch.setattr(discovery, "find_kernels", find_kernels)
    return kernels


@pytest.mark.parametrize("name", ["b.ipynb", "./b.ipynb", "work/b.ipynb", "/home/ada/work/b.ipynb"])
async def test_a_kernel_is_found_by_the_end_of_its_notebook_s_path(
    kernels: list[FoundKernel], name: str
) -> None:
    kernels += [found("/home/ada/work/bb.ipynb"), found("/home/ada/work/b.ipynb"), found(None)]
    assert await connection_file_of(name) == kernels[1].path


async def test_a_kernel_that_is_silent_is_found_and_one_that_has_ended_is_not(
    kernels: list[FoundKernel],
) -> None:
    kernels += [
        found("/a/silent.ipynb", "kernel_silent"),
        found("/a/ended.ipynb", "connection_file_stale"),
    ]
    assert await connection_file_of("silent.ipynb") == kernels[0].path
    with pytest.raises(BridgeError) as refusal:
        await connection_file_of("ended.ipynb")
    assert refusal.value.code == "no_such_notebook"


@pytest.mark.parametrize(
    ("name", "message", "names"),
    [
        ("b.ipynb", "2 running notebooks are", "/one/b.ipynb, /two/b.ipynb"),
        ("c.ipynb", "No running notebook is", "/one/a.ipynb, /one/b.ipynb, /two/b.ipynb"),
    ],
)
async def test_a_notebook_that_is_not_the_only_one_is_refused_with_those_that_there_are(
    kernels: list[FoundKernel], name: str, message: str, names: str
) -> None:
    kernels += [found("/one/a.ipynb"), found("/two/b.ipynb"), found("/one/b.ipynb")]
    with pytest.raises(BridgeError) as refusal:
        await connection_file_of(name)
    assert refusal.value.code == "no_such_notebook"
    assert message in refusal.value.message
    assert f"Running notebooks: {names}." in refusal.value.hint


async def test_connection_files_that_lead_nowhere_carry_their_problem(runtime_dir: Path) -> None:
    (runtime_dir / "kernel-broken.json").write_text("{")
    (runtime_dir / "kernel-broken.json").chmod(0o600)
    channels = ("shell", "iopub", "stdin", "control", "hb")
    ended = {f"{channel}_port": 1 for channel in channels} | {"ip": "127.0.0.1", "key": "k"}
    (runtime_dir / "kernel-ended.json").write_text(json.dumps(ended))
    (runtime_dir / "kernel-ended.json").chmod(0o600)
    problems = {kernel.kernel_id: kernel.problem.code for kernel in await find_kernels() if kernel.problem}
    assert problems == {"broken": "connection_file_malformed", "ended": "connection_file_stale"}


async def test_connection_files_of_any_name_are_found_and_those_of_servers_are_none(
    runtime_dir: Path,
) -> None:
    ports = {f"{name}_port": 1 for name in ("shell", "iopub", "stdin", "control", "hb")}
    for name in ("kernel-1.json", "my_connection.json", "jpserver-7.json"):
        (runtime_dir / name).write_text(json.dumps(ports | {"ip": "127.0.0.1", "key": "k"}))
    (runtime_dir / "other.json").write_text('{"shell": 1}')
    os.mkfifo(runtime_dir / "pipe.json")
    assert {path.name for path in connection_files()} == {"kernel-1.json", "my_connection.json"}


async def test_a_server_that_answers_for_ever_is_waited_for_a_moment_alone(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its bytes comes in time."""
    monkeypatch.setattr(discovery, "_SERVER_BOUND", 2.0)  # time to connect, on a machine with much to do
    begun = []

    async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(writer)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with await asyncio.start_server(drips, "127.0.0.1", 0) as server:
        announce(runtime_dir, server.sockets[0].getsockname()[1])
        async with asyncio.timeout(30):
            assert await notebooks_by_kernel() == {}
    assert len(begun) == 1
