"""A server of this process and its client, for the calls of `call`: with the permissions, pauses and audit log of `mcp`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from marimo_kernel_bridge.cli.plugins import loaded
from marimo_kernel_bridge.cli.terminal import confirmed
from marimo_kernel_bridge.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from mcp import Client
    from mcp.client.session import ElicitationFnT
    from mcp.types import CallToolResult, ElicitResult, Tool

    from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
    from marimo_kernel_bridge.mcp_server.tool import Tier


@dataclass(frozen=True)
class CallOptions:
    """How calls are made, and shown."""

    allow: Tier
    client: str
    ceilings: Ceilings
    as_json: bool = False
    pictures: Path | None = None
    keep_going: bool = False


class CallServer:
    """A server of this process, and a client of it. A context manager."""

    def __init__(self, options: CallOptions) -> None:
        self._options = options
        self._plugins = loaded()
        self._tools: dict[str, Tool] = {}

    async def __aenter__(self) -> Self:
        from mcp import Client  # noqa: PLC0415  # only for this command
        from mcp.types import Implementation  # noqa: PLC0415

        from marimo_kernel_bridge import __version__  # noqa: PLC0415
        from marimo_kernel_bridge.mcp_tools import build_server  # noqa: PLC0415

        server = build_server(self._options.allow, ceilings=self._options.ceilings, plugins=self._plugins)
        self._client: Client = Client(
            server,
            client_info=Implementation(name=self._options.client, version=__version__),
            elicitation_callback=_asked_here() if sys.stdin.isatty() else None,
        )
        await self._client.__aenter__()
        listed = (await self._client.list_tools()).tools
        self._tools = {tool.name: tool for tool in (*_all_tools(), *listed)}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    def tool(self, name: str) -> Tool:
        """Return a tool. Raises `WrongUsageError`."""
        if name in self._tools:
            return self._tools[name]
        import difflib  # noqa: PLC0415  # only then

        near = difflib.get_close_matches(name, self._tools, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise WrongUsageError(f"There is no tool {name[:80]!r}.", f"{meant}--list shows them.")

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        from mcp.types import CallToolResult  # noqa: PLC0415  # only for this command

        result = await self._client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        return result

    def objects(self, tool: str, result: CallToolResult) -> dict[str, Any] | None:
        """Return what a tool says as data, with its tables as lists of objects."""
        from marimo_kernel_bridge.mcp_tools import objects_of  # noqa: PLC0415  # only for this command

        objects: dict[str, Any] | None = objects_of(tool, result.structured_content, self._plugins.tools)
        return objects


def _all_tools() -> Iterator[Tool]:
    """Yield the tools, also those that the permission does not allow: a call of one is refused with the reason."""
    from mcp.types import Tool  # noqa: PLC0415  # only for this command

    from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import TOOLS  # noqa: PLC0415

    for declaration in TOOLS:
        made = StrictTool.of(declaration, declaration.function)
        yield Tool(
            name=made.name, title=made.title, description=made.description, input_schema=made.parameters
        )


def _asked_here() -> ElicitationFnT:
    """Return what asks the person at the terminal, as a host would."""

    async def ask(context: Any, params: Any) -> ElicitResult:
        from mcp.types import ElicitResult  # noqa: PLC0415  # only then

        del context

        fields = list(getattr(params, "requested_schema", {}).get("properties", {}))
        agreed = await asyncio.to_thread(confirmed, params.message)
        return ElicitResult(
            action="accept" if agreed else "decline", content=dict.fromkeys(fields, True) if agreed else None
        )

    return ask
