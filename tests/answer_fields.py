"""The fields that answers of tools have, as their declarations say: no client is told, so the tests' agents check it."""

from __future__ import annotations

from functools import cache

from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_tools import TOOLS


@cache
def answer_fields(tool: str) -> frozenset[str]:
    """Return the names of all fields that the structured content of a tool's answer may have."""
    (function,) = (declaration.function for declaration in TOOLS if declaration.name == tool)
    schema = schemas.of_tool(function)
    return frozenset(name for form in schema.get("anyOf", [schema]) for name in form["properties"])
