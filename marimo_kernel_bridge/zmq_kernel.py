"""The Jupyter kernel: ipykernel's, with marimo's dataflow graph between requests and their execution.

Owns sockets, threads, signals, timers and message parsing; decides when dependents run (`_settle`). What cells
there are and where their outputs go is `session.py`'s, how code runs is `shell.py`'s. marimo is imported after
the first kernel_info_reply: it takes a second, in which a client would take the kernel for dead.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq
from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from ipykernel.kernelapp import IPKernelApp
from ipykernel.utils import _async_in_context
from traitlets import Integer, Type, default

from marimo_kernel_bridge import __version__, wire
from marimo_kernel_bridge.answering import AnsweringHandlers, problem
from marimo_kernel_bridge.cells import Address
from marimo_kernel_bridge.delivery import dialect_of
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.interrupts import Interrupts
from marimo_kernel_bridge.marimo_magic import MarimoMagics
from marimo_kernel_bridge.notebook import NOTEBOOK, KernelDescription
from marimo_kernel_bridge.notebook_settings import on_cell_change
from marimo_kernel_bridge.routing import RoutingSession
from marimo_kernel_bridge.session import Session
from marimo_kernel_bridge.shell import ReactiveShell
from marimo_kernel_bridge.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from contextlib import AbstractContextManager

    from zmq.eventloop.zmqstream import ZMQStream

    from marimo_kernel_bridge.cells import Entry
    from marimo_kernel_bridge.delivery import Header, Message
    from marimo_kernel_bridge.waiting import Answer

_PRELOAD_DELAY = 0.05  # seconds after the first kernel_info_reply: more requests may already be here
_BURST = 0.15  # seconds to wait for more requests of a Run All, where a cell cannot run without them
_BURST_GAP = 0.02  # seconds without a new request end a burst


class MarimoKernel(IPythonKernel):
    """See the module."""

    implementation = "marimo_kernel_bridge"
    implementation_version = __version__
    banner = (
        f"marimo reactive Python (marimo-kernel-bridge {__version__}) on Python {platform.python_version()}\n"
        "Run a cell, and every cell that depends on it runs too."
    )
    shell_class = Type(ReactiveShell)
    session: RoutingSession
    shell: ReactiveShell
    shell_stream: ZMQStream

    output_limit = Integer(
        200_000_000, help="Characters of output that one run of a cell may show; 0 shows everything."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notebook = Session(self._send_output, self._wake)
        self.notebook.outlet.limit = self.output_limit
        self.notebook.pending_requests = self._requests_wait
        self.notebook.upcoming = self._upcoming
        self.notebook.upcoming_soon = self._upcoming_soon
        self._started_at = time.time()
        # Shell messages received and not yet dispatched, by identity.
        self._waiting: dict[int, _Received] = {}
        self._abort_until = 0.0
        self.interrupts = Interrupts()
        self._settle_timer: Any = None
        self._preload_due = True
        self._runtime_loaded = self._settings_read = False
        self._run_parent: tuple[Any, dict[str, Any]] = (b"", {})
        self.shell_handlers[wire.REQUEST] = self.bridge_request
        self.control_handlers[wire.REQUEST] = self.bridge_request
        self.shell_handlers = AnsweringHandlers(self.shell_handlers, self.session, self.log)
        self.control_handlers = AnsweringHandlers(self.control_handlers, self.session, self.log)

    # -- start, stop, signals -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen. Counts what arrives, so that dependents can wait for requests."""
        super().start()
        dispatch = _async_in_context(partial(self.shell_main, None))

        def received(msg: Any) -> Any:
            self._waiting[id(msg)] = _Received(msg)
            return dispatch(msg)

        self.shell_stream.on_recv(received, copy=False)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.interrupts.on_sigint)

    def _load_runtime(self) -> None:
        """Import marimo and embed it in the shell's namespace; once."""
        if self._runtime_loaded:
            return
        from marimo_kernel_bridge.runtime.engine import Engine  # noqa: PLC0415  # see the module

        self._preload_due = False
        runtime = Engine(self.shell.user_module, self.notebook, self._notebook_path())
        runtime.show_in(self.shell, self._prefers_markdown, self._shown_under)
        self.notebook.attach(runtime, self.shell)
        self.shell.register_magics(MarimoMagics(self.shell, self.notebook))
        self.shell.session = self.notebook
        self.session.route = self.notebook.outlet.route
        self.interrupts.runtime = runtime
        self._runtime_loaded = True
        self._read_settings()

    def _prefers_markdown(self) -> bool:
        """VS Code typesets formulas and colours code in Markdown, and neither in HTML."""
        entry = self.notebook.cells.get(self.notebook.running or "")
        return entry is not None and entry.address.dialect == "vscode"

    def _shown_under(self, cell_id: str) -> Header | None:
        entry = self.notebook.cells.get(cell_id)
        if entry is None:
            return None
        return entry.address.parent if entry.delivery is None else entry.delivery.parent

    def _read_settings(self) -> None:
        """Ask the notebook for its mode, once it is known where it is; VS Code tells that some time after the start."""
        path = None if self._settings_read else self._notebook_path()
        if path is not None:
            self._settings_read = True
            self.notebook.mode = on_cell_change(path) or self.notebook.mode

    def _notebook_path(self) -> str | None:
        """Return where the notebook is, if the front end says so truthfully."""
        path = self.shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        return os.path.abspath(path) if isinstance(path, str) and os.path.exists(path) else None  # noqa: PTH100, PTH110  # a path from outside

    def pre_handler_hook(self) -> None:
        """Note that user code may run. The signal handler stays: ipykernel's own cannot interrupt dependents."""
        self.interrupts.in_handler = True

    def post_handler_hook(self) -> None:
        self.interrupts.in_handler = False

    def do_shutdown(self, restart: bool) -> Any:  # noqa: FBT001  # ipykernel's signature
        if self._settle_timer is not None:
            self.io_loop.remove_timeout(self._settle_timer)
        return super().do_shutdown(restart)

    @property
    def kernel_info(self) -> dict[str, Any]:
        """What kernel_info_reply says. Neither subshells (marimo is not re-entrant) nor the debugger are offered."""
        info: dict[str, Any] = super().kernel_info
        return {**info, "supported_features": []}

    async def kernel_info_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        await super().kernel_info_request(stream, ident, parent)
        if self._preload_due and threading.current_thread() is threading.main_thread():
            self._preload_due = False
            self.io_loop.call_later(_PRELOAD_DELAY, self._load_runtime)

    # -- execute_request ----------------------------------------------------------------------------------------

    async def dispatch_shell(
        self, msg: Any, /, subshell_id: str | None = None, *, concurrent: bool = False
    ) -> None:
        received = self._waiting.pop(id(msg), None)
        # ipykernel's own flag is good for the one message that happens to be next.
        self._aborting = received is not None and (received.aborted or time.monotonic() < self._abort_until)
        await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)

    def _abort_queues(self, subshell_id: str | None = None) -> None:  # noqa: ARG002  # ipykernel's signature
        """After an error: abort the execute_requests that wait, and those that follow within the configured time."""
        self.shell_stream.flush(zmq.POLLIN)
        for received in self._waiting.values():
            received.aborted = True
        self._abort_until = time.monotonic() + self.stop_on_error_timeout

    def _requests_wait(self) -> bool:
        """Tell whether shell messages wait, those still in the socket too."""
        self.shell_stream.flush(zmq.POLLIN)
        return bool(self._waiting)

    def _upcoming(self) -> list[Waiting]:
        """Return the execute_requests of JupyterLab cells that wait, oldest first."""
        self.shell_stream.flush(zmq.POLLIN)
        requests: list[Waiting] = []
        for received in self._waiting.values():
            if not received.looked_at:
                received.looked_at = True
                message = self.session.peek(received.frames)
                received.request = self._lab_request(message) if message and not problem(message) else None
            if received.request is not None:
                requests.append(received.request)
        return requests

    async def _upcoming_soon(self) -> list[Waiting]:
        """Wait until a burst of requests has arrived. Much shorter than a person's patience."""
        deadline, known = time.monotonic() + _BURST, -1
        while len(self._waiting) != known and time.monotonic() < deadline:
            known = len(self._waiting)
            await asyncio.sleep(_BURST_GAP)
            self.shell_stream.flush(zmq.POLLIN)
        return self._upcoming()

    def _lab_request(self, parent: dict[str, Any]) -> Waiting | None:
        """Return a request as the session looks ahead to it; None if it is not for a cell of JupyterLab."""
        if parent["header"].get("msg_type") != "execute_request" or not _is_for_a_cell(parent["content"]):
            return None
        address = self._address(parent)
        if address.dialect != "lab":
            return None
        return Waiting(str(parent["metadata"]["cellId"]), parent["content"]["code"], address)

    async def execute_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Run code. Only the front ends' cells on the shell channel are in the graph."""
        if _is_for_a_cell(parent["content"]) and threading.current_thread() is threading.main_thread():
            with self.interrupts.deferred():
                await self._execute_cell(stream, ident, parent)
        else:
            await super().execute_request(stream, ident, parent)

    async def _execute_cell(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Run a cell, reply, run its dependents, and only then let idle follow."""
        request = self._lab_request(parent) if self._runtime_loaded else None
        answer = None if request is None else self.notebook.replay_or_none(request)
        if request is not None and answer is not None:
            self._run_parent = (ident, parent)
            self._answer_without_running(stream, ident, parent, request, answer)
            await self._settle()
            return
        entry = self._begin_cell(parent)
        self._run_parent = (ident, parent)
        try:
            await super().execute_request(stream, ident, parent)
        finally:
            self.shell.requested = None
        if entry.address.dialect == "vscode":
            # VS Code sends the next request of a Run All after idle.
            self._settle_later(self.notebook.outlet.quiet_in())
        elif entry.address.dialect in {"lab", "agent"}:
            await self._settle()

    def _answer_without_running(
        self, stream: Any, ident: Any, parent: dict[str, Any], request: Waiting, answer: Answer
    ) -> None:
        """Reply to a request whose cell ran before its turn, or whose outputs are shown again."""
        self._publish_execute_input(parent["content"]["code"], parent, answer.execution_count)
        self.notebook.answered(answer, request)
        content: dict[str, Any] = {"status": "ok", "execution_count": answer.execution_count}
        content |= {"user_expressions": {}, "payload": []}
        if answer.error is not None:
            error = {"ename": answer.error.ename, "evalue": answer.error.evalue}
            content |= {"status": "error", **error, "traceback": list(answer.error.traceback)}
        metadata = self.finish_metadata(parent, self.init_metadata(parent), content)
        self.session.send(stream, "execute_reply", content, parent, metadata=metadata, ident=ident)
        if answer.error is not None and parent["content"].get("stop_on_error", True):
            self._abort_queues()

    def _begin_cell(self, parent: dict[str, Any]) -> Entry:
        """Return the cell that a request runs."""
        content = parent["content"]
        self._load_runtime()
        self._read_settings()
        metadata = parent.get("metadata") or {}
        address = self._address(parent)
        self.notebook.delete(metadata.get("deletedCells") or (), address)
        cell_id = metadata.get("cellId")
        author = _client(metadata) or NOTEBOOK
        entry = self.notebook.begin(cell_id, content["code"], author, address)
        self.shell.requested = entry
        return entry

    def _address(self, parent: dict[str, Any]) -> Address:
        metadata = parent.get("metadata") or {}
        content = parent["content"]
        dialect = dialect_of(metadata, allow_stdin=content.get("allow_stdin", True), client=_client(metadata))
        return Address(dialect, parent["header"], parent["header"].get("session", ""))

    def _send_abort_reply(self, stream: Any, msg: dict[str, Any], idents: Any) -> None:
        if self._runtime_loaded and msg["header"]["msg_type"] == "execute_request" and not problem(msg):
            # JupyterLab shows late output through the newest request, also one that never ran.
            self.notebook.aborted((msg.get("metadata") or {}).get("cellId"), self._address(msg))
        super()._send_abort_reply(stream, msg, idents)

    async def do_execute(
        self,
        code: str,
        silent: bool,  # noqa: FBT001  # ipykernel's signature
        store_history: bool = True,  # noqa: FBT001, FBT002
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,  # noqa: FBT001, FBT002
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Execute code and return the content of the reply."""
        shell = self.shell
        entry = shell.requested if threading.current_thread() is threading.main_thread() else None
        shell._last_traceback = None
        shell._last_traceback_during_displayhook = False
        options = {
            "store_history": store_history,
            "silent": silent,
            "cell_id": cell_id,
            "cell_meta": cell_meta,
        }
        self._forward_input(allow_stdin)
        try:
            result = await self._run_code(entry, code, options)
            if entry is not None:
                if shell.requested is entry:  # IPython did not get as far as running it
                    self.notebook.refuse(entry, code)
                self.notebook.end(entry, result.execution_count)
                if entry.address.dialect in {"batch", "terminal"}:
                    await self._settle()
        finally:
            self._restore_input()
        return self._reply_content(result, user_expressions)

    async def _run_code(self, entry: Entry | None, code: str, options: dict[str, Any]) -> Any:
        shell = self.shell
        problem = None
        try:
            transformed = shell.transform_cell(code)
        except Exception:  # noqa: BLE001  # IPython shows whatever a user's transformer raised
            transformed, problem = code, sys.exc_info()
        parsed = {"transformed_cell": transformed, "preprocessing_exc_tuple": problem}
        if entry is None and not (shell.awaits_asyncio and shell.should_run_async(code, **parsed)):
            return shell.run_cell(code, **options)
        running: Awaitable[Any] = shell.run_cell_async(code, **options, **parsed)
        cancelling: AbstractContextManager[None] = nullcontext()
        if entry is None:  # marimo's scheduler cancels a cell; a task of its own would have its own context variables
            running = task = asyncio.ensure_future(running)
            cancelling = self._cancel_on_sigint(task)
        result = None
        with cancelling:
            try:
                result = await running
            finally:
                shell.events.trigger("post_execute")
                if not options["silent"]:
                    shell.events.trigger("post_run_cell", result)
        return result

    def _reply_content(self, result: Any, user_expressions: dict[str, str] | None) -> dict[str, Any]:
        shell = self.shell
        error = result.error_before_exec or result.error_in_exec
        count = result.execution_count or shell.execution_count - 1
        content: dict[str, Any] = {"status": "ok", "execution_count": count}
        if error is not None or shell._last_traceback_during_displayhook:
            content |= {
                "status": "error",
                "ename": type(error).__name__,
                "evalue": str(error),
                "traceback": shell._last_traceback or [],
                "user_expressions": {},
            }
        else:
            with self.interrupts.body():
                content["user_expressions"] = shell.user_expressions(user_expressions or {})
        payloads: Any = shell.payload_manager
        content["payload"] = payloads.read_payload()
        payloads.clear_payload()
        return content

    def do_history(self, hist_access_type: str, *args: Any, **kwargs: Any) -> Any:
        """Answer a history_request. IPython calls the present session 0 in a range; the protocol has numbers."""
        reply = super().do_history(hist_access_type, *args, **kwargs)
        history: Any = self.shell.history_manager
        present = history.session_number
        reply["history"] = [(session or present, *line) for session, *line in reply["history"]]
        return reply

    # -- dependents -------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Run the stale cells now; what another request interrupts goes on when that is answered."""
        await self.notebook.settle()
        self.notebook.outlet.release_held()
        self.notebook.close_run()
        if self.notebook.unsettled:
            self._settle_later(0.0)

    def _settle_later(self, delay: float) -> None:
        if self._settle_timer is not None:
            self.io_loop.remove_timeout(self._settle_timer)
        self._settle_timer = self.io_loop.call_later(delay, self._settle_between_requests)

    async def _settle_between_requests(self) -> None:
        self._settle_timer = None
        wait = self.notebook.outlet.quiet_in()
        if wait > 0:
            self._settle_later(wait)
            return
        async with self._main_asyncio_lock:
            if self._requests_wait():
                self._settle_later(0.0)
                return
            ident, parent = self._run_parent
            self.set_parent(ident, parent, channel="shell")
            self._publish_status("busy", "shell")
            try:
                with self.interrupts.deferred():
                    await self._settle()
            except Exception:
                self.log.exception("Dependents could not be run")
            finally:
                self._publish_status("idle", "shell")

    def _wake(self) -> None:
        """React to cells that became stale outside of a run; any thread."""
        self.io_loop.add_callback(lambda: self._settle_later(self.notebook.outlet.quiet_in()))

    @contextmanager
    def parent_set_to(self, header: Header) -> Iterator[None]:
        """Make what runs inside show its output as if it were the request with this header."""
        outer = self.get_parent("shell")
        ident = self._get_shell_context_var(self._shell_parent_ident)
        inner = {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header.get("msg_type"),
            "content": {},
        }
        inner |= {"parent_header": {}, "metadata": {}}
        self.set_parent(ident, inner, channel="shell")
        try:
            yield
        finally:
            self.set_parent(ident, outer, channel="shell")

    def _send_output(self, message: Message) -> None:
        self.session.send_unrouted(self.iopub_socket, message, self._topic(message.msg_type))

    # -- requests of the bridge protocol ------------------------------------------------------------------------------

    async def bridge_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Answer one of `wire`'s requests; always."""
        on_control = stream is self.control_stream
        try:
            with nullcontext() if on_control else self.interrupts.deferred():
                content = wire.encode_result(
                    await self._answer(wire.decode_request(parent["content"]), parent, on_control)
                )
        except BridgeError as refusal:
            content = wire.encode_error(refusal)
        except Exception:
            self.log.exception("A bridge request failed")
            content = wire.encode_error(
                BridgeError("bad_request", "The kernel failed to answer; its log says why.", "This is a bug.")
            )
        self.session.send(stream, wire.REPLY, json_clean(content), parent, ident=ident)

    async def _answer(self, request: wire.Request, parent: dict[str, Any], on_control: bool) -> wire.Result:  # noqa: FBT001
        match request:
            case wire.Describe():
                return self._describe()
            case wire.ListCells():
                return self.notebook.snapshot()
            case wire.ReadCell(cell_id=cell_id):
                return self.notebook.read(cell_id)
            case wire.ReadRun(run_id=run_id):
                return self.notebook.report(run_id)
            case _ if on_control:
                raise BridgeError("bad_request", "Requests that run code go on the shell channel.")
            case wire.EditCell() | wire.RunCells() | wire.SetUiValue():
                return await self._run_for_agent(request, parent)

    async def _run_for_agent(self, request: wire.ShellRequest, parent: dict[str, Any]) -> wire.Result:
        self._load_runtime()
        self._run_parent = ([], parent)
        match request:
            case wire.EditCell():
                return await self._edit(request, parent)
            case wire.RunCells(cell_ids=cell_ids, client=client):
                await self.notebook.run_known(cell_ids, client, _agent_address(parent))
            case wire.SetUiValue(ui_element=target, value=value, client=client):
                self.notebook.set_ui_value(target, value, client, _agent_address(parent))
        await self._settle()
        return self.notebook.report(parent["header"]["msg_id"])

    async def _edit(self, request: wire.EditCell, parent: dict[str, Any]) -> wire.Result:
        entry = None
        if request.cell_id is not None:
            entry = self.notebook.cells.find(request.cell_id)
            if request.version != entry.cell.version:
                raise BridgeError(
                    "stale_version",
                    f"The cell is at version {entry.cell.version}, the edit was made for version {request.version}; "
                    f"{entry.cell.edited_by} changed it in between.",
                    "Read the cell again and make the edit anew.",
                )
        header = parent["header"]
        await self.notebook.edit(
            entry,
            request.code,
            partial(self.shell.prepare, code=request.code),
            request.client,
            _agent_address(parent),
            run=request.run,
        )
        await self._settle()
        return self.notebook.report(header["msg_id"])

    def _describe(self) -> KernelDescription:
        notebook = self.notebook
        return KernelDescription(
            protocol=wire.PROTOCOL,
            bridge_version=__version__,
            marimo_version=sys.modules["marimo"].__version__ if self._runtime_loaded else None,
            python_version=platform.python_version(),
            pid=os.getpid(),
            cwd=os.getcwd(),  # noqa: PTH109  # a string is wanted
            notebook=self._notebook_path(),
            mode=notebook.mode,
            started_at=self._started_at,
            busy=self.interrupts.in_handler or notebook.running is not None,
            running_cell=notebook.running,
            running_since=notebook.running_since,
            queued=len(self._waiting),
            settling=self._settle_timer is not None,
            cells=len(notebook.cells),
            stale=notebook.stale,
        )


@dataclass
class _Received:
    """A message that waits, and the request in it once it was looked at."""

    frames: list[Any]
    aborted: bool = False
    looked_at: bool = False
    request: Waiting | None = None


def _is_for_a_cell(content: dict[str, Any]) -> bool:
    """Tell an execute_request that runs a cell from a hidden one, which never touches the graph."""
    silent = content.get("silent", False)
    return not silent and bool(content.get("store_history", True)) and isinstance(content.get("code"), str)


def _client(metadata: dict[str, Any]) -> str | None:
    """Return the name that a client gives itself."""
    ours = metadata.get(wire.METADATA_KEY)
    client = ours.get("client") if isinstance(ours, dict) else None
    return client if isinstance(client, str) and client else None


def _agent_address(parent: dict[str, Any]) -> Address:
    """Return where the outputs of an agent's own cells go: to its request."""
    return Address("agent", parent["header"], parent["header"].get("session", ""))


class MarimoKernelApp(IPKernelApp):
    """Starts the kernel process."""

    name = "marimo-kernel"
    kernel_class = Type(MarimoKernel, klass="ipykernel.kernelbase.Kernel").tag(config=True)  # type: ignore[assignment]  # a trait, as in the superclass

    @default("session")
    def _session_default(self) -> RoutingSession:
        return RoutingSession(parent=self)

    def init_control(self, context: Any) -> None:
        super().init_control(context)
        self.shell_channel_thread = None  # no subshells: all shell messages on the main thread


def main(argv: list[str] | None = None) -> None:
    """Run a kernel: `-f CONNECTION_FILE` and ipykernel's other options."""
    MarimoKernelApp.launch_instance(argv)
