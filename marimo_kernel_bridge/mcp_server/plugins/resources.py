"""A plugin's resource as one of the server's: its address, and its function as the guard takes them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.arguments import Ctx, attached_to
from marimo_kernel_bridge.mcp_server.plugins.facade import PluginKernel
from marimo_kernel_bridge.mcp_server.plugins.tools import (
    Origin,
    UnfitError,
    called,
    described,
    signature_of,
    signed,
)
from marimo_kernel_bridge.plugins import PluginResource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PATH: Final = re.compile(r"([\w.-]+|\{[a-z]\w*\})(/([\w.-]+|\{[a-z]\w*\}))*")
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class ServedResource:
    """A resource with the server's own parameters. `read` takes the context, the kernel's handle, and the path's parameters."""

    uri: str
    title: str
    mime_type: str
    read: Callable[..., Awaitable[str | bytes]]
    origin: Origin


def resource_of(origin: Origin, resource: object) -> ServedResource:
    """Return a plugin's resource, to be guarded and served. Raises `UnfitError`."""
    if not isinstance(resource, PluginResource):
        raise UnfitError(f"one of its resources is a {type(resource).__name__}, and no PluginResource.")
    if not _PATH.fullmatch(resource.path):
        raise UnfitError(f"the path {resource.path!r} of a resource is none: tables/{{name}}.")
    function = resource.function
    parameters, _ = signature_of(function)
    names = [parameter.name for parameter in parameters]
    if sorted(names) != sorted(_PARAMETER.findall(resource.path)) or any(
        parameter.annotation is not str for parameter in parameters
    ):
        raise UnfitError(
            f"the arguments of {function.__name__} are not those of its path {resource.path}, each a str."
        )

    async def read(ctx: Ctx, kernel: str, **arguments: str) -> str | bytes:
        facade = PluginKernel(ctx, attached_to(ctx, kernel), "read", read.__name__)
        content = await called(origin, read.__name__, lambda: function(facade, **arguments))
        if not isinstance(content, str | bytes):
            raise BridgeError(
                "plugin_failed",
                f"{read.__name__} returned a {type(content).__name__}, and should return str or bytes.",
            )
        return content

    described(read, f"{origin.entry_point}_{function.__name__}", inspect.getdoc(function) or resource.title)
    signed(
        read,
        [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Ctx),
            *(
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str)
                for name in ("kernel", *names)
            ),
        ],
        Any,
    )
    uri = f"plugin://{origin.entry_point}/{{kernel}}/{resource.path}"
    return ServedResource(uri, resource.title, resource.mime_type, read, origin)
