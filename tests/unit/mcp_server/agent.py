"""An agent behind a whole MCP server in memory: `await agent("read_cell", cell_id="aaaa")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

from marimo_kernel_bridge.errors import CODES
from marimo_kernel_bridge.mcp_tools import objects_of
from tests.answer_fields import answer_fields, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp import Client

    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration


@dataclass(frozen=True)
class Answer:
    """What a tool answered."""

    text: str
    data: dict[str, Any]  # the structured content
    images: tuple[ImageContent, ...]
    links: tuple[str, ...]
    failed: bool

    def refused(self, code: str) -> bool:
        """Whether the tool refused with this code."""
        assert code in CODES
        return self.failed and self.text.startswith(f"[{code}] ")


class Agent:
    """Calls tools of a server, and checks that each answer has the fields that the tool declares."""

    def __init__(self, client: Client, more: Iterable[ToolDeclaration] = ()) -> None:
        """`more` are tools of plugins."""
        self.client = client
        self._plugins = tuple(more)
        self._more = {declaration.name: fields_of(declaration) for declaration in self._plugins}

    async def __call__(self, tool: str, **arguments: Any) -> Answer:  # JSON
        result = await self.client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        assert set(result.structured_content or ()) <= (self._more.get(tool) or answer_fields(tool))
        first = result.content[0]
        assert isinstance(first, TextContent)
        return Answer(
            first.text,
            objects_of(tool, result.structured_content or {}, self._plugins),
            tuple(block for block in result.content if isinstance(block, ImageContent)),
            tuple(str(block.uri) for block in result.content if isinstance(block, ResourceLink)),
            bool(result.is_error),
        )
