"""What tool functions share: the context, common arguments, waiting for a run, and the form of an answer."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.results import as_data
from marimo_kernel_bridge.mcp_server.attachments import Attached, Kernels
from marimo_kernel_bridge.mcp_server.media.output_text import terminal_text
from marimo_kernel_bridge.mcp_server.sdk.tasks import waits_for_ever
from marimo_kernel_bridge.mcp_server.views import runs as mcp_run_views

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.answers.results import View
    from marimo_kernel_bridge.mcp_server.media.output_text import Image
    from marimo_kernel_bridge.mcp_server.views.cells import Window

Ctx = Context[Kernels, Any]  # the second parameter is the transport's request, which no tool looks at

KernelArg = Annotated[
    str | None,
    Field(description="Handle from connect_to_kernel. Needed only with several kernels connected."),
]
CellArg = Annotated[str, Field(description="Id from list_cells, or the notebook's own cell id.")]
CellsArg = Annotated[
    list[str], Field(max_length=1000, description="Ids from list_cells, or the notebook's own cell ids.")
]
TimeoutArg = Annotated[
    float,
    Field(
        ge=0, le=600, description="Seconds to wait. Then the run goes on, and read_run waits for it again."
    ),
]
BudgetArg = Annotated[int, Field(ge=200, le=100_000, description="About how many characters to return.")]
OffsetArg = Annotated[int, Field(ge=0, description="Where in the output text to begin, to read on.")]

WAIT: Final = 30.0
BUDGET: Final = 8000
LIST_BUDGET: Final = 20_000
INTERRUPT_GRACE: Final = 5.0
_PROGRESS_EVERY: Final = 5.0
_OUTPUT_EVERY: Final = 0.5
_MOST_PROGRESS: Final = 500
"""Characters of output in one report: the newest lines. The answer has all."""


def kernels_of(ctx: Ctx) -> Kernels:
    """Return the kernels that the server is attached to."""
    return ctx.request_context.lifespan_context


def client_name(ctx: Ctx) -> str:
    """Name the agent as its host does, for the person to see who ran a cell."""
    params = ctx.session.client_params
    return (params.client_info.name.strip()[:40] if params is not None else "") or "agent"


def can_ask(ctx: Ctx) -> bool:
    """Whether the client puts questions to its person."""
    capabilities = ctx.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    return asking is not None and (asking.form is not None or asking.url is None)


def attached_to(ctx: Ctx, handle: str | None) -> Attached:
    """Return the kernel that a call means. Raises `BridgeError`: not_connected."""
    return kernels_of(ctx).get(handle, client_name(ctx))


async def to_run_in(ctx: Ctx, handle: str | None) -> Attached:
    """Return the kernel that a call means, if its user knows what became of it."""
    attached = attached_to(ctx, handle)
    await attached.require_known()
    return attached


async def finish(ctx: Ctx, attached: Attached, run: Run, bound: float, window: Window) -> CallToolResult:
    """Wait for a run that this call started. If the caller cancels the call, the run is stopped."""
    try:
        await wait(ctx, attached, run, bound)
    except asyncio.CancelledError:
        with anyio.move_on_after(INTERRUPT_GRACE, shield=True), suppress(BridgeError):
            await attached.client.abandon(run)
        raise
    return await run_answer(attached, run, window)


async def wait(ctx: Ctx, attached: Attached, run: Run, bound: float) -> None:
    """Wait for a run, and report its progress: what it prints, as it comes, and that it goes on if it prints nothing.

    Many clients give up on a call that says nothing.
    """
    loop = asyncio.get_running_loop()
    began = reported = loop.time()
    told = 0  # characters of what it printed
    if waits_for_ever.get():
        bound = math.inf
    while (left := began + bound - loop.time()) > 0:
        if await attached.client.wait(run, min(left, _OUTPUT_EVERY)):
            return
        printed = run.printed() if run.last_output_at is not None else ""
        lines = printed[told if told <= len(printed) else 0 : printed.rfind("\n") + 1]
        if lines or loop.time() - reported > _PROGRESS_EVERY:
            told, reported = printed.rfind("\n") + 1, loop.time()
            elapsed = reported - began
            text = _how_far(run, elapsed, attached.redactor.text(terminal_text(lines)))
            await ctx.report_progress(elapsed, None if math.isinf(bound) else bound, text)


def _how_far(run: Run, elapsed: float, lines: str) -> str:
    shown = lines.strip()
    return f"{run.status}, {elapsed:.0f} s" + (f": {shown[-_MOST_PROGRESS:]}" if shown else "")


async def run_answer(attached: Attached, run: Run, window: Window) -> CallToolResult:
    """Answer with how far a run is and what it caused."""
    view, images = await mcp_run_views.run_view(attached, run, window)
    return answer(view, images, failed=view.status == "lost", full=view.full)


def answer(
    view: View, images: tuple[Image, ...] = (), *, failed: bool = False, full: str | None = None
) -> CallToolResult:
    """Answer with a view in both its forms, images, and the address of the whole where this is a part."""
    pictures = [ImageContent(type="image", data=image.data, mime_type=image.mime_type) for image in images]
    links = [
        ResourceLink(
            type="resource_link", uri=uri, name=uri, title="All of its outputs", mime_type="application/json"
        )
        for uri in filter(None, (full,))
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=view.text()), *pictures, *links],
        structured_content=as_data(view),
        is_error=failed,
    )
