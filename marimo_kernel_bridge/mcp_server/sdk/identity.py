"""What the server says of itself beside its tools: description, icon, how long its lists hold, and what it tells of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mcp.server.caching import CacheHint
from mcp.types import Icon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.caching import CacheableMethod
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

DESCRIPTION: Final = "Joins the Jupyter kernels that a person uses: the same variables and cells, with marimo's reactive graph."

_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="#12355b"/>'
    '<path d="M12 44a20 20 0 0 1 40 0" fill="none" stroke="#ffd166" stroke-width="5"/>'
    '<path d="M6 44h52" stroke="#f4f7fb" stroke-width="4"/></svg>'
)
"""The kernel's logo without its details: the newer protocol sends it with each answer."""

ICON: Final = Icon(src=f"data:image/svg+xml,{quote(_SVG)}", mime_type="image/svg+xml", sizes=["any"])

_HOUR: Final = CacheHint(ttl_ms=3_600_000)
CACHED: Final[Mapping[CacheableMethod, CacheHint]] = {
    "server/discover": _HOUR,
    "tools/list": _HOUR,
    "prompts/list": _HOUR,
    "resources/templates/list": _HOUR,
}
"""Lists that stay the same while a server runs. Those of kernels and what is read in them may change at any time."""

_NEVER_CHANGE: Final = ("tools", "prompts")


async def honest_capabilities(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Declare `listChanged` for the list that changes, resources, and for no other. Server middleware.

    The SDK declares it for all lists, or for none, by the protocol's version.
    """
    found = await call_next(ctx)
    if ctx.method not in {"initialize", "server/discover"} or not isinstance(found, dict):
        return found
    declared: dict[str, Any] = found["capabilities"]
    kept = {name: value for name, value in declared.items() if name not in _NEVER_CHANGE}
    kept |= {
        name: {key: value for key, value in declared[name].items() if key != "listChanged"}
        for name in _NEVER_CHANGE
        if name in declared
    }
    if "resources" in kept:
        kept["resources"] = kept["resources"] | {"listChanged": True}
    return found | {"capabilities": kept}
