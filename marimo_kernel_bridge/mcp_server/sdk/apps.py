"""MCP Apps: pages of this server within a host's conversation (`io.modelcontextprotocol/ui`, by the SDK's extension).

Owns the address of the page, what tools say of it, and that tools which are for the page alone are not listed for clients
without pages: they would show them to a model. The page itself is the one of `viewing`, for all hosts the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp.server.apps import APP_MIME_TYPE, Apps, ResourceCsp, client_supports_apps
from mcp.server.mcpserver.resources import FunctionResource

from marimo_kernel_bridge.viewing.page import page_html

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration

PAGE_URI: Final = "ui://marimo-kernel-bridge/view.html"


def view_page() -> Apps:
    """Return the extension with the page. It may connect to nothing: all that it shows comes by the host."""
    closed = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
    apps = Apps()
    apps.add_resource(
        FunctionResource(
            uri=PAGE_URI,
            name="view",
            title="A table",
            description="The page that shows a table.",
            mime_type=APP_MIME_TYPE,
            fn=lambda: page_html(""),
            meta={"ui": {"csp": closed.model_dump(by_alias=True, exclude_none=True), "prefersBorder": True}},
        )
    )
    return apps


def meta_of(declaration: ToolDeclaration) -> dict[str, Any] | None:
    """Return the `_meta` of a tool in the list, if it has to do with the page."""
    match declaration.app:
        case "no":
            return None
        case "shows":
            return {"ui": {"resourceUri": PAGE_URI}}
        case "only":
            return {"ui": {"resourceUri": PAGE_URI, "visibility": ["app"]}}


async def hide_from_models(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """List tools that are for pages alone only for clients with pages. Server middleware."""
    found = await call_next(ctx)
    if ctx.method != "tools/list" or not isinstance(found, dict) or client_supports_apps(ctx):
        return found
    return found | {"tools": [tool for tool in found["tools"] if not _is_for_pages(tool)]}


def _is_for_pages(tool: dict[str, Any]) -> bool:
    ui: dict[str, Any] = (tool.get("_meta") or {}).get("ui", {})
    return ui.get("visibility") == ["app"]
