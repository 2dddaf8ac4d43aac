"""MCP servers as processes that can be killed, for tests of what outlives them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, Implementation, TextContent

from marimo_kernel_bridge.mcp_tools import objects_of

if TYPE_CHECKING:
    from pathlib import Path

_SERVE = 'echo $$ > "$0"; exec "$@"'


class Server:
    """A server of one client. Its calls return the text of the answer and its structured content."""

    def __init__(self, place: Path, number: int, environment: dict[str, str]) -> None:
        self._pid_file = place / f"server-{number}.pid"
        self._parameters = StdioServerParameters(
            command="/bin/sh",
            args=[
                *("-c", _SERVE, str(self._pid_file)),
                *(sys.executable, "-m", "marimo_kernel_bridge", "mcp", "--allow", "all"),
            ],
            env=os.environ | environment,
            cwd=place,
        )
        self._name = f"agent {number}"
        self._over = asyncio.Event()

    async def start(self) -> Server:
        client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._holding = asyncio.create_task(self._hold(client))
        self._client = await client
        return self

    async def _hold(self, entered: asyncio.Future[Client]) -> None:
        """Keep the client in a task of its own, which it cancels when its server ends."""
        client = Client(self._parameters, client_info=Implementation(name=self._name, version="1"))
        with suppress(Exception):  # whatever the client makes of a server that was killed
            async with client:
                entered.set_result(client)
                await self._over.wait()

    def kill(self) -> None:
        """End the process as `kill -9` does, if it has begun."""
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int(self._pid_file.read_text()), signal.SIGKILL)

    async def close(self) -> None:
        self._over.set()
        await asyncio.wait({self._holding}, timeout=30)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool. Raises AssertionError with the refusal."""
        result = await self._client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        assert not result.is_error, text
        return {"text": text, **objects_of(tool, result.structured_content or {})}
