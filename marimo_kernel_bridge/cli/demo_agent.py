"""The agent of `demo` and `doctor`: the MCP SDK's client, connected over stdio to a server that it starts as a host does.

Calls tools and returns their answers; decides nothing.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from marimo_kernel_bridge.mcp_tools import objects_of
from marimo_kernel_bridge.protocol.own_python import module_command, python_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import TextIO


class ToolFailedError(Exception):
    """A tool answered with an error; its text is the message."""


class Agent:
    """A connected MCP client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:  # JSON in, JSON out
        """Call a tool and return its structured content. Raises `ToolFailedError`."""
        result = await self._client.call_tool(tool, arguments)
        if result.is_error:
            text = " ".join(part.text for part in result.content if part.type == "text")
            raise ToolFailedError(f"{tool}: {text}")
        answer: dict[str, Any] = objects_of(tool, result.structured_content or {})
        return answer


@asynccontextmanager
async def attached_agent(connection_file: str, log: TextIO) -> AsyncIterator[Agent]:
    """Start an MCP server and connect it to a kernel. The server's stderr goes to `log`. Raises `ToolFailedError`."""
    program, *arguments = module_command("mcp")
    server = StdioServerParameters(command=program, args=arguments, env=python_environment())
    async with Client(stdio_client(server, errlog=log)) as client:
        agent = Agent(client)
        await agent.call("connect_to_kernel", connection_file=connection_file)
        yield agent


def single_errors(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the exceptions in nested groups: the SDK's task groups wrap exceptions that are raised inside them."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from single_errors(error)
        else:
            yield error
