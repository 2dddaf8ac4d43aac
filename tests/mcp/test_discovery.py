"""Which notebook a kernel belongs to, asked of a real Jupyter server; and servers that must not be asked."""

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from person import BOUND
from server import jupyter_server, opened

from marimo_kernel_bridge.client.discovery import connection_file_of, find_kernels, notebooks_by_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_runtime_dir(tmp_path, monkeypatch) -> Path:
    directory = tmp_path / "runtime"
    directory.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
    return directory


async def test_the_notebook_of_a_kernel_is_known_from_its_jupyter_server(own_runtime_dir, tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    with jupyter_server(root):
        server, kernel_id = await opened(own_runtime_dir, "penguins.ipynb")
        notebook = str(root / "penguins.ipynb")
        assert await notebooks_by_kernel() == {kernel_id: notebook}
        async with asyncio.timeout(BOUND):
            while not (found := [kernel for kernel in await find_kernels() if kernel.info]):
                pass
    (kernel,) = found
    assert (kernel.kernel_id, kernel.notebook) == (kernel_id, notebook)
    assert not kernel.info.reactive
    assert server["token"] not in repr(found)


async def test_a_notebook_whose_kernel_does_not_answer_yet_is_found_all_the_same(own_runtime_dir, tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    with jupyter_server(root):
        _, kernel_id = await opened(own_runtime_dir, "penguins.ipynb")
        processes = psutil.process_iter(["cmdline"])
        (kernel,) = (one for one in processes if kernel_id in " ".join(one.info["cmdline"] or ()))
        kernel.suspend()
        try:
            path = await connection_file_of("penguins.ipynb")
        finally:
            kernel.resume()
        assert kernel_id in path.name


class _Eavesdropper(http.server.BaseHTTPRequestHandler):
    """A program that must not get the token, or that passes it on."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.redirects_to:
            self.send_response(302)
            self.send_header("Location", self.server.redirects_to)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'[{"path": "a.ipynb", "kernel": {"id": "1"}}]')

    def log_message(self, *_arguments) -> None:
        pass


@pytest.fixture
def listener() -> Iterator:
    """A web server that notes what it is asked."""
    servers = []

    def listen(redirects_to: str = ""):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Eavesdropper)
        server.asked, server.redirects_to = [], redirects_to
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


def announce(runtime_dir: Path, port: int, **changes) -> Path:
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


async def test_an_announced_server_is_asked_with_its_token(own_runtime_dir, listener):
    server = listener()
    announce(own_runtime_dir, server.server_port)
    assert await notebooks_by_kernel() == {"1": "/data/a.ipynb"}
    assert server.asked == [("/api/sessions", "token secret")]


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
async def test_a_server_elsewhere_or_gone_is_never_given_the_token(own_runtime_dir, listener, changes):
    server = listener()
    announce(own_runtime_dir, server.server_port, **changes)
    assert await notebooks_by_kernel() == {}
    assert server.asked == []


async def test_an_announcement_that_others_may_write_is_ignored(own_runtime_dir, listener):
    server = listener()
    announce(own_runtime_dir, server.server_port).chmod(0o666)
    assert await notebooks_by_kernel() == {}
    assert server.asked == []


async def test_the_token_follows_no_redirect(own_runtime_dir, listener):
    thief = listener()
    announce(own_runtime_dir, listener(f"http://127.0.0.1:{thief.server_port}/").server_port)
    assert await notebooks_by_kernel() == {}
    assert thief.asked == []


async def test_a_server_that_does_not_answer_is_left_out(own_runtime_dir):
    announce(own_runtime_dir, 1)
    assert await notebooks_by_kernel() == {}
