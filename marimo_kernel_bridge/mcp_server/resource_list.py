"""The list of resources: for hosts whose person picks from it, those of the kernels that the client is attached to.

They are the templates that need nothing but the kernel. What exists for every client stands first.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from mcp.types import ListResourcesResult, PaginatedRequestParams, Resource

from marimo_kernel_bridge.mcp_server.answers.bounds import bounded_text
from marimo_kernel_bridge.mcp_server.callers import caller_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcp.server import MCPServer
    from mcp.server.context import ServerRequestContext
    from mcp.types import ResourceTemplate

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels

_KERNEL: Final = "{kernel}"
_OPTIONAL: Final = re.compile(r"\{\?[^{}]*\}")
_OF_PLAIN: Final = frozenset({"marimo://{kernel}/events", "marimo://{kernel}/death"})
"""The resources that also a kernel without a graph has."""


def serve_list(server: MCPServer[Any]) -> None:
    """Serve the list."""

    async def listed(
        ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        del params  # all fit into one page
        kernels, agent = ctx.lifespan_context, caller_of(ctx)
        kernels.note_listing(ctx, agent.name)
        templates = await server.list_resource_templates()
        own = [one for one in kernels.of(agent.name) if not one.hidden]
        of_kernels = [one for attached in own for one in _of(attached, templates, kernels)]
        return ListResourcesResult(resources=[*await server.list_resources(), *of_kernels])

    lowlevel = server._lowlevel_server  # noqa: SLF001  # MCPServer lists resources that are the same for every client
    lowlevel.add_request_handler("resources/list", PaginatedRequestParams, listed)


def _of(attached: Attached, templates: Sequence[ResourceTemplate], kernels: Kernels) -> Iterator[Resource]:
    notebook = attached.notebook or attached.said_notebook or attached.client.connection.name
    redact = kernels.redactor.text
    name = redact(bounded_text(PurePath(notebook).name, redact))
    for template in templates:
        address = _OPTIONAL.sub("", template.uri_template)
        uri = address.replace(_KERNEL, attached.handle)
        if uri == address or "{" in uri or not (attached.reactive or address in _OF_PLAIN):
            continue
        yield Resource(
            uri=uri,
            name=uri.removeprefix("marimo://"),
            title=f"{template.title}: {name}",
            description=template.description,
            mime_type=template.mime_type,
        )
