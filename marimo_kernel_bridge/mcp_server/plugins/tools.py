"""A plugin's tool as one of the server's: its schema, its call, what the audit log says of it, and the failures of its code.

What is declared here passes the guard like all tools. Permission, strict arguments, redaction, audit and the size of the answer
are the guard's and the SDK's tool's; nothing of them is here.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec
from mcp.types import CallToolResult

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.arguments import Ctx, KernelArg, attached_to, to_run_in
from marimo_kernel_bridge.mcp_server.plugins.answers import PluginText, result_of
from marimo_kernel_bridge.mcp_server.plugins.facade import PluginKernel
from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool
from marimo_kernel_bridge.mcp_server.tool import TIERS, ToolDeclaration
from marimo_kernel_bridge.plugins import PluginTool
from marimo_kernel_bridge.protocol.permissions import includes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from marimo_kernel_bridge.mcp_server.tool import Arguments

logger = logging.getLogger(__name__)

_OURS: Final = frozenset({"ctx", "kernel"})


class UnfitError(Exception):
    """A plugin is not what the interface says. The text is a clause that ends in a full stop."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin is from. `distribution` is empty for one that is part of this package."""

    entry_point: str
    distribution: str = ""
    version: str = ""

    @property
    def label(self) -> str:
        if not self.distribution:
            return "this server"
        return f"{self.distribution} {self.version}, entry point {self.entry_point}"

    def audited(self, _: Arguments) -> Mapping[str, str]:
        """Return what each line of the audit log says besides."""
        return {"plugin": self.distribution, "version": self.version} if self.distribution else {}


def declaration_of(origin: Origin, tool: object) -> ToolDeclaration:
    """Return a tool of a plugin, to be guarded and served. Raises `UnfitError`."""
    if not isinstance(tool, PluginTool):
        raise UnfitError(f"one of its tools is a {type(tool).__name__}, and no PluginTool.")
    function, tier = tool.function, tool.tier
    name = getattr(function, "__name__", repr(function))
    if tier not in TIERS:
        raise UnfitError(f"the tier of {name} is {tier!r}; there are {', '.join(TIERS)}.")
    if not inspect.getdoc(function):
        raise UnfitError(f"{name} has no docstring, which is what models read.")
    parameters, answer = signature_of(function)
    view = _view(name, answer)

    async def call(ctx: Ctx, *, kernel: str | None = None, **arguments: Any) -> CallToolResult:
        attached = await to_run_in(ctx, kernel) if includes(tier, "scratch") else attached_to(ctx, kernel)
        facade = PluginKernel(ctx, attached, tier, call.__name__)
        value = await called(origin, call.__name__, lambda: function(facade, **arguments))
        return result_of(call.__name__, value, view, attached.redactor, facade.images)

    described(call, f"{origin.entry_point}_{name}", inspect.getdoc(function) or "")
    signed(
        call,
        [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Ctx),
            *parameters,
            inspect.Parameter("kernel", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=KernelArg),
        ],
        Annotated[CallToolResult, view],
    )
    declaration = ToolDeclaration(
        call,
        tool.title,
        needs=tier,
        reads=tier == "read",
        runs_code=tool.runs_code or includes(tier, "scratch"),
        destroys=includes(tier, "edit"),
        idempotent=False,
        proposes=False,
        while_paused=False,
        audited=origin.audited,
        joins=True,
        listed_from=tier,
    )
    try:
        StrictTool.of(declaration, call)
        schemas.of_tool(call)
    except Exception as error:  # pydantic and msgspec raise many kinds for a type that has no schema
        raise UnfitError(f"{name} has an argument or an answer without a schema: {error}.") from error
    return declaration


def signature_of(function: Callable[..., Any]) -> tuple[list[inspect.Parameter], Any]:
    """Return the parameters of a plugin's function after the kernel, by keyword, and its answer. Raises `UnfitError`."""
    name = getattr(function, "__name__", repr(function))
    if not inspect.iscoroutinefunction(function):
        raise UnfitError(f"{name} is not an `async def`.")
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # annotations may be any code
        raise UnfitError(f"the annotations of {name} cannot be evaluated: {error}.") from error
    others = list(inspect.signature(function).parameters.values())[1:]
    if not inspect.signature(function).parameters:
        raise UnfitError(f"{name} does not take the kernel, which is its first argument.")
    for parameter in others:
        if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            raise UnfitError(f"{name} takes *{parameter.name}; the schema needs each argument by its name.")
        if parameter.name not in hints:
            raise UnfitError(f"{parameter.name} of {name} has no annotation.")
        if parameter.name in _OURS or parameter.name.startswith("_"):
            raise UnfitError(f"{name} cannot have an argument {parameter.name}.")
    by_keyword = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
        for parameter in others
    ]
    return by_keyword, hints.get("return")


def signed(function: Callable[..., Any], parameters: list[inspect.Parameter], answer: object) -> None:
    """Give a function a signature, for who asks for its parameters and annotations."""
    signature = inspect.Signature(parameters, return_annotation=answer)
    function.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` looks for
    function.__annotations__ = {
        **{parameter.name: parameter.annotation for parameter in parameters},
        "return": answer,
    }


def described(function: Callable[..., Any], name: str, doc: str) -> None:
    """Give a function a name and a docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc


async def called(origin: Origin, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
    """Return what a plugin's function returns. Raises `BridgeError`: its own, and plugin_failed for all that it raises else."""
    try:
        return await call()
    except BridgeError:
        raise
    except (Exception, SystemExit) as error:  # it is somebody else's code
        logger.exception("%s of %s failed", name, origin.label)
        raise BridgeError(
            "plugin_failed",
            f"{name} of {origin.label} failed: {type(error).__name__}: {error}",
            "The server's log has the traceback, for its author. Other tools are not affected.",
        ) from error


def _view(name: str, answer: Any) -> type[Any]:
    if answer is str:
        return PluginText
    if get_origin(answer) is Annotated:
        answer = get_args(answer)[0]
    if isinstance(answer, type) and issubclass(answer, msgspec.Struct):
        return answer
    raise UnfitError(f"{name} must be annotated with what it returns: str, or a msgspec.Struct.")
