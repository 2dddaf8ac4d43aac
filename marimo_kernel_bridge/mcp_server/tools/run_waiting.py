"""Waiting for a run on behalf of a call, until it ends, times out, or the caller cancels. Reports progress."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import LISTS
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.media.output_text import terminal_text
from marimo_kernel_bridge.mcp_server.sdk.tasks import TaskContext
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views.runs import run_view
from marimo_kernel_bridge.protocol.redacted_stream import RedactedStream

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attachments import Attached
    from marimo_kernel_bridge.mcp_server.views.window import Window

INTERRUPT_GRACE: Final = 5.0
_PROGRESS_EVERY: Final = 5.0
_OUTPUT_EVERY: Final = 0.5
_MOST_PROGRESS: Final = 500
"""Characters of output in one progress report: the newest lines. The answer contains all."""
_READ: Final = 20_000
"""Characters in which secrets are looked for; far more than are shown, so that a secret is whole."""


async def finish(ctx: Ctx, attached: Attached, run: Run, bound: float, window: Window) -> CallToolResult:
    """Wait for a run that this call started. If the caller cancels the call, the run is stopped."""
    try:
        await wait(ctx, attached, run, bound)
    except asyncio.CancelledError:
        with anyio.move_on_after(INTERRUPT_GRACE, shield=True), suppress(BridgeError):
            await attached.client.abandon(run)
        raise
    return await run_answer(attached, run, window)


async def finish_edit(
    ctx: Ctx, attached: Attached, started: Run | RunView, bound: float, window: Window
) -> CallToolResult:
    """Wait for the run of an edit, if there is one."""
    if isinstance(started, RunView):
        return answer(started, attached.redactor, budget=max(window.budget, LISTS))
    return await finish(ctx, attached, started, bound, window)


async def wait(ctx: Ctx, attached: Attached, run: Run, bound: float) -> None:
    """Wait for a run, and report its progress: printed output, or that it is still running if it prints nothing.

    Many clients abort a call that reports no progress.
    """
    loop = asyncio.get_running_loop()
    began = reported = loop.time()
    reported_characters = 0  # characters of printed output
    redacted = RedactedStream()
    if isinstance(ctx.request_context, TaskContext):
        bound = math.inf
    while (left := began + bound - loop.time()) > 0:
        if await attached.client.runs.wait(run, min(left, _OUTPUT_EVERY)):
            return
        printed = run.printed() if run.last_output_at is not None else ""
        lines = printed[
            reported_characters if reported_characters <= len(printed) else 0 : printed.rfind("\n") + 1
        ]
        if lines or loop.time() - reported > _PROGRESS_EVERY:
            reported_characters, reported = printed.rfind("\n") + 1, loop.time()
            elapsed = reported - began
            text = _how_far(run, elapsed, terminal_text(redacted.add(_newest(lines), attached.redactor)))
            await ctx.report_progress(elapsed, None if math.isinf(bound) else bound, text)


def _newest(lines: str) -> str:
    """Return the end of what was printed, from the beginning of a private key on if that is cut."""
    start = max(0, len(lines) - _READ)
    key = lines.rfind("-----BEGIN ", max(0, start - _READ), start)
    return lines[start if key < 0 else key :]


def _how_far(run: Run, elapsed: float, lines: str) -> str:
    newest = lines.strip()
    return f"{run.status}, {elapsed:.0f} s" + (f": {newest[-_MOST_PROGRESS:]}" if newest else "")


async def run_answer(attached: Attached, run: Run, window: Window) -> CallToolResult:
    """Return the state of a run and its effects."""
    view, images = await run_view(attached, run, window)
    return answer(
        view,
        attached.redactor,
        images,
        budget=max(window.budget, LISTS),
        failed=view.status == "lost",
        full=view.full,
    )
