"""A client of one running kernel, attached through its connection file.

Owns our side of the work: requests of the bridge protocol, code that we run, and what is known of other clients'
work. Knows nothing of MCP. `kernel_link.py` keeps the conversation up, `runs.py` says what messages add up to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from marimo_kernel_bridge.client.link import ANSWER_BOUND, KernelInfo, KernelLink, Liveness
from marimo_kernel_bridge.client.runs import Activity, Run, RunKind, Work
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.environment import Environment, InstallReport
from marimo_kernel_bridge.protocol.inspection import (
    Matches,
    RunOutcome,
    Secret,
    UiElement,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.notebook import (
    Cell,
    CellWithOutputs,
    KernelDescription,
    Outline,
    RunReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.client.zmq_channels import Message
    from marimo_kernel_bridge.protocol.changes import Change

logger = logging.getLogger(__name__)

KEPT_RUNS: Final = 100
"""So many of our runs can be read again; older ones that are over are forgotten."""

REPLY_BOUND: Final = 5.0
"""Seconds after idle in which a reply must have come. A kernel whose own code fails never sends one."""

_CANCEL_BOUND: Final = 1.0

_T = TypeVar("_T")


class KernelClient:
    """One attached kernel. Make it with `attach`, end it with `close` or as an async context manager."""

    def __init__(self, connection: Endpoint, client_name: str) -> None:
        self.client_name = client_name
        self._link = KernelLink(connection, client_name, self)
        self.on_change: Callable[[], None] = lambda: None
        """Called when a request of anybody's begins or ends, and when the kernel does: something may have changed."""
        self.on_secrets: Callable[[Sequence[Secret]], None] = lambda _: None
        """Called with the secrets in each answer, before the answer is given."""
        self._told: tuple[str | None, Mapping[str, Any]] = (None, {})  # the last outcome that came unasked
        self._activity = Activity()
        self._runs: dict[str, Run] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps no task alive

    @classmethod
    async def attach(
        cls, connection: Endpoint, client_name: str = "agent", bound: float = ANSWER_BOUND
    ) -> Self:
        """Attach to a running kernel, within `bound` seconds, after as many more for one that is starting.

        Raises `BridgeError`: connection_file_stale, wrong_key, kernel_silent.
        """
        client = cls(connection, client_name)
        try:
            await client._link.open(bound)
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Detach. The kernel and what runs in it go on."""
        for task in self._tasks:
            task.cancel()
        await self._link.close()

    # What the kernel is and does

    @property
    def connection(self) -> Endpoint:
        return self._link.connection

    @property
    def info(self) -> KernelInfo:
        return self._link.info

    @property
    def restarts(self) -> int:
        """How often the kernel turned out to be another process, with all state lost, since we attached."""
        return self._link.restarts

    @property
    def end(self) -> BridgeError | None:
        """How the kernel ended, None if it has not as far as we know."""
        return self._link.end

    @property
    def runs(self) -> tuple[Run, ...]:
        """Our runs, the oldest first."""
        return tuple(self._runs.values())

    @property
    def others_work(self) -> tuple[Work, ...]:
        """What runs in the kernel for other clients, as far as we have seen it begin."""
        return tuple(work for work in self._activity.working if work.request_id not in self._runs)

    async def liveness(self) -> Liveness:
        """Tell alive from silent (the process is there, its heartbeat not) and dead."""
        return await self._link.liveness()

    async def require_alive(self) -> None:
        """Raise `BridgeError` (kernel_dead, kernel_silent) unless the kernel, or its successor, is there."""
        await self._link.require_alive()

    async def why_not_alive(self) -> BridgeError | None:
        """Give the refusal that fits a kernel that is dead or silent, None for one that is alive."""
        return await self._link.why_not_alive()

    async def shell_is_free(self, bound: float) -> bool:
        """Whether the kernel answers on shell within `bound` seconds, that is, runs nobody's request.

        Needed for work that began before we attached: its messages never reached us.
        """
        try:
            await self._link.ask("shell", "kernel_info_request", {}, bound)
        except BridgeError as refusal:
            if refusal.code != "kernel_silent":
                raise
            return False
        return True

    # Reads of the reactive kernel, answered while a cell runs

    async def describe(self) -> KernelDescription:
        return await self._read(wire.Describe(), KernelDescription)

    async def list_cells(self) -> list[Cell]:
        return await self._read(wire.ListCells(), list[Cell])

    async def outline(self, offset: int, limit: int) -> Outline:
        return await self._read(wire.ReadOutline(offset=offset, limit=limit), Outline)

    async def read_cell(self, cell_id: str, most_output: int | None = None) -> CellWithOutputs:
        return await self._read(wire.ReadCell(cell_id=cell_id, most_output=most_output), CellWithOutputs)

    async def read_run(self, run_id: str) -> RunReport:
        return await self._read(wire.ReadRun(run_id=run_id), RunReport)

    async def read_outcome(self, run: Run, bound: float = ANSWER_BOUND) -> RunOutcome:
        """Say what became of a run: as the kernel told when it was over, if nothing has happened since."""
        if run.over and run.run_id == self._told[0]:
            return self._decoded(self._told[1], RunOutcome)
        return await self._read(wire.ReadOutcome(run_id=run.run_id), RunOutcome, bound)

    async def history(self, limit: int) -> list[RunReport]:
        return await self._read(wire.ReadHistory(limit=limit), list[RunReport])

    async def search(self, query: str, limit: int) -> Matches:
        return await self._read(wire.SearchCells(query=query, limit=limit), Matches)

    async def list_variables(self) -> list[Variable]:
        return await self._read(wire.ListVariables(), list[Variable])

    async def list_ui_elements(self) -> list[UiElement]:
        return await self._read(wire.ListUiElements(), list[UiElement])

    async def learn_secrets(self, bound: float = ANSWER_BOUND) -> None:
        """Have the kernel tell its secrets to `on_secrets`, which each of its answers does by the way."""
        await self._read(wire.ReadSecrets(), type(None), bound)

    async def environment(self) -> Environment:
        return await self._read(wire.ReadEnvironment(), Environment)

    async def inspect_variable(self, name: str, rows: int, offset: int = 0) -> VariableContent:
        """Look into a variable: with a sample from `offset` on if the kernel is free to take one, else without."""
        request = wire.InspectVariable(name=name, rows=rows, offset=offset)
        if not (await self.describe()).busy:
            try:
                reply = await self._link.ask("shell", wire.REQUEST, wire.encode_request(request))
                return self._decoded(reply["content"], VariableContent)
            except BridgeError as refusal:
                if refusal.code != "kernel_silent":
                    raise
        return await self._read(request, VariableContent)

    async def preview_edits(self, changes: Sequence[Change]) -> EditReport:
        """Say what a batch of changes would do. The kernel must be free. Raises `BridgeError`, kernel_busy too."""
        self._require_reactive()
        request = wire.EditCells(changes=list(changes), dry_run=True, client=self.client_name)
        try:
            reply = await self._link.ask("shell", wire.REQUEST, wire.encode_request(request))
        except BridgeError as refusal:
            if refusal.code == "kernel_silent" and await self.liveness() == "alive":
                raise BridgeError(
                    "kernel_busy",
                    "The kernel is busy: new code is looked at between two runs.",
                    "Try again when kernel_status says idle. Without `edits` a preview is there at once.",
                ) from None
            raise
        return self._decoded(reply["content"], EditReport)

    # Running code. Each sends and returns at once; `wait` for the run.

    async def execute(self, code: str, *, store_history: bool = True) -> Run:
        """Run code as a plain execute_request. Without history a reactive kernel keeps it out of its graph."""
        content = {
            "code": code,
            "silent": False,
            "store_history": store_history,
            "user_expressions": {},
            "allow_stdin": False,  # nobody could answer: input() raises instead of waiting for ever
            "stop_on_error": False,  # a failure of ours must not clear other clients' requests from the queue
        }
        return await self._start("execute", code, "execute_request", content)

    async def run_cells(self, cell_ids: list[str]) -> Run:
        """Run cells as they are, and their dependents."""
        request = wire.RunCells(cell_ids=cell_ids, client=self.client_name)
        return await self._start_ours("run_cells", request)

    async def edit_cells(self, changes: Sequence[Change], *, run: bool = True) -> Run:
        """Apply a batch of changes, wholly or not at all."""
        request = wire.EditCells(changes=list(changes), run=run, client=self.client_name)
        return await self._start_ours("edit_cells", request)

    async def run_stale(self) -> Run:
        """Run all stale cells."""
        return await self._start_ours("run_stale", wire.RunStale(client=self.client_name))

    async def set_ui_value(self, ui_element: str, value: Any) -> Run:  # JSON
        """Set a marimo UI element, and the cells that read it run; or an ipywidget."""
        request = wire.SetUiValue(ui_element=ui_element, value=value, client=self.client_name)
        return await self._start_ours("set_ui_value", request)

    async def install(self, requirements: Sequence[str]) -> Run:
        """Install packages into the kernel's own environment. Whoever calls has asked the person."""
        request = wire.InstallPackages(requirements=list(requirements), client=self.client_name)
        return await self._start_ours("install_packages", request)

    def find_run(self, run_id: str) -> Run:
        """Raise `BridgeError` no_such_run for a run that is unknown or forgotten."""
        run = self._runs.get(run_id)
        if run is None:
            newest = ", ".join(list(self._runs)[-3:]) or "none"
            raise BridgeError(
                "no_such_run",
                f"There is no run {run_id!r} of ours in this kernel.",
                f"The last {KEPT_RUNS} runs can be read; the newest are: {newest}.",
            )
        return run

    async def wait(self, run: Run, bound: float) -> bool:
        """Wait until a run is over, at most `bound` seconds. The run goes on in any case. True if it is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await self._over[run.run_id].wait()
        return run.over

    async def interrupt(self, run: Run) -> None:
        """Interrupt the kernel, as a front end's stop button does, if it is `run` that it works on.

        Refused (kernel_busy) while another request runs: Jupyter interrupts whatever runs, and has no way to take a
        waiting request back.
        """
        if run.status == "queued":
            raise BridgeError(
                "kernel_busy",
                "The run has not started: the kernel is busy with another request.",
                "An interrupt would stop that other request. Wait for it, or ask its author to stop it.",
            )
        await self._link.ask("control", "interrupt_request", {})

    async def interrupt_kernel(self) -> None:
        """Interrupt whatever the kernel works on, of whatever client."""
        await self._link.ask("control", "interrupt_request", {})

    async def shut_down(self) -> None:
        """End the kernel."""
        await self._link.ask("control", "shutdown_request", {"restart": False})

    async def abandon(self, run: Run) -> None:
        """Stop a run that nobody waits for any more: now, or as soon as it starts."""
        if run.status == "queued":
            run.unwanted = True
            if self.info.reactive:
                with suppress(BridgeError):  # then it is interrupted as soon as it starts
                    await self._read(wire.CancelRun(run_id=run.run_id), type(None), _CANCEL_BOUND)
                    run.cancelled = True
        elif not run.over:
            await self.interrupt(run)

    def report_of(self, run: Run) -> RunReport | None:
        """Give what a finished edit or run of cells caused. Raises the `BridgeError` with which it was refused."""
        if run.reply is None or run.status == "aborted":
            return None
        if run.kind == "execute":
            if run.reply.get("ename") == "BridgeError" and "protocol" in run.reply:
                wire.decode_reply(run.reply, RunReport)  # raises: the person has paused agents
            return None
        if run.kind == "edit_cells":
            return self._decoded(run.reply, EditReport).run
        if run.kind == "install_packages":
            return None
        return self._decoded(run.reply, RunReport)

    def edit_report_of(self, run: Run) -> EditReport | None:
        """Give what became of a finished batch of edits. Raises as `report_of` does."""
        if run.kind != "edit_cells" or run.reply is None or run.status == "aborted":
            return None
        return self._decoded(run.reply, EditReport)

    def install_report_of(self, run: Run) -> InstallReport | None:
        """Give what became of a finished installation. Raises as `report_of` does."""
        if run.kind != "install_packages" or run.reply is None or run.status == "aborted":
            return None
        return self._decoded(run.reply, InstallReport)

    # What the link hands over

    def on_message(self, channel: Channel, message: Message) -> None:
        now = time.time()
        run = self._runs.get(message["parent_header"].get("msg_id"))
        if channel == "iopub":
            self._on_iopub(run, message, now)
        elif run is not None and run.kind == "execute" and message["header"]["msg_type"] == wire.REPLY:
            self._told = (run.run_id, message["content"])
        elif run is not None:
            run.on_reply(message["content"], now)
        if run is not None and run.unwanted and run.status == "running":
            run.unwanted = False
            task = asyncio.create_task(self._interrupt_unwanted(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if run is not None and run.over:
            self._over[run.run_id].set()
        elif run is not None and run.idle:
            # Reply and idle come on two sockets, so the reply may still be on its way; but not for long.
            asyncio.get_running_loop().call_later(REPLY_BOUND, self._give_up_reply, run)

    def _on_iopub(self, run: Run | None, message: Message, now: float) -> None:
        msg_type, content = message["header"]["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id")
        if msg_type == "status" and parent != self._told[0]:
            self._told = (None, {})
        if not self._link.awaits(parent) and self._activity.on_iopub(message, now):
            self.on_change()
        if msg_type == "update_display_data":  # display ids belong to the kernel, not to a request
            for shown in self._runs.values():
                shown.log.update_display(content)
        elif run is not None and not (run.over and self.info.reactive):
            # A reactive kernel shows later runs of the cell through its latest request: not this run's output.
            run.on_iopub(msg_type, content, now)

    async def _interrupt_unwanted(self, run: Run) -> None:
        if run.cancelled and await self.wait(run, _CANCEL_BOUND):
            return  # the usual end: the kernel has told that it does not run it
        try:
            await self.interrupt(run)
        except BridgeError as refusal:
            logger.warning("Could not interrupt a run that was given up: %s", refusal)

    def _give_up_reply(self, run: Run) -> None:
        if run.reply is None:
            why = BridgeError(
                "kernel_silent",
                "The kernel is done with the request, but never replied: it failed in its own code, not in yours.",
                "Its log says why. What the code did before stays done; look before you try again.",
            )
            run.on_lost(why, time.time())
            self._over[run.run_id].set()

    def on_end(self, why: BridgeError) -> None:
        now = time.time()
        for run in self._runs.values():
            run.on_lost(why, now)
            self._over[run.run_id].set()
        self._told = (None, {})
        self._activity.forget()
        self.on_change()

    # Requests

    async def _start_ours(self, kind: RunKind, request: wire.ShellRequest) -> Run:
        self._require_reactive()
        return await self._start(kind, "", wire.REQUEST, wire.encode_request(request))

    async def _start(self, kind: RunKind, code: str, msg_type: str, content: dict[str, Any]) -> Run:
        await self._link.require_alive()
        ours = {"client": self.client_name, "outcome": kind == "execute"}
        message = self._link.request(msg_type, content, {wire.METADATA_KEY: ours})
        run = Run(message["header"]["msg_id"], kind, code, sent_at=time.time())
        self._forget_old_runs()
        self._runs[run.run_id] = run
        self._over[run.run_id] = asyncio.Event()
        try:
            await self._link.send("shell", message)
        except BridgeError:
            del self._runs[run.run_id], self._over[run.run_id]  # it never left
            raise
        return run

    async def _read(self, request: wire.ControlRequest, kind: type[_T], bound: float = ANSWER_BOUND) -> _T:
        self._require_reactive()
        reply = await self._link.ask("control", wire.READ_REQUEST, wire.encode_request(request), bound)
        return self._decoded(reply["content"], kind)

    def _decoded(self, content: Mapping[str, Any], kind: type[_T]) -> _T:
        result = wire.decode_reply(content, kind)
        self.on_secrets(wire.secrets_in(content))
        return result

    def _forget_old_runs(self) -> None:
        surplus = max(0, len(self._runs) - KEPT_RUNS + 1)
        for old in list(islice((run for run in self._runs.values() if run.over), surplus)):
            del self._runs[old.run_id], self._over[old.run_id]

    def _require_reactive(self) -> None:
        if not self.info.reactive:
            raise BridgeError(
                "not_reactive",
                f"This kernel is a plain {self.info.implementation} kernel ({self.info.language}): it has no "
                "reactive cells to list, read, edit or run.",
                "execute_code and kernel_status work. For the rest, choose the kernel "
                "'marimo (reactive Python)' in the notebook and connect to that one.",
            )
