"""The server as a real process that listens on the loopback, and clients that reach it there."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2
import pytest
from jupyter_client import KernelManager
from mcp import Client
from served import BOUND, Server, environment, new_http

from tests.isolation import Homes


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _end(process: subprocess.Popen[str]) -> None:
    """End a server; one that does not listen any more is killed."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _start(stack: ExitStack, folder: Path, *options: str) -> Server:
    (folder / "runtime").mkdir(exist_ok=True)
    printed = stack.enter_context((folder / "printed").open("w"))
    process = subprocess.Popen(
        [sys.executable, "-m", "marimo_kernel_bridge", "mcp", "--http", *options],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=printed,
        text=True,
    )
    stack.callback(process.wait)
    stack.callback(_end, process)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    serving = process.stdout.readline()
    assert serving.startswith("Serving MCP at "), (folder / "printed").read_text()
    printed.write(serving + process.stdout.readline())
    printed.flush()
    return Server(process, folder, serving.split()[3])


@pytest.fixture
def start_server(homes: Homes) -> Iterator[Callable[..., Server]]:
    """Start a server in a folder of the test: `start_server("--port", "0")`. It is ended with the test."""
    home = homes.new("s")
    with home.lived_in(), ExitStack() as stack:
        yield partial(_start, stack, home.folder)


@pytest.fixture(scope="session")
def server(homes: Homes) -> Iterator[Server]:
    """A server that all tests share: none may end it."""
    home = homes.new("h")
    with ExitStack() as stack:
        with home.lived_in():
            server = _start(stack, home.folder, "--port", "0")
        yield server


@pytest.fixture(scope="session")
def kernel(homes: Homes) -> Iterator[KernelManager]:
    """A plain kernel that all tests share: none may end it."""
    home = homes.new("k")
    manager = KernelManager(kernel_name="python3", connection_file=str(home.runtime / "kernel-http.json"))
    manager.start_kernel(env=home.environment())
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=BOUND)
        yield manager
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Client]:
    """A client of each era of the protocol: with `server/discover`, and with `initialize`."""
    async with server.client(request.param) as client:
        yield client


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A bare HTTP client that sends what a test gives it."""
    async with new_http() as http:
        yield http
