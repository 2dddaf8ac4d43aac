"""The MCP tools: one short function each, with what a model reads of it.

Owns names, arguments and descriptions. What a tool says is made in `mcp_views.py`, what it does in
`kernel_client.py`. No state here: attached kernels are the server's lifespan value.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from marimo_kernel_bridge import mcp_run_views, mcp_views
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_kernels import Attached, Kernels
from marimo_kernel_bridge.mcp_results import (
    CellList,
    CellView,
    Disconnected,
    KernelList,
    KernelState,
    RunView,
    View,
    as_data,
)
from marimo_kernel_bridge.mcp_strict import tool
from marimo_kernel_bridge.mcp_views import Window

if TYPE_CHECKING:
    from mcp.server.mcpserver.tools import Tool

    from marimo_kernel_bridge.mcp_outputs import Image
    from marimo_kernel_bridge.runs import Run

Ctx = Context[Kernels, Any]  # the second parameter is the transport's request, which no tool looks at

KernelArg = Annotated[
    str | None,
    Field(description="Handle from connect_to_kernel. Needed only with several kernels connected."),
]
CellArg = Annotated[str, Field(description="Id from list_cells, or the notebook's own cell id.")]
TimeoutArg = Annotated[
    float,
    Field(
        ge=0, le=600, description="Seconds to wait. Then the run goes on, and read_run waits for it again."
    ),
]
BudgetArg = Annotated[
    int, Field(ge=200, le=50_000, description="About how many characters of output to return.")
]
OffsetArg = Annotated[int, Field(ge=0, description="Where in the output text to begin, to read on.")]

_WAIT: Final = 30.0
_BUDGET: Final = 8000
_PROGRESS_EVERY: Final = 5.0
_INTERRUPT_GRACE: Final = 5.0


async def list_kernels(ctx: Ctx) -> Annotated[CallToolResult, KernelList]:
    """List the Jupyter kernels that run here: which are reactive, and which notebook each belongs to."""
    from marimo_kernel_bridge.discovery import find_kernels  # noqa: PLC0415  # urllib is slow to import

    return _answer(mcp_views.kernel_list(await find_kernels(), _kernels(ctx)))


async def connect_to_kernel(
    ctx: Ctx,
    *,
    connection_file: Annotated[
        str, Field(description="File name from list_kernels, a kernel id, or the path of a connection file.")
    ],
) -> Annotated[CallToolResult, KernelState]:
    """Attach to a running kernel, beside the person who uses it. Returns the handle for the other tools."""
    from marimo_kernel_bridge.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    attached = await _kernels(ctx).connect(connection_file, _client_name(ctx))
    notebook = (await notebooks_by_kernel()).get(attached.client.connection.kernel_id)
    return _answer(await mcp_views.kernel_state(attached, notebook))


async def kernel_status(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, KernelState]:
    """Tell whether a kernel is idle, busy (with whose request, since when), silent or dead, and which runs are open."""
    return _answer(await mcp_views.kernel_state(_kernels(ctx).get(kernel)))


async def disconnect_kernel(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, Disconnected]:
    """Detach from a kernel. The kernel, its variables and whatever runs in it go on."""
    attached = _kernels(ctx).get(kernel)
    await _kernels(ctx).disconnect(attached)
    left = [run.run_id for run in attached.client.runs if not run.over]
    going_on = f" Runs that go on in it: {', '.join(left)}." if left else ""
    return _answer(
        Disconnected(attached.handle, f"Disconnected from {attached.handle}; the kernel runs on.{going_on}")
    )


async def execute_code(
    ctx: Ctx,
    *,
    code: Annotated[str, Field(description="Python for the kernel's shared namespace.")],
    scratch: Annotated[
        bool,
        Field(
            description="Keep the code out of the notebook's graph: for looking at values. Nothing re-runs because of it."
        ),
    ] = False,
    kernel: KernelArg = None,
    timeout: TimeoutArg = _WAIT,  # noqa: ASYNC109  # the run outlives it, see TimeoutArg
    max_chars: BudgetArg = _BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Run code in the kernel and return its output.

    In a reactive kernel the code becomes a new cell, and the cells that use the names it defines run again; the
    answer lists them. To change an existing cell use edit_cell; to only look at values pass scratch=true.
    """
    attached = await _to_run_in(ctx, kernel)
    run = await attached.client.execute(code, store_history=not scratch)
    return await _finish(ctx, attached, run, timeout, Window(max_chars))


async def read_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="From the answer of execute_code, edit_cell or run_cell.")],
    kernel: KernelArg = None,
    timeout: TimeoutArg = _WAIT,  # noqa: ASYNC109
    offset: OffsetArg = 0,
    max_chars: BudgetArg = _BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Wait for a run that was not over, or read on in its output."""
    attached = _kernels(ctx).get(kernel)
    run = attached.client.find_run(run_id)
    await _wait(ctx, attached, run, timeout)
    return await _run_answer(attached, run, Window(max_chars, offset))


async def interrupt_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="The run to stop.")],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, RunView]:
    """Stop a run of yours, as the stop button does (KeyboardInterrupt). One that waits is stopped when it starts."""
    attached = _kernels(ctx).get(kernel)
    run = attached.client.find_run(run_id)
    await attached.client.abandon(run)
    if not run.unwanted:
        await attached.client.wait(run, _INTERRUPT_GRACE)
    return await _run_answer(attached, run, Window(_BUDGET))


async def list_cells(
    ctx: Ctx,
    *,
    kernel: KernelArg = None,
    offset: Annotated[int, Field(ge=0, description="How many cells to skip.")] = 0,
    limit: Annotated[int, Field(ge=1, le=500, description="How many cells to return.")] = 100,
) -> Annotated[CallToolResult, CellList]:
    """List the cells that the kernel knows: what each defines and uses, its status, stale or not, and who ran it.

    Answered while a cell runs. Only cells that have run are known, the person's and yours alike.
    """
    attached = _kernels(ctx).get(kernel)
    cells = await attached.client.list_cells()
    return _answer(mcp_views.cell_list(cells, offset, limit, attached.news()))


async def read_cell(
    ctx: Ctx,
    *,
    cell_id: CellArg,
    kernel: KernelArg = None,
    offset: OffsetArg = 0,
    max_chars: BudgetArg = _BUDGET,
) -> Annotated[CallToolResult, CellView]:
    """Read one cell's code, version, place in the graph and outputs, with images. Answered while a cell runs."""
    attached = _kernels(ctx).get(kernel)
    view, images = await mcp_views.cell_view(
        attached.client, cell_id, Window(max_chars, offset), attached.news()
    )
    return _answer(view, images)


async def edit_cell(
    ctx: Ctx,
    *,
    code: Annotated[str, Field(description="The cell's whole new code.")],
    cell_id: Annotated[
        str | None, Field(description="Id from list_cells. Leave out to add a new cell.")
    ] = None,
    version: Annotated[
        int | None, Field(description="The version you last read. Needed to change an existing cell.")
    ] = None,
    run: Annotated[bool, Field(description="Run it and its dependents. Otherwise they become stale.")] = True,
    kernel: KernelArg = None,
    timeout: TimeoutArg = _WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = _BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Replace a cell's code (or add a cell) and run it with all that depends on it.

    The person sees the fresh outputs under their own cells. Refused with stale_version if the cell has changed since
    you read it: read it again first. The answer has the cell's new version and the dependents that ran.
    """
    if cell_id is not None and version is None:
        raise BridgeError(
            "bad_request",
            f"To change cell {cell_id} the version that you last read is needed.",
            "read_cell and list_cells give it; so does the answer of the last edit.",
        )
    if cell_id is None and version is not None:
        raise BridgeError("bad_request", "A new cell has no version.", "Pass cell_id, or leave version out.")
    attached = await _to_run_in(ctx, kernel)
    started = await attached.client.edit_cell(cell_id, code, version, run=run)
    return await _finish(ctx, attached, started, timeout, Window(max_chars))


async def run_cell(
    ctx: Ctx,
    *,
    cell_id: CellArg,
    kernel: KernelArg = None,
    timeout: TimeoutArg = _WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = _BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Run a cell as it is, and then the cells that depend on it."""
    attached = await _to_run_in(ctx, kernel)
    run = await attached.client.run_cells([cell_id])
    return await _finish(ctx, attached, run, timeout, Window(max_chars))


def tools() -> list[Tool]:
    """Return the tools, as the server registers them."""
    return [
        tool(list_kernels, "List running kernels", reads=True),
        tool(connect_to_kernel, "Connect to a kernel", idempotent=True),
        tool(kernel_status, "Kernel status", reads=True),
        tool(disconnect_kernel, "Disconnect from a kernel", idempotent=True),
        tool(execute_code, "Execute code", runs_code=True),
        tool(read_run, "Read a run", reads=True),
        tool(interrupt_run, "Interrupt a run", idempotent=True),
        tool(list_cells, "List cells", reads=True),
        tool(read_cell, "Read a cell", reads=True),
        tool(edit_cell, "Edit a cell", runs_code=True),
        tool(run_cell, "Run a cell", runs_code=True),
    ]


def _kernels(ctx: Ctx) -> Kernels:
    return ctx.request_context.lifespan_context


async def _to_run_in(ctx: Ctx, handle: str | None) -> Attached:
    attached = _kernels(ctx).get(handle)
    await attached.require_known()
    return attached


def _client_name(ctx: Ctx) -> str:
    """Name the agent as its host does, for the person to see who ran a cell."""
    params = ctx.session.client_params
    return (params.client_info.name.strip()[:40] if params is not None else "") or "agent"


async def _finish(ctx: Ctx, attached: Attached, run: Run, bound: float, window: Window) -> CallToolResult:
    """Wait for a run that this call started. If the caller cancels the call, the run is stopped."""
    try:
        await _wait(ctx, attached, run, bound)
    except asyncio.CancelledError:
        with anyio.move_on_after(_INTERRUPT_GRACE, shield=True), suppress(BridgeError):
            await attached.client.abandon(run)
        raise
    return await _run_answer(attached, run, window)


async def _wait(ctx: Ctx, attached: Attached, run: Run, bound: float) -> None:
    """Wait for a run, with progress reports: many clients give up on a call that says nothing."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while (left := began + bound - loop.time()) > 0:
        if await attached.client.wait(run, min(left, _PROGRESS_EVERY)):
            return
        elapsed = loop.time() - began
        await ctx.report_progress(elapsed, bound, f"{run.status}, {elapsed:.0f} s")


async def _run_answer(attached: Attached, run: Run, window: Window) -> CallToolResult:
    view, images = await mcp_run_views.run_view(attached, run, window)
    return _answer(view, images, failed=view.status == "lost")


def _answer(view: View, images: tuple[Image, ...] = (), *, failed: bool = False) -> CallToolResult:
    pictures = [ImageContent(type="image", data=image.data, mime_type=image.mime_type) for image in images]
    return CallToolResult(
        content=[TextContent(type="text", text=view.text()), *pictures],
        structured_content=as_data(view),
        is_error=failed,
    )
