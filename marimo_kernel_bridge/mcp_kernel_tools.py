"""The tools about kernels as such: finding, joining, judging and leaving them."""

from __future__ import annotations

from typing import Annotated

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge import mcp_views
from marimo_kernel_bridge.mcp_context import Ctx, KernelArg, answer, attached_to, client_name, kernels_of
from marimo_kernel_bridge.mcp_results import Disconnected, KernelList, KernelState


async def list_kernels(ctx: Ctx) -> Annotated[CallToolResult, KernelList]:
    """List the Jupyter kernels that run here: which are reactive, and which notebook each belongs to."""
    from marimo_kernel_bridge.discovery import find_kernels  # noqa: PLC0415  # urllib is slow to import

    return answer(mcp_views.kernel_list(await find_kernels(), kernels_of(ctx), client_name(ctx)))


async def connect_to_kernel(
    ctx: Ctx,
    *,
    connection_file: Annotated[
        str, Field(description="File name from list_kernels, a kernel id, or the path of a connection file.")
    ],
) -> Annotated[CallToolResult, KernelState]:
    """Attach to a running kernel, beside the person who uses it. Returns the handle for the other tools."""
    from marimo_kernel_bridge.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    attached = await kernels_of(ctx).connect(connection_file, client_name(ctx))
    notebook = (await notebooks_by_kernel()).get(attached.client.connection.kernel_id)
    return answer(await mcp_views.kernel_state(attached, notebook))


async def kernel_status(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, KernelState]:
    """Tell whether a kernel is idle, busy (with whose request, since when), silent or dead, and which runs are open."""
    return answer(await mcp_views.kernel_state(attached_to(ctx, kernel)))


async def disconnect_kernel(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, Disconnected]:
    """Detach from a kernel. The kernel, its variables and whatever runs in it go on."""
    attached = attached_to(ctx, kernel)
    await kernels_of(ctx).disconnect(attached)
    left = [run.run_id for run in attached.client.runs if not run.over]
    going_on = f" Runs that go on in it: {', '.join(left)}." if left else ""
    return answer(
        Disconnected(attached.handle, f"Disconnected from {attached.handle}; the kernel runs on.{going_on}")
    )
