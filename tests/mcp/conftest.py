"""Kernels, the person at one of them, and the MCP server: in this process, or as one of its own."""

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pytest
from jupyter_client import KernelManager
from mcp import Client, StdioServerParameters
from mcp.types import Implementation
from person import Agent, Gate, Person, wait_for_ready

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.pool.provisioner import PooledKernel
from marimo_kernel_bridge.launch.pool.status import stop_pools
from marimo_kernel_bridge.mcp_server.tool import Tier
from marimo_kernel_bridge.mcp_tools import build_server
from tests.isolation import Home, Homes


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def runtime_dir(module_home: Home) -> Iterator[Path]:
    """Jupyter's runtime folder of a module's kernels and servers."""
    yield module_home.runtime
    stop_pools()


@pytest.fixture(autouse=True)
def _kernels_of_the_module_are_found(home: Home, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime_dir))


@pytest.fixture(scope="module")
def data_dir(module_home: Home) -> Path:
    """Where servers that the tests of a module start put their audit log."""
    return module_home.folder / "data"


@pytest.fixture(scope="module")
def start_kernel(homes: Homes, runtime_dir: Path) -> Iterator[Callable[..., KernelManager]]:
    """Start a kernel by the name of its kernelspec and wait until it answers."""
    with ExitStack() as stack:

        def start(name: str = "python3", *, wait: bool = True) -> KernelManager:
            manager = _started(homes, name, runtime_dir)
            stack.callback(_stop, manager)
            if wait:
                wait_for_ready(manager)
            return manager

        yield start


def _started(homes: Homes, name: str, runtime_dir: Path | None = None) -> KernelManager:
    home = homes.new("k")
    # A name of its own: the file lies beside those of other kernels.
    path = (runtime_dir or home.runtime) / f"kernel-{name}-{home.folder.name}.json"
    manager = KernelManager(kernel_name=name, connection_file=str(path))
    manager.start_kernel(env=home.environment())
    return manager


def _stop(manager: KernelManager) -> None:
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def plain_kernel(start_kernel: Callable[..., KernelManager]) -> KernelManager:
    """A plain ipykernel, shared by the tests of a module: none may end it."""
    return start_kernel()


@contextmanager
def _forked(pool_home: Home, homes: Homes, runtime_dir: Path) -> Iterator[KernelManager]:
    own = homes.new("k")
    path = runtime_dir / f"kernel-{own.folder.name}.json"
    manager = KernelManager(kernel_name="marimo", connection_file=str(path))
    assert manager.kernel_spec is not None
    manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
    manager.log.setLevel(logging.INFO)  # why it starts without the pool
    with pool_home.lived_in():
        # A pool has one home and one runtime folder; temporary files are the kernel's own.
        manager.start_kernel(env=pool_home.environment(TMPDIR=str(own.temporary)))
    assert isinstance(getattr(manager.provisioner, "process", None), PooledKernel), "started without the pool"
    wait_for_ready(manager)
    yield manager
    _stop(manager)


@pytest.fixture
def reactive_kernel(pool_home: Home, homes: Homes, runtime_dir: Path) -> Iterator[KernelManager]:
    """A reactive kernel of the test's own."""
    with _forked(pool_home, homes, runtime_dir) as manager:
        yield manager


@pytest.fixture
def second_kernel(pool_home: Home, homes: Homes, runtime_dir: Path) -> Iterator[KernelManager]:
    """Another one."""
    with _forked(pool_home, homes, runtime_dir) as manager:
        yield manager


@pytest.fixture
def restart(pool_home: Home) -> Callable[[KernelManager], None]:
    """Replace the process of a reactive kernel by another one of its pool."""

    def restart(manager: KernelManager) -> None:
        with pool_home.lived_in():
            manager.restart_kernel(now=True)

    return restart


@pytest.fixture
async def attach() -> AsyncIterator[Callable[..., Awaitable[KernelClient]]]:
    """Attach a client to a kernel: `await attach(manager)`."""
    clients: list[KernelClient] = []

    async def attach(manager: KernelManager, name: str = "agent") -> KernelClient:
        clients.append(await KernelClient.attach(read_connection(manager.connection_file), name))
        return clients[-1]

    yield attach
    for client in clients:
        await client.close()


@pytest.fixture
async def person_at() -> AsyncIterator[Callable[..., Awaitable[Person]]]:
    """Open a notebook on a kernel: `await person_at(manager)`."""
    people: list[Person] = []

    async def person_at(manager: KernelManager) -> Person:
        people.append(await Person.open(manager.connection_file))
        return people[-1]

    yield person_at
    for person in people:
        person.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.release()


@pytest.fixture(scope="module")
def serving(module_home: Home, data_dir: Path) -> Callable[..., StdioServerParameters]:
    """How a client starts the server: `serving(*options)`."""

    def serving(*options: str, env: dict[str, str] | None = None) -> StdioServerParameters:
        return StdioServerParameters(
            command=sys.executable,
            args=["-m", "marimo_kernel_bridge", "mcp", *options],
            env=module_home.variables | {"JUPYTER_DATA_DIR": str(data_dir)} | (env or {}),
        )

    return serving


@pytest.fixture(scope="module")
async def serve(
    serving: Callable[..., StdioServerParameters],
) -> AsyncIterator[Callable[..., Awaitable[Agent]]]:
    """Start the server as a process of its own and connect a client: `await serve(mode, *options)`."""
    async with AsyncExitStack() as stack:

        async def serve(
            mode: str, *options: str, env: dict[str, str] | None = None, name: str = "mcp"
        ) -> Agent:
            who = Implementation(name=name, version="1")
            client = Client(serving(*options, env=env), mode=mode, client_info=who)
            return Agent(await stack.enter_async_context(client))

        yield serve


@pytest.fixture(scope="module")
async def serve_here() -> AsyncIterator[Callable[..., Awaitable[Agent]]]:
    """Connect a client to a server in this process: `await serve_here(mode, allow, name)`."""
    async with AsyncExitStack() as stack:

        async def serve_here(
            mode: Literal["auto", "legacy"], allow: Tier = "run", name: str = "mcp"
        ) -> Agent:
            who = Implementation(name=name, version="1")
            client = Client(build_server(allow), mode=mode, client_info=who)
            return Agent(await stack.enter_async_context(client))

        yield serve_here


@pytest.fixture(scope="module")
async def served(serve_here: Callable[..., Awaitable[Agent]]) -> Agent:
    """An MCP client for all tests of a module."""
    return await serve_here("auto")


@pytest.fixture
async def agent(served: Agent) -> AsyncIterator[Agent]:
    """The agent, connected to nothing, and so again after the test."""
    yield served
    await served.leave()


@pytest.fixture
async def plain(agent: Agent, plain_kernel: KernelManager) -> Agent:
    """The agent, connected to a plain kernel only."""
    await agent.connect(plain_kernel)
    return agent
