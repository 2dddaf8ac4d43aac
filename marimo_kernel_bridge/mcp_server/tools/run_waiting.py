"""Waiting for a run on behalf of a call, until it ends, times out, or the caller cancels. Reports progress, and output as it comes."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import LISTS
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.media.output_text import terminal_text
from marimo_kernel_bridge.mcp_server.sdk.log_messages import send_output
from marimo_kernel_bridge.mcp_server.sdk.tasks import TaskContext
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views.runs import run_view
from marimo_kernel_bridge.protocol.redacted_stream import RedactedStream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mcp.types import CallToolResult

    from marimo_kernel_bridge.client.runs import Place, Run
    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.views.window import Window
    from marimo_kernel_bridge.protocol.redaction import Redactor

logger = logging.getLogger(__name__)

INTERRUPT_GRACE: Final = 5.0
_PROGRESS_EVERY: Final = 5.0
_OUTPUT_EVERY: Final = 0.5
_PLACE_BOUND: Final = 1.0
"""Seconds that an answer waits for a kernel which does not say where the code is."""
_MOST_PROGRESS: Final = 2000
"""Characters of output in one progress report, the newest ones. The answer contains all."""
_MOST_LOGGED: Final = 8000
"""Characters of output in one log message, likewise."""
_LINE_BOUND: Final = 1.0
"""Seconds after which a line that has not ended is told as well, as a bar of progress that is drawn in one line."""
_READ: Final = 20_000
"""Characters in which secrets are looked for; far more than are shown, so that a secret is whole."""


async def finish(
    ctx: Ctx,
    attached: Attached,
    run: Run,
    bound: float,
    window: Window,
    *,
    place: Coroutine[Any, Any, Place | None] | None = None,
) -> CallToolResult:
    """Wait for a run that this call started. If the caller cancels the call, the run is stopped.

    `place` finds out meanwhile where its code is: it begins without waiting for that.
    """
    placing = None if place is None else asyncio.create_task(place)
    try:
        await wait(ctx, attached, run, bound)
        if placing is not None:
            await asyncio.wait({placing}, timeout=_PLACE_BOUND)
            run.place = _found(placing)
    except asyncio.CancelledError:
        with anyio.move_on_after(INTERRUPT_GRACE, shield=True), suppress(BridgeError):
            await attached.client.abandon(run)
        raise
    finally:
        if placing is not None:
            placing.add_done_callback(_found)
            placing.cancel()
    return await run_answer(attached, run, window)


def _found(placing: asyncio.Task[Place | None]) -> Place | None:
    """Return where code is found, None if that is not known: the run has its answer all the same."""
    if not placing.done() or placing.cancelled():
        return None
    error = placing.exception()
    if error is not None and not isinstance(error, BridgeError):
        logger.error("Where code is found is not known", exc_info=error)
    return placing.result() if error is None else None


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
    printing = _Printing(run, attached.redactor)
    if isinstance(ctx.request_context, TaskContext):
        bound = math.inf
    while (left := began + bound - loop.time()) > 0:
        over = await attached.client.runs.wait(run, min(left, _OUTPUT_EVERY))
        text = printing.new(loop.time(), last=over)
        if text:
            await send_output(ctx.request_context, run.run_id, _end_of(text, _MOST_LOGGED))
        if over:
            return
        if text or loop.time() - reported > _PROGRESS_EVERY:
            reported = loop.time()
            elapsed = reported - began
            await ctx.report_progress(
                elapsed, None if math.isinf(bound) else bound, _how_far(run, elapsed, text)
            )


class _Printing:
    """What a run has printed since it was last asked, without secrets: whole lines, or what waits at the end for some time."""

    def __init__(self, run: Run, redactor: Redactor) -> None:
        self._run, self._redactor = run, redactor
        self._told = 0  # characters
        self._since: float | None = None  # when what follows them was first seen
        self._stream = RedactedStream()

    def new(self, now: float, *, last: bool) -> str:
        """Return what is new as a terminal shows it. `last`: no more will come."""
        printed = self._run.printed() if self._run.last_output_at is not None else ""
        start = self._told if self._told <= len(printed) else 0
        end = printed.rfind("\n") + 1
        if end <= start and len(printed) > start:
            self._since = now if self._since is None else self._since
            if now - self._since >= _LINE_BOUND:
                end = len(printed)
        if last:
            end = len(printed)
        if end <= start and not last:
            return ""
        self._told, self._since = max(start, end), None
        text = self._stream.add(_newest(printed[start:end]), self._redactor)
        return terminal_text(text + (self._stream.flush(self._redactor) if last else ""))


def _newest(lines: str) -> str:
    """Return the end of what was printed, from the beginning of a private key on if that is cut."""
    start = max(0, len(lines) - _READ)
    key = lines.rfind("-----BEGIN ", max(0, start - _READ), start)
    return lines[start if key < 0 else key :]


def _how_far(run: Run, elapsed: float, lines: str) -> str:
    newest = _end_of(lines.strip(), _MOST_PROGRESS)
    return f"{run.status}, {elapsed:.0f} s" + (f": {newest}" if newest else "")


def _end_of(text: str, most: int) -> str:
    """Return the end of a text, with a notice of what comes before it."""
    return text if len(text) <= most else f"[… {len(text) - most:,} characters …]{text[-most:]}"


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
