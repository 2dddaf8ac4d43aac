"""The composition root of the kernel process: ipykernel's kernel with the reactive notebook.

Owns the threads, and the messages about the kernel itself: status, inputs, replies. `kernel.application` opens the sockets;
requests are handled by `kernel.cell_requests`, `kernel.ipython` and `kernel.bridge_handler`. marimo is imported after the
first kernel_info_reply: the import takes a second, in which a client would consider the kernel dead.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ipykernel.kernelapp import kernel_aliases
from ipykernel.utils import _async_in_context
from traitlets import Bool, Enum, Float, Integer, Type

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.kernel.application import KernelApplication
from marimo_kernel_bridge.kernel.bridge_requests import BridgeRequests, DocumentMessages
from marimo_kernel_bridge.kernel.cell_requests import CellRequests
from marimo_kernel_bridge.kernel.input_kernel import InputKernel
from marimo_kernel_bridge.kernel.ipython.execution import CodeExecution
from marimo_kernel_bridge.kernel.ipython.shell import ReactiveShell
from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession, Outputs
from marimo_kernel_bridge.kernel.messaging.output_streams import CellStream
from marimo_kernel_bridge.kernel.messaging.reply_guard import GuardedHandlers
from marimo_kernel_bridge.kernel.messaging.requests import Cause, CellRequest
from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellQueue
from marimo_kernel_bridge.kernel.messaging.shell_stream import ShellStream
from marimo_kernel_bridge.kernel.messaging.sigint import LOADING, Interrupts, on_main_thread
from marimo_kernel_bridge.kernel.messaging.subshells import Subshells
from marimo_kernel_bridge.kernel.messaging.switch_interval import ShortSwitchInterval
from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
from marimo_kernel_bridge.kernel.notebook_file import NotebookFile
from marimo_kernel_bridge.kernel.stale_scheduler import StaleScheduler
from marimo_kernel_bridge.kernel.status import KernelStatus
from marimo_kernel_bridge.protocol import names as message_names
from marimo_kernel_bridge.startup import gc_pauses
from marimo_kernel_bridge.startup.lazy_debugger import LazyDebugger, lazy_debugger_import

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.bridge_handler import BridgeHandler
    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.checkpoints.after_runs import AfterRuns
    from marimo_kernel_bridge.kernel.checkpoints.requests import Checkpoints
    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.editor.editor import NotebookEditor
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.live.carriers import LiveCarriers
    from marimo_kernel_bridge.kernel.messaging.requests import ExecuteRequest, ReceivedFrames, ReceivedMessage
    from marimo_kernel_bridge.kernel.recording import Recording
    from marimo_kernel_bridge.kernel.viewing.views import KernelViews
    from marimo_kernel_bridge.protocol.black_box import Process
    from marimo_kernel_bridge.protocol.bounds import Bounds, Exceeded
    from marimo_kernel_bridge.runtime.interface import CellHost, LiveFrontEnd

_AFTER_PRINTING = 0.0005  # seconds, as in ipykernel
_PRELOAD_DELAY = 0.05  # seconds after the first kernel_info_reply: more requests may already have arrived
_NOT_FRAMED = frozenset({message_names.REQUEST, message_names.READ_REQUEST, message_names.DOCUMENT_REQUEST})
_T = TypeVar("_T")


class MarimoKernel(InputKernel):
    """An ipykernel kernel with marimo's dataflow graph between requests and their execution."""

    implementation = message_names.IMPLEMENTATION
    implementation_version = __version__
    banner = (
        f"marimo reactive Python (marimo-kernel-bridge {__version__}) on Python {platform.python_version()}\n"
        "Run a cell, and every cell that depends on it runs too."
    )
    shell_class = Type(ReactiveShell)
    debugger_class = Type(LazyDebugger)
    session: JupyterSession
    shell: ReactiveShell
    shell_stream: ShellStream

    output_limit = Integer(
        200_000_000, help="Characters of output that one run of a cell may show; 0 shows everything."
    ).tag(config=True)
    checkpoints = Enum(
        ("costly", "all", "off"),
        "costly",
        help="What automatic checkpoints keep: what took 5 s or more to make, with what it needs; all; or nothing.",
    ).tag(config=True)
    ttl = Float(0.0, help="Seconds without a request after which the kernel ends itself; 0 never.").tag(
        config=True
    )

    records = Bool(
        True,  # noqa: FBT003  # traitlets' signature
        help="Record the running cell and the names of values, so that a death of the kernel has a cause.",
    ).tag(config=True)
    memory_limit = Integer(
        0,
        help="Bytes of memory that the kernel may use, if the system sets no lower limit; 0: as many as there are.",
    ).tag(config=True)
    memory_guard = Enum(
        ("error", "interrupt"),
        "error",
        help="What a cell gets that uses up a known limit of memory: `MemoryError`, or an interrupt before, at 90 %.",
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        kwargs["shell_stream"] = ShellStream.replacing(kwargs["shell_stream"])
        with lazy_debugger_import():
            super().__init__(**kwargs)
        self.scheduler = StaleScheduler(self)
        self.queue = ShellQueue(self.shell_stream.flush)
        self.outputs = Outputs(self.session, self.iopub_socket, self._topic)
        self.notebook = NotebookSession(
            self.outputs.send,
            self.scheduler.wake,
            self.queue,
            output_limit=self.output_limit,
            pause_names=partial(_pause_names, self),
        )
        self.file = NotebookFile(self.shell.user_ns, self.notebook)
        self.interrupts = Interrupts(lambda: self.notebook.runtime if self.notebook.loaded else None)
        self.loader = RuntimeLoader(self, self._kernel_modules)
        self.status = KernelStatus(self.notebook, self.scheduler, self.queue, self.interrupts)
        self.cell_requests = CellRequests(self)
        self.subshells = Subshells(
            self.shell_stream,
            self.session,
            self.shell_main,
            self._send_unknown_subshell_reply,
            self.comm_manager.comms,
        )
        self.bridge_requests = BridgeRequests(self, partial(_bridge_handler, self))
        self.document_messages = DocumentMessages(self, self)
        self.editor: Callable[[], NotebookEditor] = cache(partial(_editor, self))
        """Returns the notebook in marimo's own editor."""
        self.views: Callable[[], KernelViews] = _once(partial(_views, self))
        """Returns the views of variables. Any thread."""
        self.comm_manager.register_target(
            message_names.LIVE_TARGET,
            lambda comm, message: self.live_carriers.opened(comm, message["content"].get("data")),
        )
        self.recording: Recording | None = None
        """What is recorded for the case that this process dies; None before the runtime is loaded."""
        self.bounds: Bounds | None = getattr(self.parent, "bounds", None)
        """The limits and the sandbox that this process is held to."""
        self.process: Process | None = getattr(self.parent, "process", None)
        """The one that stands for this one outside of its sandbox."""
        self._execution = CodeExecution(self.shell, self.cell_requests, self, partial(_exceeded, self))
        self._switch_interval = ShortSwitchInterval()
        self.use_of: Callable[[ReceivedMessage | None], AbstractContextManager[object]] = nullcontext
        """Returns the context of a request, which keeps the kernel from ending itself."""
        self.used: Callable[[], None] = lambda: None
        """Keeps the kernel from ending itself soon. Any thread."""
        self.control_handlers |= self.subshells.handlers
        self.shell_handlers[message_names.REQUEST] = self.bridge_requests.reply
        self.control_handlers[message_names.REQUEST] = self.bridge_requests.reply_on_control
        self.control_handlers[message_names.READ_REQUEST] = self.bridge_requests.reply_on_control
        self.control_handlers[message_names.DOCUMENT_REQUEST] = self.document_messages.reply
        self.shell_handlers = GuardedHandlers(self.shell_handlers, self.session, self.log)
        self.control_handlers = GuardedHandlers(self.control_handlers, self.session, self.log)

    # -- start, stop, signals -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start to read from the sockets."""
        super().start()
        self.shell_stream.listen(
            _Shell(
                self.session, self.subshells, self.queue, _async_in_context(partial(self.shell_main, None))
            )
        )
        self.shell_channel_thread = self.subshells
        self.interrupts.take_signal()
        idle = None if self.bounds is None else self.bounds.limits.idle_seconds
        if self.ttl > 0 or idle is not None:
            from marimo_kernel_bridge.kernel.idle_end import OwnEnd  # noqa: PLC0415  # kernels of sessions only

            own_end = OwnEnd(self, self.ttl, idle or 0.0)
            self.use_of, self.used = own_end.use_of, own_end.used

    def pre_handler_hook(self) -> None:
        """Record that user code may run. Keep the signal handler: ipykernel's own cannot interrupt dependents."""
        self.interrupts.request_begins()

    def post_handler_hook(self) -> None:
        self.interrupts.request_ends()

    def cancel_on_sigint(self, task: asyncio.Future[Any]) -> AbstractContextManager[None]:
        """Cancel a task on SIGINT."""
        cancelling: AbstractContextManager[None] = self._cancel_on_sigint(task)
        return cancelling

    def do_shutdown(self, restart: bool) -> Any:  # noqa: FBT001  # ipykernel's signature
        self.scheduler.stop()
        self.subshells.close()
        if self.recording is not None:
            self.recording.close()
        if not restart:
            self.notebook.agents.kernel_ends(_kernel_id(self))
        return super().do_shutdown(restart)

    async def kernel_info_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        await super().kernel_info_request(stream, ident, parent)
        if on_main_thread():
            self.loader.load_soon()

    # -- execute_request ----------------------------------------------------------------------------------------

    async def dispatch_shell(
        self, msg: ReceivedFrames, /, subshell_id: str | None = None, *, concurrent: bool = False
    ) -> None:
        if subshell_id is not None:
            self.subshells.dequeue(subshell_id, msg)
            with self.use_of(msg.message):
                await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)
            return
        # ipykernel's own flag applies to whichever message comes next.
        self._aborting = self.queue.dequeue(msg)
        runs = msg.cell_request is not None if self.bounds is None else _executes(msg.message)
        first = not self.notebook.loaded and runs
        with self.use_of(msg.message):
            if first:
                with self.interrupts.deferred(LOADING):
                    self.loader.load()  # before busy is published, so that it does not count as the cell's time
                    if msg.cell_request is not None:
                        await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)
                        return
            # An interrupt before a cell's body, of which nobody would answer the request, is kept for the body. Code that is no cell is
            # interrupted as in plain IPython.
            with self.interrupts.deferred() if msg.cell_request is not None else nullcontext():
                await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)

    def note_waiting(self) -> None:
        """Record, before an error is reported, which requests it aborts."""
        if on_main_thread():
            self.queue.note_waiting()
        else:
            self.subshells.note_waiting()

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """After an error, abort the recorded execute_requests, and those that follow within the configured time."""
        if subshell_id is not None:
            self.subshells.abort(subshell_id, within=self.stop_on_error_timeout)
        elif on_main_thread():  # requests on control have no queue
            session = self.get_parent("shell")["header"].get("session")
            self.queue.abort(within=self.stop_on_error_timeout, session=session)

    async def execute_request(self, stream: Any, ident: Any, parent: ReceivedMessage) -> None:
        """Run code. Only front ends' cells on the shell channel enter the graph."""
        request = parent.request
        assert request is not None, "the reply guard refuses invalid requests"
        refusal = self.cell_requests.refuse_agent(request)
        if refusal is not None:
            from marimo_kernel_bridge.protocol.messages import encode_error  # noqa: PLC0415  # imported late: a client waits for the sockets

            content = {**encode_error(refusal), "execution_count": self.shell.execution_count - 1}
            self.session.send(stream, "execute_reply", content, parent, ident=ident)
            return
        if isinstance(request, CellRequest) and self.notebook.agents.is_over(request.operation):
            self._send_abort_reply(stream, parent, ident)
            return
        execute = partial(super().execute_request, stream, ident, parent)
        if isinstance(request, CellRequest) and on_main_thread():
            cause = Cause(ident, parent, request.allow_stdin, request.sends_bursts)
            with self.interrupts.deferred():
                await self.cell_requests.handle(stream, cause, request, execute)
        else:
            await self._execute_other(request, parent, execute)
        if request.wants_outcome:
            self.bridge_requests.send_outcome(stream, ident, parent)

    async def _execute_other(
        self, request: ExecuteRequest, parent: ReceivedMessage, execute: Callable[[], Awaitable[None]]
    ) -> None:
        """Run code that stays out of the graph."""
        recording = self.recording if on_main_thread() else None
        began = time.monotonic()
        if recording is not None:
            recording.other_code(request.code)
        try:
            await execute()
        finally:
            if recording is not None:
                recording.other_code(None)
            if request.client is not None:
                took = time.monotonic() - began
                self.notebook.agents.charge(request.client, parent["header"]["msg_id"], took)

    def publish_input(self, cause: Cause, code: str, execution_count: int | None) -> None:
        """Publish an execute_input for a request that does not need to run."""
        self._publish_execute_input(code, cause.message, execution_count)

    def send_execute_reply(self, stream: Any, cause: Cause, content: dict[str, Any], *, aborts: bool) -> None:
        """Send an execute_reply for a request that does not need to run; `aborts`: it aborts the queued requests."""
        if content["status"] == "error":
            self.note_waiting()
        parent = cause.message
        metadata = self.finish_metadata(parent, self.init_metadata(parent), content)
        self.session.send(stream, "execute_reply", content, parent, metadata=metadata, ident=cause.ident)
        if aborts:
            self._abort_queues()

    def _send_abort_reply(self, stream: Any, msg: ReceivedMessage, idents: Any) -> None:
        if isinstance(msg.request, CellRequest):
            self.cell_requests.abort(msg.request)
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
        content = await self._execution.execute(
            code,
            silent=silent,
            store_history=store_history,
            user_expressions=user_expressions,
            allow_stdin=allow_stdin,
            cell_meta=cell_meta,
            cell_id=cell_id,
        )
        # ipykernel delays each reply until clients are likely to have received printed output.
        printed = [_was_used(stream) for stream in (sys.stdout, sys.stderr)]
        self._execute_sleep = _AFTER_PRINTING if any(printed) else 0.0
        return content

    def do_history(self, hist_access_type: str, *args: Any, **kwargs: Any) -> Any:
        """Answer a history_request. IPython numbers the current session 0 in a range; the protocol uses its number."""
        reply = super().do_history(hist_access_type, *args, **kwargs)
        history: Any = self.shell.history_manager
        present = history.session_number
        reply["history"] = [(session or present, *line) for session, *line in reply["history"]]
        return reply

    @property
    def one_at_a_time(self) -> asyncio.Lock:
        """The lock that requests on the main thread hold."""
        lock: asyncio.Lock = self._main_asyncio_lock
        return lock

    @contextmanager
    def handling(self, cause: Cause) -> Iterator[None]:
        """Act between requests on behalf of a request, as if it were still being handled."""
        self.interrupts.take_signal()
        self.set_parent(cause.ident, cause.message, channel="shell")
        self._publish_status("busy", "shell")
        try:
            with self.interrupts.deferred():
                yield
        except (
            KeyboardInterrupt
        ):  # the interrupt came outside of any cell; without this, the kernel would end
            self.log.warning("Interrupted between requests")
        except Exception:
            self.log.exception("Dependents could not be run")
        finally:
            self._publish_status("idle", "shell")

    # -- output ---------------------------------------------------------------------------------------------------------

    def _publish_status(self, status: str, channel: str, parent: dict[str, Any] | None = None) -> None:
        """Publish busy and idle, except for reads on control: JupyterLab would show a kernel that is running a cell as idle."""
        asked = (parent or self.get_parent(channel)).get("header", {}).get("msg_type")
        if channel != "control" or asked not in _NOT_FRAMED:
            super()._publish_status(status, channel, parent)

    @contextmanager
    def parent_set_to(self, header: Header) -> Iterator[None]:
        """Send output as caused by the request with this header."""
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

    # -- control ------------------------------------------------------------------------------------------------------

    @property
    def documents(self) -> DocumentRequests:
        """The requests about the documents that are open in front ends. Any thread."""
        return self.document_messages.requests

    # -- marimo's own elements -------------------------------------------------------------------------------------------

    @cached_property
    def live_carriers(self) -> LiveCarriers:
        """What carries messages to the pages that show marimo's own elements."""
        with _own_imports():
            from marimo_kernel_bridge.kernel.live.carriers import LiveCarriers  # noqa: PLC0415  # few notebooks show elements

        self.loader.load()
        return LiveCarriers(self, self.notebook.runtime.live, self.notebook.outputs)

    # -- checkpoints -----------------------------------------------------------------------------------------------------

    @cached_property
    def checkpointing(self) -> Checkpoints:
        """The checkpoints of the notebook."""
        with _own_imports():
            from marimo_kernel_bridge.kernel.checkpoints.requests import Checkpoints  # noqa: PLC0415  # few cells take long
            from marimo_kernel_bridge.kernel.documents.loading import load_newer  # noqa: PLC0415  # the same

        return Checkpoints(
            self,
            _kernel_id(self),
            partial(load_newer, self),
            self.documents.shared.show_outputs,
            self.checkpoints,  # type: ignore[arg-type]  # the trait allows just these
        )

    async def process_control(self, msg: Any) -> None:
        """Handle a request on control, concurrently with the main thread."""
        self._switch_interval.keep()
        await super().process_control(msg)


class RuntimeLoader:
    """A loader of marimo: imports it and embeds it in the shell's namespace when a cell needs it or the kernel is idle."""

    def __init__(self, kernel: MarimoKernel, kernel_modules: list[str]) -> None:
        """`kernel_modules`: the files that the debugger skips; those of the modules imported here are added."""
        self._kernel = kernel
        self._kernel_modules = kernel_modules
        self._soon = False

    def load_soon(self) -> None:
        """Load after requests that may already have arrived."""
        if not (self._soon or self._kernel.notebook.loaded):
            self._soon = True
            self._kernel.io_loop.call_later(_PRELOAD_DELAY, self.load)

    def load(self) -> None:
        """Import marimo and embed it."""
        kernel, notebook = self._kernel, self._kernel.notebook
        if notebook.loaded:
            return
        from marimo_kernel_bridge.startup.import_path import without_working_directory  # noqa: PLC0415  # not used before
        from marimo_kernel_bridge.startup.working_directory import outside_deleted_directory  # noqa: PLC0415  # not used before

        imported = set(sys.modules)
        with gc_pauses.frozen_imports(), outside_deleted_directory(), without_working_directory():
            from marimo_kernel_bridge.analysis import value_flows as flows  # noqa: F401, PLC0415  # needed by the first cell
            from marimo_kernel_bridge.kernel.checkpoints.after_runs import AfterRuns  # noqa: PLC0415  # not used before
            from marimo_kernel_bridge.kernel.ipython.marimo_magic import MarimoMagics  # noqa: PLC0415  # not used before
            from marimo_kernel_bridge.kernel.notebook.front_end_capabilities import FrontEndCapabilities  # noqa: PLC0415  # the same
            from marimo_kernel_bridge.runtime import lazy_imports as late_parts  # noqa: F401, PLC0415  # first
            from marimo_kernel_bridge.runtime.engine import Engine, Screen  # noqa: PLC0415  # after the first kernel_info_reply

        def make_runtime(host: CellHost) -> Engine:
            capabilities = FrontEndCapabilities(
                notebook.cells, lambda: notebook.running, partial(_live_front_end, kernel)
            )
            screen = Screen(kernel.shell, capabilities)
            with outside_deleted_directory():
                return Engine(kernel.shell.user_module, host, kernel.file.path(), screen)

        notebook.load(make_runtime, kernel.shell, partial(_exceeded, kernel))
        kernel.shell.register_magics(
            MarimoMagics(kernel.shell, notebook, lambda: kernel.checkpointing, kernel.editor, kernel.views)
        )
        if kernel.bounds is not None and kernel.bounds.sandbox is not None:
            from marimo_kernel_bridge.kernel.ipython import sandboxed_packages  # noqa: PLC0415  # kernels in a sandbox only

            sandboxed_packages.register(kernel.shell, kernel.bounds.sandbox)
        after_runs = AfterRuns(kernel)
        notebook.execution.observers.add(after_runs)
        notebook.settled.append(after_runs.settled)
        kernel.session.redirect_outputs(notebook.outputs.route)
        kernel.interrupts.watch_forks()
        files = [getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - imported]
        self._kernel_modules += [file for file in files if file]
        kernel.file.read_settings()
        recorded = kernel.records or kernel.bounds is not None
        if recorded and isinstance(kernel.parent, MarimoKernelApp):  # a process of its own
            self._record(kernel.parent.abs_connection_file, after_runs)

    def _record(self, connection_file: str, after_runs: AfterRuns) -> None:
        from marimo_kernel_bridge.kernel.recording import Recording  # noqa: PLC0415  # after the first kernel_info_reply

        kernel, shell = self._kernel, self._kernel.shell
        assert kernel.control_stream is not None
        recording = Recording(
            connection_file,
            kernel.notebook,
            kernel.file,
            shell.user_ns,
            shell.user_ns_hidden,
            covered=after_runs.take_offer,
            hide=kernel.session.as_agents_read,
            process=kernel.process,
            sandboxed=kernel.bounds is not None and kernel.bounds.sandbox is not None,
        )
        beside = kernel.control_stream.io_loop
        if kernel.bounds is not None:
            from marimo_kernel_bridge.kernel.limits.watch import LimitWatch  # noqa: PLC0415  # kernels with limits only

            limits = kernel.bounds.limits
            recording.limit(limits.given(), partial(LimitWatch, limits, kernel.interrupts, beside))
        recording.begin(
            kernel.memory_limit,
            kernel.io_loop,
            beside,
            kernel.outputs.show_notice,
            interrupts=kernel.memory_guard == "interrupt",
            records=kernel.records,
        )
        kernel.recording = recording

    def prepare_notebook(self) -> None:
        """Load the runtime and read the settings in the notebook's file, unless that is already done."""
        self.load()
        self._kernel.file.read_settings()
        self._kernel.file.read_order()


def _executes(message: ReceivedMessage | None) -> bool:
    return message is not None and message["header"]["msg_type"] == "execute_request"


def _kernel_id(kernel: MarimoKernel) -> str:
    return message_names.kernel_id_of(Path(getattr(kernel.parent, "connection_file", "")))


def _live_front_end(kernel: MarimoKernel, entry: Entry) -> LiveFrontEnd | None:
    return kernel.live_carriers.front_end_of(entry)


def _exceeded(kernel: MarimoKernel, error: BaseException | None) -> Exceeded | None:
    """Return the limit that the code which has just run has hit; `error` ended it."""
    watch = None if kernel.recording is None else kernel.recording.watch
    return None if watch is None else watch.exceeded(error)


def _pause_names(kernel: MarimoKernel) -> Sequence[str]:
    """Return the names of a pause, that of the notebook first. Any thread."""
    path = kernel.file.path()
    return [name for name in (path and os.path.realpath(path), _kernel_id(kernel)) if name]


def _own_imports() -> AbstractContextManager[None]:
    from marimo_kernel_bridge.startup.import_path import own_imports  # noqa: PLC0415  # not used before

    return own_imports()


def _editor(kernel: MarimoKernel) -> NotebookEditor:
    with _own_imports():
        from marimo_kernel_bridge.kernel.editor.editor import NotebookEditor  # noqa: PLC0415  # few notebooks are opened there
        from marimo_kernel_bridge.runtime.editor.server import EditorServer  # noqa: PLC0415  # the same

    return NotebookEditor(kernel, EditorServer)


def _once(make: Callable[[], _T]) -> Callable[[], _T]:
    """Return what makes something when it is first called, by whichever thread, and then returns that."""
    making = threading.Lock()
    made: list[_T] = []

    def get() -> _T:
        with making:
            if not made:
                made.append(make())
            return made[0]

    return get


def _views(kernel: MarimoKernel) -> KernelViews:
    with _own_imports():
        from marimo_kernel_bridge.kernel.viewing.views import KernelViews  # noqa: PLC0415  # few notebooks are viewed

    return KernelViews(kernel)


def _bridge_handler(kernel: MarimoKernel) -> BridgeHandler:
    with _own_imports():
        from marimo_kernel_bridge.kernel.bridge_handler import BridgeHandler  # noqa: PLC0415  # needed by agents' clients only

        kernel.session.for_agents.redactor()  # from now on, what is recorded for a death has no secrets
    if kernel.recording is not None:
        kernel.recording.agents_came()
    return BridgeHandler(kernel)


@dataclass(frozen=True)
class _Shell:
    """The receiver of the shell channel's messages."""

    session: JupyterSession
    subshells: Subshells
    queue: ShellQueue
    dispatch: Callable[[ReceivedFrames], Any]

    def read(self, frames: list[Any]) -> ReceivedFrames:
        return self.session.receive(frames)

    def route(self, frames: ReceivedFrames) -> bool:
        return self.subshells.route(frames)

    def receive(self, frames: ReceivedFrames) -> Any:
        self.queue.add(frames)
        return self.dispatch(frames)


def _was_used(stream: object) -> bool:
    """Return whether a stream was written to since the last call; True for a stream of another class."""
    return not isinstance(stream, CellStream) or stream.was_used()


class MarimoKernelApp(KernelApplication):
    """The application that starts the kernel process."""

    name = "marimo-kernel"
    aliases = {**kernel_aliases, "ttl": "MarimoKernel.ttl"}  # noqa: RUF012  # a trait, as in the superclass
    kernel_class = Type(MarimoKernel, klass="ipykernel.kernelbase.Kernel").tag(config=True)  # type: ignore[assignment]  # a trait, as in the superclass


def main(
    argv: list[str] | None = None,
    *,
    forked: Callable[[], None] | None = None,
    bounds: Bounds | None = None,
    opened: Mapping[int, int] | None = None,
    process: Process | None = None,
) -> None:
    """Run a kernel: `-f CONNECTION_FILE` and ipykernel's other options.

    `opened`: ports and the descriptors that listen on them, in a sandbox that has no network of its own to open any; `process` stands for
    this one outside of it.

    `forked` is called when the sockets are open, in a kernel that a pool has forked. The kernel must not end with its
    parent, the pool: a parent handle of 1 means "no parent" to ipykernel. `bounds` are those that the process is held to.
    """
    app = MarimoKernelApp.instance(**({"parent_handle": 1} if forked else {}))
    app.on_listening = forked
    app.bounds, app.process = bounds, process
    app.begun = datetime.now(UTC) if forked or opened else None
    if opened:
        app.opened = opened
    with gc_pauses.frozen_imports():
        app.initialize(argv)
    app.start()
