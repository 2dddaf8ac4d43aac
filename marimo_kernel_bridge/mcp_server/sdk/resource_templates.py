"""Templates of resources whose functions take parts of a URI, as texts.

The SDK makes a pydantic model and a JSON schema of each function, to convert its arguments: 2 ms for each of our templates,
for each server that is built. Texts need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.resources import ResourceSecurity, ResourceTemplate
from mcp.shared.uri_template import UriTemplate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server import MCPServer


def add_template(
    server: MCPServer[Any],
    uri: str,
    function: Callable[..., Awaitable[str | bytes]],
    *,
    title: str,
    mime_type: str,
    security: ResourceSecurity,
) -> None:
    """Register a function with a docstring. It takes `ctx`, and the variables of the URI's template by their names, each a `str`."""
    server._resource_manager._templates[uri] = ResourceTemplate(  # noqa: SLF001  # the SDK adds functions only
        uri_template=uri,
        name=function.__name__,
        title=title,
        description=function.__doc__,
        mime_type=mime_type,
        fn=function,
        parameters={},
        context_kwarg="ctx",
        parsed_template=UriTemplate.parse(uri),
        security=security,
    )
