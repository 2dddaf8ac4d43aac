"""MCP servers in memory, on kernels in memory."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import Implementation

from marimo_kernel_bridge.mcp_server.tool import Tier
from marimo_kernel_bridge.mcp_tools import build_server
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import FakeKernel

Serve = Callable[..., Awaitable[Agent]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the test's own for the audit log and for what runs here."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.fixture
def audit_log(tmp_path: Path) -> Path:
    return tmp_path / "data" / "marimo_kernel_bridge" / "audit.jsonl"


@pytest.fixture
def kernel() -> FakeKernel:
    """The kernel behind every connection file of the test."""
    return FakeKernel()


@pytest.fixture
def connection_file(tmp_path: Path) -> str:
    """A file that is in order; which kernel is behind it, the fixture `kernel` decides."""
    channels = ("shell", "iopub", "stdin", "control", "hb")
    path = tmp_path / "runtime" / "kernel-fake.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({f"{name}_port": 1 for name in channels} | {"ip": "127.0.0.1", "key": "k"}))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
async def serve(kernel: FakeKernel) -> AsyncIterator[Serve]:
    """Serve an agent: `await serve("edit", name="ann")`. It is connected to nothing."""
    async with AsyncExitStack() as stack:

        async def serve(allow: Tier = "run", name: str = "ann") -> Agent:
            server = build_server(allow, attach=kernel.attach)
            client = Client(server, client_info=Implementation(name=name, version="1"))
            return Agent(await stack.enter_async_context(client))

        yield serve


@pytest.fixture
async def agent(serve: Serve) -> Agent:
    """An agent that is connected to nothing."""
    return await serve()


@pytest.fixture
async def connected(agent: Agent, kernel: FakeKernel, connection_file: str) -> Agent:
    """An agent that is connected to the kernel, as k1."""
    assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
    kernel.asked.clear()
    return agent
