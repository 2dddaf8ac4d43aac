"""The tools that help to write code: completion, and what a name is. They evaluate nothing."""

from __future__ import annotations

from typing import Annotated

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.code_help import CodeHelp, CompletionList
from marimo_kernel_bridge.mcp_server.arguments import BudgetArg, Ctx, KernelArg, attached_to
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views import code_help as views

_HELP_BUDGET = 1000


@tool("Complete code", needs="read", reads=True)
async def complete_code(
    ctx: Ctx,
    *,
    code: Annotated[str, Field(max_length=100_000, description="Code up to the cursor.")],
    kernel: KernelArg = None,
    limit: Annotated[int, Field(ge=1, le=500, description="How many.")] = 30,
) -> Annotated[CallToolResult, CompletionList]:
    """Complete the end of code: names, attributes, keys, columns, arguments. Evaluates nothing."""
    attached = attached_to(ctx, kernel)
    return answer(await views.completions(attached, code, limit), attached.redactor)


@tool("Look up a name", needs="read", reads=True)
async def inspect_code(
    ctx: Ctx,
    *,
    code: Annotated[
        str,
        Field(
            max_length=100_000,
            description="A name, such as df.groupby.",
        ),
    ],
    kernel: KernelArg = None,
    max_chars: BudgetArg = _HELP_BUDGET,
) -> Annotated[CallToolResult, CodeHelp]:
    """Type, signature and documentation of a name. Evaluates nothing."""
    attached = attached_to(ctx, kernel)
    return answer(await views.help_on(attached, code, max_chars), attached.redactor)
