"""Help with code, from a kernel's replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.code_help import CodeHelp, CompletionLine, CompletionList

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached


async def completions(attached: Attached, code: str, limit: int) -> CompletionList:
    """Return what may stand at the end of code. Raises `BridgeError`: not_reactive, ..."""
    found = await attached.client.reads.complete(code, limit)
    lines = tuple(CompletionLine(one.name, one.kind, one.signature) for one in found.matches[:limit])
    return CompletionList(found.part, lines, found.total, attached.news())


async def help_on(attached: Attached, code: str, budget: int) -> CodeHelp:
    """Return what is at the end of code. Raises `BridgeError`: no_such_variable, not_reactive, ..."""
    found = await attached.client.reads.explain(code)
    if found.missing:
        near = f"Like it: {', '.join(found.near)}. " if found.near else ""
        raise BridgeError(
            "no_such_variable",
            f"There is no name {found.missing!r}.",
            f"{near}list_variables shows the names.",
        )
    if not found.known:
        shown = found.expression or "this"
        raise BridgeError(
            "no_such_variable",
            f"What {shown} is cannot be known without evaluating it.",
            "list_variables shows the names. execute_code(scratch=true) evaluates an expression.",
        )
    return CodeHelp(
        found.expression,
        found.kind,
        found.type,
        found.summary,
        found.signature,
        found.cell_id,
        found.place,
        found.doc[:budget],
        len(found.doc),
        attached.news(),
    )
