"""The runs of one client, and the work of other clients that it observes.

Owns the assignment of messages to runs, the kernel's latest unsolicited outcome, and the waiting for runs. Sends only
an interrupt, by a callback, for a run that was abandoned before it started.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.client.runs import WORK, Activity, Reply, Run, RunKind, Work
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.environment import InstallReport
from marimo_kernel_bridge.protocol.inspection import RunOutcome
from marimo_kernel_bridge.protocol.messages import decode_reply
from marimo_kernel_bridge.protocol.names import REPLY
from marimo_kernel_bridge.protocol.notebook import RunReport
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from marimo_kernel_bridge.client.channels import Message
    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

KEPT_RUNS: Final = 100
"""The number of own runs that can be read again; older ones that are over are dropped."""

KEPT_CHARACTERS: Final = 200_000_000
"""The outputs of own runs that can be read again, likewise."""

REPLY_BOUND: Final = 5.0
"""Seconds after idle within which a reply must arrive. A kernel whose own code fails never sends one."""

_MOST_FAILING: Final = 1000
"""Requests at one time of which it is known that they have shown an error."""

CANCEL_BOUND: Final = 1.0
"""Seconds within which a kernel that has cancelled a queued run reports its end."""

Happening = Literal["executing", "output", "completed", "error"]
"""What the messages about a request say: that it began, shows something, is over, or is over and has shown an error."""

Observe = Callable[[Happening, str, str], None]
"""A function that gets what happens, the id of the request, and the name of its client."""

_REPORTS: Final[dict[RunKind, type[RunReport | EditReport | InstallReport]]] = {
    "run_cells": RunReport,
    "run_stale": RunReport,
    "set_ui_value": RunReport,
    "edit_cells": EditReport,
    "install_packages": InstallReport,
}
"""The type of the kernel's reply to each request of the bridge protocol."""


class RunTracker:
    """The runs of one client, by id, and the waiting for them. Ends them when the kernel ends."""

    def __init__(self, interrupt: Callable[[Run], Awaitable[None]]) -> None:
        """`interrupt` stops a run that has started; it raises `BridgeError` if it cannot."""
        self._interrupt = interrupt
        self._observers: list[Callable[[], None]] = []
        self._watchers: list[Observe] = []
        self._failing: set[str] = set()  # requests at work that have shown an error
        self.next_change = asyncio.Event()
        """Set when a request of any client begins or ends, or the kernel ends; then there is another one."""
        self._activity = Activity()
        self._outcome: tuple[str, RunOutcome | None] | None = (
            None  # the latest unsolicited outcome, with its run id
        )
        self._runs: dict[str, Run] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio holds only weak references to tasks

    @property
    def ours(self) -> tuple[Run, ...]:
        """The runs of this client, the oldest first."""
        return tuple(self._runs.values())

    @property
    def others(self) -> tuple[Work, ...]:
        """The work of other clients in the kernel, as far as this client has seen it begin."""
        own = {run.run_id for run in self._runs.values() if not run.foreign}
        return tuple(work for work in self._activity.working if work.request_id not in own)

    def find(self, run_id: str) -> Run:
        """Return a run of this client. Raises `BridgeError` no_such_run for one that is unknown or dropped."""
        run = self._runs.get(run_id)
        if run is None:
            newest = ", ".join(list(self._runs)[-3:]) or "none"
            raise BridgeError(
                "no_such_run",
                f"This client has no run {run_id!r} in this kernel.",
                f"The last {KEPT_RUNS} runs can be read; the newest are: {newest}.",
            )
        return run

    async def wait(self, run: Run, bound: float) -> bool:
        """Wait until a run is over, at most `bound` seconds; return whether it is. Does not stop the run."""
        with suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await self._over[run.run_id].wait()
        return run.over

    def outcome_of(self, run: Run) -> RunOutcome | None:
        """Return the outcome of a run that the kernel sent at its end; None if anything has happened since."""
        if not run.over or self._outcome is None or self._outcome[0] != run.run_id:
            return None
        return self._outcome[1]

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` when a request of any client begins or ends, and when the kernel does."""
        self._observers.append(callback)

    def on_happening(self, observe: Observe) -> None:
        """Call `observe` when a request of any client begins, shows something, or is over."""
        self._watchers.append(observe)

    def add(self, run: Run) -> None:
        """Track a run that is about to be sent."""
        runs, characters = len(self._runs), sum(run.log.size for run in self._runs.values())
        for old in self.ours:
            if runs < KEPT_RUNS and characters <= KEPT_CHARACTERS:
                break
            if old.over:
                runs, characters = runs - 1, characters - old.log.size
                self.drop(old)
        self._runs[run.run_id] = run
        self._over[run.run_id] = asyncio.Event()

    def drop(self, run: Run) -> None:
        """Drop a run that is old, or was not sent."""
        del self._runs[run.run_id], self._over[run.run_id]

    def settle(self, run: Run, reply: Reply) -> None:
        """End a run that consists of a front end's requests."""
        run.idle = True
        run.on_reply(reply, time.time())
        self._over[run.run_id].set()

    def close(self) -> None:
        """Cancel pending tasks. The runs continue in the kernel."""
        for task in self._tasks:
            task.cancel()

    # link.Listener

    def on_message(self, channel: Channel, message: Message, *, asked: bool) -> None:
        now = time.time()
        run = self._runs.get(message.parent_id or "")
        if channel == "iopub":
            self._on_iopub(run, message, now, asked=asked)
        elif run is not None and run.kind == "execute" and message.msg_type == REPLY:
            outcome = self._outcome_in(message.content)
            self._outcome = (run.run_id, outcome)
            if outcome is not None and outcome.report is not None:
                run.cell_ids = outcome.report.requested
        elif run is not None:
            run.on_reply(self._reply_in(run.kind, message.content), now)
        if run is not None:
            self._look_at(run)

    def on_end(self, why: BridgeError) -> None:
        now = time.time()
        for run in self._runs.values():
            run.on_lost(why, now)
            self._over[run.run_id].set()
        self._outcome = None
        self._activity.forget()
        self._failing.clear()
        self._changed()

    def _on_iopub(self, run: Run | None, message: Message, now: float, *, asked: bool) -> None:
        if (
            message.msg_type == "status"
            and self._outcome is not None
            and message.parent_id != self._outcome[0]
        ):
            self._outcome = None
        if not asked and self._activity.on_iopub(message, now):
            self._changed()
        if not asked and self._watchers and (happening := self._happening(message)) is not None:
            for observe in self._watchers:
                observe(happening, message.parent_id or "", message.parent_user)
        if message.msg_type == "update_display_data":  # display ids belong to the kernel, not to a request
            for shown in self._runs.values():
                if (
                    run is not None or shown.late_outputs
                ):  # a reactive kernel redacts what answers our requests
                    shown.log.update_display(message.content)
        elif run is not None and (run.late_outputs or not run.over):
            run.on_iopub(message.msg_type, message.content, now)

    def _happening(self, message: Message) -> Happening | None:
        request = message.parent_id
        if request is None or message.parent_type not in WORK:
            return None
        match message.msg_type, message.content.get("execution_state"):
            case "status", "busy":
                return "executing"
            case "status", "idle":
                failed = request in self._failing
                self._failing.discard(request)
                return "error" if failed else "completed"
            case kind, _ if kind in OUTPUT_TYPES:
                if kind == "error" and len(self._failing) < _MOST_FAILING:
                    self._failing.add(request)
                return "output"
        return None

    def _look_at(self, run: Run) -> None:
        """Act on the new state of a run after a message."""
        if run.unwanted and run.status == "running":
            run.unwanted = False
            task = asyncio.create_task(self._interrupt_unwanted(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if run.over:
            self._over[run.run_id].set()
        elif run.idle:
            # Reply and idle arrive on two sockets, so the reply may arrive a moment later.
            asyncio.get_running_loop().call_later(REPLY_BOUND, self._give_up_reply, run)

    async def _interrupt_unwanted(self, run: Run) -> None:
        if run.cancelled and await self.wait(run, CANCEL_BOUND):
            return  # as expected: the kernel does not run it
        try:
            await self._interrupt(run)
        except BridgeError as refusal:
            logger.warning("Could not interrupt a cancelled run: %s", refusal)

    def _give_up_reply(self, run: Run) -> None:
        if run.reply is None and run.run_id in self._over:
            why = BridgeError(
                "kernel_silent",
                "The kernel finished the request without a reply: it failed in its own code, not in yours.",
                "Its log says why. The effects of the code up to then remain; check them before you try again.",
            )
            run.on_lost(why, time.time())
            self._over[run.run_id].set()

    def _outcome_in(self, content: Content) -> RunOutcome | None:
        try:
            return decode_reply(content, RunOutcome)
        except BridgeError:  # of another protocol version: a read of the outcome reports that
            return None

    def _reply_in(self, kind: RunKind, content: Content) -> Reply:
        status = content.get("status")
        if status in {"aborted", "abort"}:  # the second is the spelling of protocol 5.0
            return Reply("aborted", content.get("execution_count"))
        reply = Reply(
            "ok" if status == "ok" else "error",
            content.get("execution_count"),
            str(content.get("ename") or ""),
            str(content.get("evalue") or ""),
        )
        report = _REPORTS.get(kind)
        if report is None and not (reply.ename == "BridgeError" and "protocol" in content):
            return reply
        try:
            return replace(reply, result=decode_reply(content, report or RunReport))
        except BridgeError as refusal:  # also for an execute_request, if the user has paused agents
            return replace(reply, refusal=refusal)

    def _changed(self) -> None:
        self.next_change.set()
        self.next_change = asyncio.Event()
        for observer in self._observers:
            observer()
