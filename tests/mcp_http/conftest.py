"""The server as a real process that listens on the loopback, and clients that reach it there."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from jupyter_client import KernelManager
from mcp import Client
from served import BOUND, Server, environment


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


@pytest.fixture(scope="module")
def start_server() -> Iterator[Callable[..., Server]]:
    """Start a server: `start_server(folder, "--port", "0")`. It is ended with the module."""
    with ExitStack() as stack:

        def start(folder: Path, *options: str) -> Server:
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

        yield start


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that the tests of a module share: none may end it."""
    return start_server(tmp_path_factory.mktemp("server"), "--port", "0")


@pytest.fixture
def own_server(start_server: Callable[..., Server], tmp_path: Path) -> Server:
    """A server of the test's own."""
    return start_server(tmp_path, "--port", "0")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    """A plain kernel, shared by the tests of a module: none may end it."""
    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "kernel-http.json"))
    manager.start_kernel()
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
    async with httpx2.AsyncClient(timeout=BOUND) as http:
        yield http
