"""The tools for checkpoints: a notebook's values on disk, for a kernel that comes after this one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.checkpoints import (
    CheckpointDeleted,
    CheckpointList,
    RestoredCheckpoint,
    SavedCheckpoint,
)
from marimo_kernel_bridge.mcp_server.arguments import (
    LIST_BUDGET,
    Ctx,
    KernelArg,
    attached_to,
    to_run_in,
)
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views.checkpoints import (
    checkpoint_list,
    restored_checkpoint,
    saved_checkpoint,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")
_PROGRESS_EVERY: Final = 5.0  # seconds
_LONGEST_NAME: Final = 100
CheckpointArg = Annotated[str, Field(max_length=_LONGEST_NAME, description="The checkpoint's name.")]


@tool("List checkpoints", needs="read", reads=True)
async def list_checkpoints(
    ctx: Ctx,
    *,
    verify: Annotated[bool, Field(description="Read and check all data.")] = False,
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, CheckpointList]:
    """List the notebook's saved values, and what each lacks."""
    attached = attached_to(ctx, kernel)
    listed = await _reporting(ctx, checkpoint_list(attached, verify=verify), "verifying")
    return answer(listed, attached.redactor, budget=LIST_BUDGET)


@tool("Save checkpoint", needs="run", runs_code=True, idempotent=True)
async def save_checkpoint(
    ctx: Ctx, *, name: CheckpointArg, kernel: KernelArg = None
) -> Annotated[CallToolResult, SavedCheckpoint]:
    """Save the values of all cells for a later kernel of this notebook."""
    attached = await to_run_in(ctx, kernel)
    done = await _reporting(ctx, attached.client.checkpoints.save(name), "saving")
    return answer(saved_checkpoint(done), attached.redactor)


def _of_restore(arguments: Arguments) -> Tier:
    return "read" if arguments.get("preview") else "run"


@tool("Restore checkpoint", needs=_of_restore, runs_code=True, listed_from="run")
async def restore_checkpoint(
    ctx: Ctx,
    *,
    name: Annotated[
        str | None, Field(max_length=_LONGEST_NAME, description="Its name; else the newest.")
    ] = None,
    preview: Annotated[bool, Field(description="Only say what would come back.")] = False,
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, RestoredCheckpoint]:
    """Bring saved values back into a new kernel; cells whose code or inputs changed become stale."""
    attached = attached_to(ctx, kernel)
    attached.news()  # a restore is for a kernel that was restarted
    done = await _reporting(ctx, attached.client.checkpoints.restore(name, preview=preview), "restoring")
    return answer(restored_checkpoint(done), attached.redactor, budget=LIST_BUDGET)


@tool("Delete checkpoint", needs="all", destroys=True, joins=False)
async def delete_checkpoint(
    ctx: Ctx, *, name: CheckpointArg, kernel: KernelArg = None
) -> Annotated[CallToolResult, CheckpointDeleted]:
    """Delete saved values. Only where the person asked."""
    attached = attached_to(ctx, kernel)
    await attached.require_not_paused()
    await attached.client.checkpoints.delete(name)
    return answer(CheckpointDeleted(name, f"The checkpoint {name} is deleted."), attached.redactor)


async def _reporting(ctx: Ctx, work: Coroutine[None, None, _T], doing: str) -> _T:
    """Wait for work, and report progress: many clients abort a call without it."""
    task = asyncio.ensure_future(work)
    passed = 0.0
    try:
        while not (await asyncio.wait({task}, timeout=_PROGRESS_EVERY))[0]:
            passed += _PROGRESS_EVERY
            await ctx.report_progress(passed, None, f"{doing}, {passed:.0f} s")
        return task.result()
    finally:
        task.cancel()
