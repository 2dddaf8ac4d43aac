"""The result of a tool call for a view: text, structured content, images, and a link to the complete outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

from marimo_kernel_bridge.mcp_server.answers.bounds import bounded, first_items
from marimo_kernel_bridge.mcp_server.answers.view import as_data

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.answers.view import View
    from marimo_kernel_bridge.mcp_server.media.output_text import Image
    from marimo_kernel_bridge.protocol.redaction import Redactor


def answer(
    view: View,
    redactor: Redactor,
    images: tuple[Image, ...] = (),
    *,
    budget: int | None = None,
    failed: bool = False,
    full: str | None = None,
) -> CallToolResult:
    """Return a view in both forms, with images, and with the URI of the complete outputs if this is a part of them.

    Texts are bounded, and with `budget` also lists.
    """
    view = bounded(first_items(view), redactor.text, budget)
    pictures = [ImageContent(type="image", data=image.data, mime_type=image.mime_type) for image in images]
    links = [
        ResourceLink(
            type="resource_link", uri=uri, name=uri, title="All of its outputs", mime_type="application/json"
        )
        for uri in filter(None, (full,))
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=view.text()), *pictures, *links],
        structured_content=as_data(view, tables=True),
        is_error=failed,
    )
