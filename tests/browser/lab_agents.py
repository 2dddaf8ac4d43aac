"""Second clients of a kernel that a person has open: on its ZMQ sockets, and through the MCP server.

Both block. MCP runs in a thread of its own, because Playwright's synchronous API occupies this thread's event loop.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import zmq
from anyio import fail_after
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jupyter_client.session import Session
from mcp import Client, StdioServerParameters
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import Implementation

from marimo_kernel_bridge.mcp_tools import objects_of
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell, EditReport
from marimo_kernel_bridge.protocol.notebook import Cell, KernelDescription, RunReport
from tests.agent_jobs import CountingAgent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from mcp.client.extension import ClientExtension
    from mcp.types import BlobResourceContents, CallToolResult, TextResourceContents, Tool

    from tests.agent_jobs import Cost

TIMEOUT_MS = 60_000

T = TypeVar("T")


class WireClient:
    """Speaks the wire contract on the shell and control channels, with nothing of ours but `wire`."""

    def __init__(self, connection_file: Path, name: str = "agent") -> None:
        info = msgspec.json.decode(connection_file.read_bytes())
        self._session = Session(
            key=info["key"].encode(), signature_scheme=info["signature_scheme"], username=name
        )
        self._context = zmq.Context()
        self._sockets = {}
        for channel in ("shell", "control"):
            socket = self._context.socket(zmq.DEALER)
            if "curve_publickey" in info:
                socket.curve_serverkey = socket.curve_publickey = info["curve_publickey"].encode()
                socket.curve_secretkey = info["curve_secretkey"].encode()
            socket.connect(f"{info['transport']}://{info['ip']}:{info[f'{channel}_port']}")
            self._sockets[channel] = socket

    def close(self) -> None:
        self._context.destroy(linger=0)

    def describe(self) -> KernelDescription:
        return self.ask(wire.Describe(), KernelDescription)

    def ask(self, request: wire.Request, kind: type[T]) -> T:
        """Send a request on control, where it is answered while a cell runs."""
        return self._ask("control", request, kind)

    def _ask(self, channel: str, request: wire.Request, kind: type[T]) -> T:
        socket = self._sockets[channel]
        sent = self._session.send(socket, wire.REQUEST, wire.encode_request(request))
        assert sent is not None
        while socket.poll(TIMEOUT_MS):
            _, reply = self._session.recv(socket, mode=0)
            assert reply is not None
            if reply["parent_header"].get("msg_id") == sent["header"]["msg_id"]:
                return wire.decode_reply(reply["content"], kind)
        raise TimeoutError(f"no reply to {request} on the {channel} channel")


class ZmqAgent(WireClient):
    """Changes the kernel's own cells."""

    def cells(self) -> list[Cell]:
        return self.ask(wire.ListCells(), list[Cell])

    def edit(self, cell: Cell, code: str) -> RunReport:
        """Change a cell as last read, and run it with its dependents."""
        change = ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code)
        report = self._ask("shell", wire.EditCells(changes=[change]), EditReport)
        assert report.run is not None, report.problems
        return report.run


@contextmanager
def zmq_agent(connection_file: Path) -> Iterator[ZmqAgent]:
    agent = ZmqAgent(connection_file)
    try:
        yield agent
    finally:
        agent.close()


class McpAgent:
    """The MCP SDK's client on our server over stdio, as a host such as an editor starts it."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self._client = client
        self._joined: list[str] = []

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured content; `ToolRefusedError` if it is an error."""
        result = self.result(tool, **arguments)
        if result.is_error:
            raise ToolRefusedError(" ".join(block.text for block in result.content if block.type == "text"))
        assert result.structured_content is not None
        if tool == "connect_to_kernel":
            self._joined.append(result.structured_content["kernel"])
        return objects_of(tool, result.structured_content)

    def plays(self, job: Callable[[CountingAgent], Awaitable[object]]) -> Cost:
        """Do a job, and return what it has cost."""
        counting = CountingAgent(self._client)
        self._portal.call(job, counting)
        return counting.cost

    def leave(self) -> None:
        """Disconnect from the kernels that it joined."""
        while self._joined:
            self.call("disconnect_kernel", kernel=self._joined.pop())

    def result(self, tool: str, **arguments: Any) -> CallToolResult:
        return self._portal.call(self._client.call_tool, tool, arguments)

    def listed(self) -> list[Tool]:
        """Return the tools that the server lists."""
        return self._portal.call(self._client.list_tools).tools

    def read(self, uri: str) -> TextResourceContents | BlobResourceContents:
        """Read a resource."""
        (content,) = self._portal.call(self._client.read_resource, uri).contents
        return content

    @contextmanager
    def subscribed(self, *uris: str) -> Iterator[Callable[[str], None]]:
        """Subscribe to resources: gives a function that waits until the server has told that one has changed."""
        listening = self._client.listen(resource_subscriptions=list(uris))
        with self._portal.wrap_async_context_manager(listening) as events:

            async def told(uri: str) -> None:
                with fail_after(TIMEOUT_MS / 1000):
                    async for event in events:
                        if isinstance(event, ResourceUpdated) and str(event.uri) == uri:
                            return

            yield lambda uri: self._portal.call(told, uri)


def change(cell: dict[str, Any], code: str) -> dict[str, Any]:
    """An edit: new code for a cell as list_cells gave it."""
    return {"action": "change", "cell_id": cell["cell_id"], "version": cell["version"], "code": code}


class ToolRefusedError(Exception):
    """A tool's answer was an error, with this text."""


@contextmanager
def mcp_agent(
    runtime_directory: Path, *options: str, name: str = "agent", extensions: Sequence[ClientExtension] = ()
) -> Iterator[McpAgent]:
    """Start the server with these options, for a host of this name, with these extensions of the protocol."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "marimo_kernel_bridge", "mcp", *options],
        env={"JUPYTER_RUNTIME_DIR": str(runtime_directory)},
    )
    host = Client(server, client_info=Implementation(name=name, version="1"), extensions=extensions)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(host) as client:
        yield McpAgent(portal, client)
