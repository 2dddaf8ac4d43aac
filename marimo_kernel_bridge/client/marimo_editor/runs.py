"""What runs in marimo's kernel for this client: scratch code and cells, one at a time, as the host API takes it.

Owns the turn of each run, its progress, and its report.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.client.marimo_editor import scratch
from marimo_kernel_bridge.client.marimo_editor.cells import NotebookView
from marimo_kernel_bridge.client.marimo_editor.host import HostConflict
from marimo_kernel_bridge.client.marimo_editor.outputs import display, error_of, output_of
from marimo_kernel_bridge.client.marimo_editor.records import RUN
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import RunReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.channels import Request
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook
    from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
    from marimo_kernel_bridge.client.marimo_editor.records import Execution
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Output

_LOOK_EVERY: Final = 1.0
_READ_BOUND: Final = 4.0
_KEPT: Final = 100
_INTERRUPTS: Final = 2
"""marimo's kernel loses one that comes just before the code does."""


class Cancelled(Exception):  # noqa: N818  # a state
    """A request was withdrawn before marimo took it."""


class Stream(Protocol):
    """What a run needs of the channels."""

    @property
    def mirror(self) -> Mirror: ...

    async def change(self) -> None:
        """Wait until the mirror is another."""

    def publish(self, msg_type: str, content: Content, parent: Request | None) -> None:
        """Send a message on iopub."""

    def enqueue(self, asked: wire.ShellRequest) -> str:
        """Put a request of our own behind those that wait. Return its id."""


@dataclass(frozen=True)
class _Ended:
    """A run of marimo's that is over: its id, and the execution of the scratch code."""

    run_id: str
    scratch: Execution | None


@dataclass
class _Begun:
    """A request of ours that marimo has taken: its run, and the cells that were asked for."""

    run_id: str
    requested: tuple[str, ...]
    started_at: float = field(default_factory=time.time)
    over: bool = False


class Runs:
    """The runs of this client in one notebook."""

    def __init__(self, stream: Stream, notebook: MarimoNotebook, username: str) -> None:
        self._stream = stream
        self._notebook = notebook
        self._username = username
        self._one = asyncio.Lock()
        self._begun: dict[str, _Begun] = {}
        self.waiting: set[str] = set()
        """Requests that have not begun and can be cancelled."""

    async def turn(self) -> None:
        """Wait until nothing runs."""
        async with self._one:
            while self._stream.mirror.active_run is not None:
                await self._stream.change()

    async def known(self, version: int) -> None:
        """Wait until the stream has told of a version of the document."""
        while (document := self._stream.mirror.document) is None or document.version < version:
            await self._stream.change()

    async def execute(self, request: Request, content: Content) -> Content:
        """Run scratch code for an execute_request, and return the content of its reply. Raises `BridgeError`."""
        if content.get("store_history", True):
            raise BridgeError(
                "not_offered",
                "marimo's notebooks have no cells outside the notebook; nothing was run.",
                "Pass scratch=true to look at values, or add a cell with edit_cells.",
            )
        ended = await self._run(request, content["code"], ())
        outcome = None if ended.scratch is None else ended.scratch.outcome
        if outcome is None or outcome.error is None:
            interrupted = outcome is not None and outcome.kind == "interrupted"
            if interrupted:
                return {"status": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
            if outcome is not None and outcome.display is not None:
                shown = display(outcome.display.mimetype, outcome.display.data)
                self._show(shown, request)
            return {"status": "ok", "execution_count": None}
        error = error_of(outcome.error)
        failed = {"ename": error.ename, "evalue": error.evalue, "traceback": list(error.traceback)}
        self._stream.publish("error", failed, request)
        return {"status": "error", **failed}

    async def run_cells(self, request: Request, asked: wire.RunCells | wire.RunStale) -> RunReport:
        """Run cells, and return what ran. Raises `BridgeError`."""
        if isinstance(asked, wire.RunStale):
            cell_ids = list(NotebookView(self._stream.mirror).stale)
        else:
            cell_ids = asked.cell_ids
            for cell_id in cell_ids:
                if self._stream.mirror.cell(cell_id) is None:
                    raise BridgeError(
                        "no_such_cell", f"There is no cell {cell_id!r}.", "list_cells shows the ids."
                    )
        if not cell_ids:
            return RunReport(request.msg_id, (), self._username, finished=True)
        ended = await self._run(request, scratch.run_cells(cell_ids), tuple(cell_ids))
        outcome = None if ended.scratch is None else ended.scratch.outcome
        report = self.report(request.msg_id)
        if outcome is not None and outcome.error is not None and (report is None or not report.cells):
            error = error_of(outcome.error)
            raise BridgeError(
                "bad_request",
                f"marimo cannot run these cells: {error.ename}: {error.evalue}.",
                "Is marimo's version one that this package knows? `doctor` says.",
            )
        assert report is not None
        return report

    def later(self, cell_ids: list[str]) -> str:
        """Run cells after what waits already. Return the id by which the report is read."""
        return self._stream.enqueue(wire.RunCells(cell_ids=cell_ids, client=self._username))

    def report(self, request_id: str) -> RunReport | None:
        """Return what a request has run, so far; None if it runs nothing yet, or is not known any more."""
        if request_id not in self._begun:
            return None
        begun, mirror = self._begun[request_id], self._stream.mirror
        view = NotebookView(mirror)
        return RunReport(
            request_id,
            begun.requested,
            self._username,
            finished=begun.over,
            cells=view.runs_in(begun.run_id),
            still_stale=tuple(view.stale),
            started_at=begun.started_at,
        )

    async def read(self, code: str) -> Any:
        """Return the JSON that scratch code has as its value. Raises `BridgeError` kernel_busy while a cell runs."""
        if self._one.locked() or self._stream.mirror.active_run is not None:
            raise BridgeError(
                "kernel_busy",
                "marimo reads variables between cells, and one is running.",
                "Try again when kernel_status says idle.",
            )
        async with self._one, asyncio.timeout(_READ_BOUND):
            ended = await self._started(code, None, "")
        outcome = None if ended.scratch is None else ended.scratch.outcome
        if outcome is None or outcome.display is None:
            why = "" if outcome is None or outcome.error is None else f": {outcome.error.message}"
            raise BridgeError("kernel_busy", f"marimo did not read it{why}.", "Try again.")
        return scratch.value_in(outcome.display.data)

    async def interrupt(self) -> None:
        """Interrupt whatever marimo runs for this notebook."""
        run = self._stream.mirror.active_run
        if run is None:
            return
        path = f"notebooks/{self._notebook.notebook_id}/runtime/runs/{run.id}"
        for _ in range(_INTERRUPTS):
            with suppress(HostConflict):  # it has just ended
                await self._notebook.host.send("DELETE", path, client=self._username)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    while self._is_active(run.id):
                        await self._stream.change()
                    return

    def _is_active(self, run_id: str) -> bool:
        active = self._stream.mirror.active_run
        return active is not None and active.id == run_id

    def cancel(self, request_id: str) -> None:
        """Prevent a request from starting. Raises `BridgeError` no_such_run if it has started."""
        if request_id not in self.waiting:
            raise BridgeError("no_such_run", f"{request_id} does not wait.", "interrupt_run stops a run.")
        self.waiting.discard(request_id)

    async def _run(self, request: Request, code: str, requested: tuple[str, ...]) -> _Ended:
        async with self._one:
            return await self._started(code, request, request.msg_id, requested)

    async def _started(
        self, code: str, request: Request | None, request_id: str, requested: tuple[str, ...] = ()
    ) -> _Ended:
        """Run code in its turn, until marimo says that it is over."""
        run_id = await self._begin(code, request_id)
        runtime_id = self._stream.mirror.runtime.id if self._stream.mirror.runtime is not None else ""
        begun = _Begun(run_id, requested)
        if request is not None:
            self._begun[request_id] = begun
            while len(self._begun) > _KEPT:
                del self._begun[next(iter(self._begun))]
            self._stream.publish("status", {"execution_state": "busy"}, request)
        shown: set[str] = set()
        while True:
            mirror = self._stream.mirror
            if mirror.ready and (mirror.runtime is None or mirror.runtime.id != runtime_id):
                raise BridgeError("kernel_dead", "marimo's kernel was stopped before the run was over.")
            executions = mirror.executions_in(run_id)
            if request is not None:
                self._print(request, executions, shown, own=not requested)
            run = mirror.runs.get(run_id)
            if run is not None and run.status == "completed":
                begun.over = True
                return _Ended(run_id, next((one for one in executions if one.cell_id is None), None))
            await self._stream.change()

    async def _begin(self, code: str, request_id: str) -> str:
        """Have marimo take the code as soon as nothing else runs. Return the run's id."""
        path = f"notebooks/{self._notebook.notebook_id}/runtime/runs"
        while True:
            if request_id and request_id not in self.waiting:
                raise Cancelled
            if self._stream.mirror.active_run is None:
                self.waiting.discard(request_id)
                try:
                    answer = await self._notebook.host.send(
                        "POST", path, {"code": code}, client=self._username
                    )
                except HostConflict as conflict:
                    if conflict.problem.kind == "no-runtime":
                        raise BridgeError(
                            "kernel_dead", "marimo's kernel was stopped; nothing was run."
                        ) from None
                    self.waiting.add(request_id)
                else:
                    return RUN.decode(answer).id
            with suppress(TimeoutError):  # the server may know of a run that the stream has not told yet
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._stream.change()

    def _print(
        self, request: Request, executions: Sequence[Execution], shown: set[str], *, own: bool
    ) -> None:
        """Publish what was printed and displayed since. `own`: also by the scratch code."""
        for execution in executions:
            if execution.cell_id is None and not own:
                continue
            for item in self._stream.mirror.items_of(execution.id):
                if item.id not in shown:
                    shown.add(item.id)
                    self._show(output_of(item), request)

    def _show(self, output: Output, request: Request) -> None:
        content = {key: value for key, value in output.items() if key != "output_type"}
        self._stream.publish(output["output_type"], content, request)
