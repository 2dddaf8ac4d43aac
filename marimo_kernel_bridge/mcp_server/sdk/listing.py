"""Which tools the list has: those that the person's permission allows. Others cost each agent tokens, and calls that are refused.

A call of one that is not listed is answered as any other, with the permission that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container

    from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext


def without(names: Container[str]) -> ServerMiddleware[Any]:
    """Return a middleware of the server that leaves tools out of the list."""

    async def listed(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        found = await call_next(ctx)
        if ctx.method != "tools/list" or not isinstance(found, dict):
            return found
        return found | {"tools": [tool for tool in found["tools"] if tool["name"] not in names]}

    return listed
