"""Kernels, the person at one of them, and the MCP server as a real process."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from jupyter_client import KernelManager
from mcp import Client, StdioServerParameters
from person import Agent, Person, wait_for_ready

from marimo_kernel_bridge.connection import read_connection
from marimo_kernel_bridge.kernel_client import KernelClient


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def runtime_dir(tmp_path_factory) -> Iterator:
    """Jupyter's runtime directory, for this process and the servers that it starts."""
    directory = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
        yield directory


@pytest.fixture(scope="session")
def start_kernel(runtime_dir) -> Iterator[Callable[..., KernelManager]]:
    """Start a kernel by the name of its kernelspec and wait until it answers."""
    with ExitStack() as stack:
        count = 0

        def start(name: str = "python3") -> KernelManager:
            nonlocal count
            count += 1
            manager = KernelManager(
                kernel_name=name, connection_file=str(runtime_dir / f"kernel-{name}-{count}.json")
            )
            manager.start_kernel()
            stack.callback(_stop, manager)
            wait_for_ready(manager)
            return manager

        yield start


def _stop(manager: KernelManager) -> None:
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def plain_kernel(start_kernel) -> KernelManager:
    """A plain ipykernel, shared by the tests of a module: none may end it."""
    return start_kernel()


@pytest.fixture
def reactive_kernel(start_kernel) -> Iterator[KernelManager]:
    """A reactive kernel of the test's own."""
    manager = start_kernel("marimo")
    yield manager
    _stop(manager)


@pytest.fixture
async def attach() -> AsyncIterator[Callable]:
    """Attach a client to a kernel: `await attach(manager)`."""
    clients = []

    async def attach(manager: KernelManager, name: str = "agent") -> KernelClient:
        clients.append(await KernelClient.attach(read_connection(manager.connection_file), name))
        return clients[-1]

    yield attach
    for client in clients:
        await client.close()


@pytest.fixture
async def person_at() -> AsyncIterator[Callable]:
    """Open a notebook on a kernel: `await person_at(manager)`."""
    people = []

    async def person_at(manager: KernelManager) -> Person:
        people.append(await Person.open(manager.connection_file))
        return people[-1]

    yield person_at
    for person in people:
        person.close()


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def agent(request, runtime_dir) -> AsyncIterator[Agent]:
    """An MCP client on the server's real process, in both eras of the protocol."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", "from marimo_kernel_bridge.mcp_server import run_stdio; run_stdio()"],
        env={"JUPYTER_RUNTIME_DIR": str(runtime_dir)},
    )
    async with Client(server, mode=request.param) as client:
        yield Agent(client)
