"""Completions: the kernels, notebooks, cells, variables, runs and views that the arguments of resources and prompts can name.

They read, and need what reading needs. What cannot be listed (the kernel is dead, several are meant) completes to nothing: a person
who types is not told errors.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver import Context
from mcp.types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import bounded_text
from marimo_kernel_bridge.mcp_server.arguments import attached_to, caller, kernels_of
from marimo_kernel_bridge.mcp_server.sdk.events import KINDS
from marimo_kernel_bridge.mcp_server.unknown_kernels import names_of_running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp.server import MCPServer
    from mcp.server.context import ServerRequestContext

    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.guard import Guard

_MOST: Final = 100
"""The protocol's limit."""
_LONGEST: Final = 1000
_BOUND: Final = 5.0
"""Seconds: a person is typing."""


def add_completions(server: MCPServer[Any], guard: Guard) -> None:
    """Serve completions."""

    async def complete(ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        context: Ctx = Context(request_context=ctx, mcp_server=server)
        given = (params.context.arguments if params.context is not None else None) or {}
        of = params.argument.name
        about = {"kernel": given.get("kernel") or None} if of in _OF_KERNEL else {}
        values: list[str] = []
        if len(params.argument.value) <= _LONGEST and _is_ours(params):
            try:
                async with asyncio.timeout(_BOUND):
                    values = await guard.completed(context, of, _values, **about, given=given)
            except (BridgeError, TimeoutError):
                values = []
        found = _matching(values, params.argument.value)
        return CompleteResult(
            completion=Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)
        )

    lowlevel = server._lowlevel_server  # noqa: SLF001  # MCPServer passes no context, which says whose kernels they are
    lowlevel.add_request_handler("completion/complete", CompleteRequestParams, complete)


_OF_KERNEL: Final = frozenset({"cell_id", "variable", "run_id", "output"})


def _is_ours(params: CompleteRequestParams) -> bool:
    return isinstance(params.ref, PromptReference) or params.ref.uri.startswith("marimo://")


def _matching(values: Iterable[str], typed: str) -> list[str]:
    """Return values that begin so, then those that have it within, each once and in their order."""
    folded = typed.casefold()
    known = list(dict.fromkeys(values))
    begin = [value for value in known if value.casefold().startswith(folded)]
    return begin + [value for value in known if folded in value.casefold() and value not in set(begin)]


async def _values(ctx: Ctx, argument: str, given: dict[str, str], kernel: str | None = None) -> list[str]:
    """Return all values of an argument. Raises `BridgeError`."""
    kernels, agent = kernels_of(ctx), caller(ctx)
    match argument:
        case "kernel":
            own = [attached.handle for attached in kernels.of(agent.name) if not attached.hidden]
            found = [*own, *await names_of_running()]
        case "notebook":
            found = await names_of_running()
        case "kind":
            found = list(KINDS)
        case "view" if agent.in_session:
            found = [view.handle for view in kernels.views.of(agent.name)]
        case "cell_id":
            found = [cell.cell_id for cell in await attached_to(ctx, kernel).list_cells()]
        case "variable":
            reads = attached_to(ctx, kernel).client.reads
            found = [variable.name for variable in await reads.list_variables()]
        case "run_id" if agent.in_session:
            found = [run.run_id for run in reversed(attached_to(ctx, kernel).client.runs.ours)]
        case "output" if given.get("cell_id"):
            read = await attached_to(ctx, kernel).client.reads.read_cell(given["cell_id"], 0)
            found = [str(number) for number in range(len(read.outputs))]
        case _:
            found = []
    redact = kernels.redactor.text
    return [redact(bounded_text(value, redact)) for value in found]
