"""The tool that opens marimo's own editor for the person.

The address has a code that lets its first user control the kernel: it goes to the person's browser, and never into an answer.
"""

from __future__ import annotations

from typing import Annotated

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.kernels import EditorOpened
from marimo_kernel_bridge.mcp_server.arguments import Ctx, KernelArg, client_name, to_run_in
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.showing import show_address

_BY_HAND = "Ask them to run %marimo open in a cell: it shows an address."


@tool("Open marimo's editor", needs="run")
async def open_editor(
    ctx: Ctx,
    *,
    app: Annotated[bool, Field(description="As an app, without code.")] = False,
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, EditorOpened]:
    """Open the notebook in marimo's editor in the person's browser. Only where they asked."""
    attached = await to_run_in(ctx, kernel)
    if not attached.here:
        raise BridgeError("bad_request", "The editor opens on the kernel's machine only.", _BY_HAND)
    link = await attached.client.document.open_editor(app=app)
    what = "as an app" if app else "in marimo's editor"
    agreed = await show_address(ctx, f"{client_name(ctx)} wants to open the notebook {what}.", link.url)
    state, message = {
        True: ("opened", f"The person has the notebook {what}, in their browser."),
        False: ("declined", "The person did not open it."),
        None: ("not_shown", f"The address could not be shown to the person. {_BY_HAND}"),
    }[agreed]
    return answer(EditorOpened(attached.handle, state, message), attached.redactor)
