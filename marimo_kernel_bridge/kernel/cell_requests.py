"""The execute_requests of cells: whether they may run, their beginning and end, and the runs that follow them.

Owns the cell of the current request. `ipython.execution` runs its code, the stale scheduler decides when its dependents
run, and the kernel sends the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.messaging.requests import Cause, CellRequest, LabRequest
from marimo_kernel_bridge.kernel.notebook.agents import RequestOfAgent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.messaging.requests import ExecuteRequest
    from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswer
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.messages import Content


class Scheduler(Protocol):
    """The parts of the stale scheduler that requests for cells use."""

    def caused_by(self, cause: Cause) -> None: ...

    async def run_now(self) -> None: ...

    def run_later(self, delay: float) -> None: ...


class Loader(Protocol):
    """The parts of the runtime's loader that requests for cells use."""

    def prepare_notebook(self) -> None:
        """Load the runtime and read the settings in the notebook's file, once."""
        ...


class Host(Protocol):
    """The parts of the kernel that requests for cells use."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def scheduler(self) -> Scheduler: ...

    @property
    def loader(self) -> Loader: ...

    def publish_input(self, cause: Cause, code: str, execution_count: int | None) -> None:
        """Publish an execute_input."""
        ...

    def send_execute_reply(self, stream: Any, cause: Cause, content: Content, *, aborts: bool) -> None:
        """Send an execute_reply. `aborts`: it aborts the queued requests."""
        ...


class CellRequests:
    """The requests of front ends to run cells, one at a time; for the main thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._requested: Entry | None = None

    @property
    def requested(self) -> Entry | None:
        """The cell of the current request, until its code is taken."""
        return self._requested

    def take(self) -> Entry | None:
        """Return the cell of the current request, once: the first code that runs is that of the cell."""
        entry, self._requested = self._requested, None
        return entry

    def refuse_agent(self, request: ExecuteRequest) -> BridgeError | None:
        """Record the agent that sends a request. Return the refusal, None if the request may run."""
        agents = self._host.notebook.agents
        scratch = not isinstance(request, CellRequest)
        agents.running.set(RequestOfAgent(request.client, scratch) if request.client is not None else None)
        if request.client is None:
            return None
        from marimo_kernel_bridge.kernel.notebook.agent_actions import of_code  # noqa: PLC0415  # with the first agent

        did = of_code(request.code, scratch=scratch)
        try:
            agents.require_not_paused()
        except BridgeError as refusal:
            agents.heard(request.client, refused=True, did=did)
            return refusal
        agents.heard(request.client, ran=True, did=did)
        return None

    async def handle(
        self, stream: Any, cause: Cause, request: CellRequest, execute: Callable[[], Awaitable[None]]
    ) -> None:
        """Run a cell, reply (both by `execute`), and run its dependents."""
        host = self._host
        if isinstance(request, LabRequest) and host.notebook.loaded:
            answer = await host.notebook.answer_early(request)
            if answer is not None:
                host.scheduler.caused_by(cause)
                host.publish_input(cause, request.code, answer.execution_count)
                host.notebook.answered(answer, request)
                aborts = answer.error is not None and request.stop_on_error
                host.send_execute_reply(stream, cause, _reply_to(answer), aborts=aborts)
                await host.scheduler.run_now()
                return
        host.loader.prepare_notebook()
        host.notebook.delete(request.deleted or (), request.address)
        self._requested = host.notebook.begin(request)
        host.scheduler.caused_by(cause)
        try:
            await execute()
        finally:
            self._requested = None
        match request.address.dialect:
            case "vscode":  # sends the next request of a Run All after idle
                host.scheduler.run_later(host.notebook.quiet_in())
            case "lab" | "agent":
                await host.scheduler.run_now()
            case "batch" | "terminal":
                pass  # dependents ran before the reply

    def refuse_if_unparsed(self, entry: Entry, code: str) -> None:
        """Refuse the code of a cell that IPython failed to parse, so that it did not run."""
        if self._requested is entry:
            self._host.notebook.refuse(entry, code)

    def end(self, entry: Entry, execution_count: int | None) -> None:
        """Record that a cell's code has run."""
        self._host.notebook.end(entry, execution_count)

    async def before_reply(self, entry: Entry) -> None:
        """Run the dependents of a cell if its front end ignores messages after the reply."""
        if entry.address.dialect in {"batch", "terminal"}:
            await self._host.scheduler.run_now()

    def abort(self, request: CellRequest) -> None:
        """Record a request that an error aborts: JupyterLab shows late output with the newest request, even an aborted one."""
        if self._host.notebook.loaded:
            self._host.notebook.aborted(request)


def _reply_to(answer: EarlyAnswer) -> Content:
    """Return the content of the execute_reply for a cell that ran before its turn, or need not run."""
    content: Content = {"status": "ok", "execution_count": answer.execution_count}
    content |= {"user_expressions": {}, "payload": []}
    if answer.error is not None:
        error = {"ename": answer.error.ename, "evalue": answer.error.evalue}
        content |= {"status": "error", **error, "traceback": list(answer.error.traceback)}
    return content
