"""Kernels, the person at one of them, and the MCP server as a real process."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest
from jupyter_client import KernelManager
from mcp import Client, StdioServerParameters
from mcp.types import Implementation
from person import Agent, Gate, Person, wait_for_ready

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.launch.pool.status import stop_pools


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
        stop_pools()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where servers that the tests start put their audit log."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def start_kernel(runtime_dir) -> Iterator[Callable[..., KernelManager]]:
    """Start a kernel by the name of its kernelspec and wait until it answers."""
    with ExitStack() as stack:
        count = 0

        def start(name: str = "python3", *, wait: bool = True) -> KernelManager:
            nonlocal count
            count += 1
            manager = KernelManager(
                kernel_name=name, connection_file=str(runtime_dir / f"kernel-{name}-{count}.json")
            )
            manager.start_kernel()
            stack.callback(_stop, manager)
            if wait:
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


@pytest.fixture(scope="session")
def _spare(start_kernel) -> list[KernelManager]:
    """A reactive kernel that starts while a test runs, so that the next test need not wait for it."""
    return [start_kernel("marimo", wait=False)]


@pytest.fixture
def reactive_kernel(_spare, start_kernel) -> Iterator[KernelManager]:
    """A reactive kernel of the test's own."""
    manager = _spare.pop()
    _spare.append(start_kernel("marimo", wait=False))
    wait_for_ready(manager)
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


@pytest.fixture
def gate(tmp_path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.release()


@pytest.fixture(scope="session")
def serving(runtime_dir, data_dir) -> Callable[..., StdioServerParameters]:
    """How a client starts the server: `serving(*options)`."""

    def serving(*options: str, env: dict | None = None) -> StdioServerParameters:
        return StdioServerParameters(
            command=sys.executable,
            args=["-m", "marimo_kernel_bridge", "mcp", *options],
            env={"JUPYTER_RUNTIME_DIR": str(runtime_dir), "JUPYTER_DATA_DIR": str(data_dir)} | (env or {}),
        )

    return serving


@pytest.fixture(scope="module")
async def serve(serving) -> AsyncIterator[Callable]:
    """Start the server as a process of its own and connect a client: `await serve(mode, *options)`."""
    async with AsyncExitStack() as stack:

        async def serve(mode: str, *options: str, env: dict | None = None, name: str = "mcp") -> Agent:
            who = Implementation(name=name, version="1")
            client = Client(serving(*options, env=env), mode=mode, client_info=who)
            return Agent(await stack.enter_async_context(client))

        yield serve


@pytest.fixture(scope="module")
async def agent(serve) -> Agent:
    """An MCP client on the server's real process."""
    return await serve("auto")


@pytest.fixture
async def plain(agent, plain_kernel) -> AsyncIterator[Agent]:
    """The agent, connected to a plain kernel only."""
    handle = await agent.connect(plain_kernel)
    yield agent
    await agent("disconnect_kernel", kernel=handle)
