"""The fields that answers of tools have, as their declarations say: no client is told, so the tests' agents check it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_tools import TOOLS

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration


@cache
def answer_fields(tool: str) -> frozenset[str]:
    """Return the names of all fields that the structured content of a tool's answer may have."""
    (declaration,) = (declaration for declaration in TOOLS if declaration.name == tool)
    return fields_of(declaration)


def fields_of(declaration: ToolDeclaration) -> frozenset[str]:
    """Return the names of all fields that the structured content of a declared tool's answer may have."""
    schema = schemas.of_tool(declaration.function)
    return frozenset(name for form in schema.get("anyOf", [schema]) for name in form["properties"])
