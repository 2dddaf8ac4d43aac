"""A client of one running kernel, reached through its connection file or a Jupyter server.

Owns attaching, running code, editing cells, and stopping runs. `link` maintains the connection, `reads` asks for the
kernel's state, `document` for that of the open document, and `run_tracker` assigns messages to runs. Knows nothing of MCP.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from marimo_kernel_bridge.client.checkpoints import Checkpoints
from marimo_kernel_bridge.client.death import Deaths
from marimo_kernel_bridge.client.document import Document
from marimo_kernel_bridge.client.endpoint import open_channels
from marimo_kernel_bridge.client.following import DocumentRuns
from marimo_kernel_bridge.client.link import ANSWER_BOUND, KernelLink, Liveness
from marimo_kernel_bridge.client.reads import Reads, require_reactive
from marimo_kernel_bridge.client.run_tracker import CANCEL_BOUND, RunTracker
from marimo_kernel_bridge.client.runs import Reply, Run, RunKind
from marimo_kernel_bridge.client.views import KernelViews
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from marimo_kernel_bridge.client.channels import Channels
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.client.life import KernelInfo
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.inspection import RunOutcome
    from marimo_kernel_bridge.protocol.messages import Content


class KernelClient:
    """A client attached to one running kernel.

    Create it with `attach`, and end it with `close` or as an async context manager. `reads` reads the state of a
    reactive kernel, `document` reads and changes the document that a front end has open on it, and `document_runs` follows
    what that runs; `checkpoints` saves and restores, `views` shows tables to the person, and `deaths` has how the kernel died.
    `runs` has the runs of this client and the work for other clients. A method that runs something sends its request and returns the `Run` at
    once; `runs.wait` waits for it.

        async with await KernelClient.attach(read_connection("kernel-1.json"), "me") as client:
            run = await client.execute("6 * 7")
            if await client.runs.wait(run, 10.0):
                print(run.status, run.log.outputs())

    Any method that talks to the kernel raises `BridgeError`: kernel_dead, kernel_silent; and not_reactive where the
    kernel is a plain one and the method needs a graph of cells.
    """

    def __init__(
        self, endpoint: Endpoint, channels: Channels, client_name: str, *, redacted: bool = True
    ) -> None:
        """Use `attach` instead. `channels` are open channels to the kernel at `endpoint`."""
        self.client_name = client_name
        self.connection = endpoint
        self.runs = RunTracker(self.interrupt)
        self.deaths = Deaths(endpoint, lambda: self.restarts)
        self._link = KernelLink(channels, self.runs, self.deaths.note)
        self.reads = Reads(self._link, client_name, redacted=redacted)
        self.document = Document(self._link, self.reads, client_name)
        self.document_runs = DocumentRuns(self.runs, self.reads)
        self.checkpoints = Checkpoints(self._link, self.reads, client_name)
        self.views = KernelViews(self.reads, client_name)

    @classmethod
    async def attach(
        cls,
        endpoint: Endpoint,
        client_name: str = "agent",
        bound: float = ANSWER_BOUND,
        open_channels: Callable[[Endpoint, str], Channels] = open_channels,
        *,
        redacted: bool = True,
    ) -> Self:
        """Attach to a running kernel, within `bound` seconds, after as many more for one that is starting.

        `client_name` is shown to other clients as the author of runs and edits. `open_channels` opens the channels to
        the kernel; tests pass one in memory. `redacted`: reads have marks in place of the kernel's secrets.
        Raises `BridgeError`: connection_file_stale, server_refused, wrong_key, kernel_silent.
        """
        client = cls(endpoint, open_channels(endpoint, client_name), client_name, redacted=redacted)
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
        """Detach. The kernel and its runs continue."""
        self.document_runs.close()
        self.runs.close()
        await self._link.close()

    # The kernel and its life

    @property
    def info(self) -> KernelInfo:
        """The kernel's description of itself."""
        return self._link.info

    @property
    def restarts(self) -> int:
        """How often the kernel has been replaced by another process, losing all state, since this client attached."""
        return self._link.restarts

    @property
    def end(self) -> BridgeError | None:
        """How the kernel ended, None if it is not known to have ended."""
        return self._link.end

    async def liveness(self) -> Liveness:
        """Return whether the kernel is alive, silent (its process exists, but its heartbeat does not answer) or dead."""
        return await self._link.liveness()

    async def require_alive(self) -> None:
        """Raise `BridgeError` (kernel_dead, kernel_silent) unless the kernel, or its successor, is alive."""
        await self._link.require_alive()

    async def why_not_alive(self) -> BridgeError | None:
        """Return the error for a kernel that is dead or silent, None for one that is alive."""
        return await self._link.why_not_alive()

    async def shell_is_free(self, bound: float) -> bool:
        """Return whether the kernel answers on shell within `bound` seconds, that is, runs no request.

        Only this detects work that began before this client attached, whose messages it has not received.
        """
        try:
            await self._link.ask("shell", "kernel_info_request", {}, bound)
        except BridgeError as refusal:
            if refusal.code != "kernel_silent":
                raise
            return False
        return True

    async def shut_down(self) -> None:
        """End the kernel."""
        await self._link.ask("control", "shutdown_request", {"restart": False})

    # Running code

    async def execute(self, code: str, *, store_history: bool = True) -> Run:
        """Run code as a plain execute_request. Without history a reactive kernel keeps it out of its graph."""
        content: Content = {
            "code": code,
            "silent": False,
            "store_history": store_history,
            "user_expressions": {},
            "allow_stdin": False,  # no person can answer: input() raises instead of waiting forever
            "stop_on_error": False,  # a failure must not abort other clients' queued requests
        }
        becomes_cell = store_history and self.info.reactive
        changes = (AddCell(code),) if becomes_cell else ()
        return await self._start("execute", "execute_request", content, code, changes)

    async def run_cells(self, cell_ids: list[str]) -> Run:
        """Run cells unchanged, and their dependents."""
        return await self._request("run_cells", wire.RunCells(cell_ids=cell_ids, client=self.client_name))

    async def edit_cells(self, changes: Sequence[Change], *, run: bool = True) -> Run:
        """Apply a batch of edits atomically; if `run`, run the changed cells and their dependents."""
        request = wire.EditCells(changes=list(changes), run=run, client=self.client_name)
        return await self._request("edit_cells", request, changes)

    async def run_stale(self) -> Run:
        """Run all stale cells."""
        return await self._request("run_stale", wire.RunStale(client=self.client_name))

    async def set_ui_value(self, ui_element: str, value: Any) -> Run:  # JSON; its type depends on the element
        """Set the value of a marimo UI element, which runs the cells that read it, or of an ipywidget."""
        request = wire.SetUiValue(ui_element=ui_element, value=value, client=self.client_name)
        return await self._request("set_ui_value", request)

    async def install(
        self,
        requirements: Sequence[str],
        settings: Mapping[str, str] = {},  # read only
    ) -> Run:
        """Install packages into the kernel's environment. Does not ask the user for consent; the caller must.

        `settings` are variables for the installer (`environment.is_installer_setting`).
        """
        request = wire.InstallPackages(
            requirements=list(requirements), settings=dict(settings), client=self.client_name
        )
        return await self._request("install_packages", request)

    async def outcome(self, run: Run, *bound: float) -> RunOutcome:
        """Return the kernel's record of a run, its requests together if it consists of several."""
        if run.kind == "document":
            return await self.document_runs.outcome(run, *bound)
        return await self.reads.outcome(run.run_id, *bound)

    # Stopping runs

    async def interrupt(self, run: Run | None = None) -> None:
        """Interrupt whatever request the kernel runs, of any client, as a front end's stop button does.

        With `run`, only if the kernel runs that one; while another request runs, this raises kernel_busy, because
        Jupyter can interrupt only the running request and cannot withdraw a queued one.
        """
        if run is not None and run.status == "queued":
            raise BridgeError(
                "kernel_busy",
                "The run has not started: the kernel is busy with another request.",
                "An interrupt would stop that other request. Wait for it, or ask its author to stop it.",
            )
        await self._link.ask("control", "interrupt_request", {})

    async def abandon(self, run: Run) -> None:
        """Stop a run that is no longer wanted: now, or as soon as it starts."""
        if run.status == "queued" and run.follows:
            if all([await self._cancel(request) for request in run.follows]):
                run.cancelled = True
                self.runs.settle(run, Reply("aborted"))
        elif run.status == "queued":
            run.unwanted = True
            if self.info.reactive:
                run.cancelled = await self._cancel(run.run_id)
        elif not run.over:
            await self.interrupt(run)

    async def _cancel(self, request: str) -> bool:
        """Prevent a queued request from starting. Return whether the kernel has confirmed that."""
        cancel = wire.encode_request(wire.CancelRun(run_id=request))
        with suppress(BridgeError):  # otherwise it is interrupted as soon as it starts
            reply = await self._link.ask("control", wire.READ_REQUEST, cancel, CANCEL_BOUND)
            wire.decode_reply(reply, type(None))
            return True
        return False

    async def _request(
        self, kind: RunKind, request: wire.ShellRequest, changes: Sequence[Change] = ()
    ) -> Run:
        require_reactive(self._link)
        return await self._start(kind, wire.REQUEST, wire.encode_request(request), "", changes)

    async def _start(
        self, kind: RunKind, msg_type: str, content: Content, code: str, changes: Sequence[Change]
    ) -> Run:
        await self._link.require_alive()
        metadata = {wire.METADATA_KEY: {"client": self.client_name, "outcome": kind == "execute"}}
        request = self._link.request(msg_type, content, metadata)
        late_outputs = not self.info.reactive
        run = Run(
            request.msg_id,
            kind,
            code,
            sent_at=time.time(),
            late_outputs=late_outputs,
            changes=tuple(changes),
        )
        self.runs.add(run)
        try:
            await self._link.send("shell", request)
        except BridgeError:
            self.runs.drop(run)  # it was not sent
            raise
        return run
