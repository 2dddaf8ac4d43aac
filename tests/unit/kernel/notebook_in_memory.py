"""A kernel in this process, and front ends that talk to it without sockets.

The kernel is the real one: IPython's shell, marimo's graph, the notebook session, dispatch and replies. What is not here
is the process boundary: no ZMQ, no threads of ipykernel, no second process. A front end has the vocabulary of those on a
real kernel: it sends what JupyterLab, VS Code, nbclient, a terminal or an agent sends and keeps each cell's outputs.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import zmq
from ipykernel.inprocess.socket import DummySocket
from ipykernel.iostream import IOPubThread
from ipykernel.kernelbase import Kernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.profiledir import ProfileDir
from marimo._runtime.context.types import (  # noqa: TID251  # ends what a kernel leaves
    safe_get_context,
    teardown_context,
)
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait
from traitlets.config import Config

from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata
from marimo_kernel_bridge.kernel.live import carriers
from marimo_kernel_bridge.kernel.messaging import shell_queue
from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
from marimo_kernel_bridge.kernel.messaging.output_streams import CellStream
from marimo_kernel_bridge.kernel.messaging.shell_stream import Listener, ShellStream
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.document import DOCUMENT, DOCUMENT_REQUEST
from marimo_kernel_bridge.protocol.notebook import Cell, KernelDescription
from marimo_kernel_bridge.zmq_kernel import MarimoKernel
from tests.front_end_document import FrontEndDocument
from tests.front_end_reply import Reply

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.kernel.messaging.shell_stream import Listener
    from marimo_kernel_bridge.protocol.names import Dialect
    from tests.front_end_document import Buffer

_KEY = b"in memory"
BOUND = 60.0  # seconds for any single wait
_MOMENT = 0.001  # seconds between two looks at what nothing tells of

Message = dict[str, Any]
"""A Jupyter message, as a front end gets it."""


class _Socket(DummySocket):
    """A socket of the kernel that hands each message to who listens."""

    def __init__(self, listener: Callable[[list[Any]], None]) -> None:
        super().__init__()
        self._listener = listener

    def send_multipart(self, msg_parts: Any, *_args: Any, **_options: Any) -> None:
        self._listener([bytes(getattr(part, "buffer", part)) for part in msg_parts])

    def on_recv(self, *_args: Any, **_options: Any) -> None:
        """Nothing comes by itself: `KernelInMemory` hands messages over."""


class _ShellStream(_Socket):
    """The shell channel's stream: what front ends sent waits in `arriving` until the kernel looks."""

    def __init__(self, listener: Callable[[list[Any]], None], io_loop: IOLoop) -> None:
        super().__init__(listener)
        self.io_loop = io_loop
        self.arriving: deque[list[Any]] = deque()
        self._messages: Listener | None = None
        self._tasks: set[asyncio.Future[None]] = set()

    async def pause(self) -> None:
        """Wait until the kernel has handled a message, or for a moment. The kernel may wait for more requests itself."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_MOMENT, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(_MOMENT)

    def listen(self, listener: Listener) -> None:
        self._messages = listener

    def flush(self, *_args: Any) -> int:
        count = len(self.arriving)
        while self.arriving:
            assert self._messages is not None
            message = self._messages.read(self.arriving.popleft())
            if not self._messages.route(message):
                task = asyncio.ensure_future(self._messages.receive(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return count

    def closed(self) -> bool:
        return False


class _ControlThread(threading.Thread):
    """The thread of the control channel, with its event loop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.io_loop = IOLoop(make_current=False)

    def run(self) -> None:
        self.io_loop.start()
        self.io_loop.close(all_fds=True)

    def handle(self, coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine in the thread, and wait for it."""
        done = threading.Event()

        async def handle() -> None:
            try:
                await coroutine()
            finally:
                done.set()

        self.io_loop.add_callback(handle)
        done.wait(BOUND)

    def stop(self) -> None:
        self.io_loop.add_callback(self.io_loop.stop)
        self.join(BOUND)


class _ControlStream(_Socket):
    """The control channel's stream."""

    def __init__(self, listener: Callable[[list[Any]], None], io_loop: IOLoop) -> None:
        super().__init__(listener)
        self.io_loop = io_loop


class _Kernel(MarimoKernel):
    """The kernel without sockets."""

    shell_stream = AnyTrait()  # the superclass wants a ZMQStream
    control_stream = AnyTrait()


class KernelInMemory:
    """A `MarimoKernel` in this process. One at a time: IPython, marimo and `sys.modules` know a single one."""

    def __init__(self, folder: Path, *, widgets: bool = False) -> None:
        """`widgets`: as if anywidget were installed, so that pages may show marimo's own elements."""
        self._patches: list[Any] = [
            patch.object(carriers, "has_widgets", lambda: widgets),
            # What front ends sent has arrived.
            patch.object(shell_queue, "_BURST", 0.0),
            # Python counts one by one what the tests have frozen, which takes a third of the start.
            patch.object(gc, "get_freeze_count", lambda: 1),
        ]
        if safe_get_context() is not None:
            teardown_context()  # of an app that another test ran in this process
        self._loop = asyncio.new_event_loop()
        self._front_ends: dict[bytes, FrontEnd] = {}
        self._main_module, self._sigint = sys.modules["__main__"], signal.getsignal(signal.SIGINT)
        self.between: list[Callable[[], None]] = []
        """What front ends do by themselves while the kernel runs."""
        self._control = _ControlThread()
        self._control.start()
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start(folder))
        if widgets:  # comms are those of the process's only kernel
            self._patches.append(patch.object(Kernel, "_instance", self.kernel, create=True))
        for present in self._patches:
            present.start()

    async def _start(self, folder: Path) -> None:
        session = JupyterSession(key=_KEY)
        self._iopub = _Socket(self._published)
        self.stream = _ShellStream(self._replied, IOLoop.current())
        self._iopub_thread = iopub_thread = IOPubThread(self._iopub)
        profile = ProfileDir.create_profile_dir(str(folder / "profile"))
        with patch.object(ShellStream, "replacing", lambda stream: stream):
            self.kernel = _Kernel(
                session=session,
                shell_stream=self.stream,
                control_stream=_ControlStream(self._replied, self._control.io_loop),
                iopub_thread=iopub_thread,
                iopub_socket=self._iopub,
                profile_dir=profile,
                user_ns=None,  # as in a process: IPython makes the module
                log=logging.getLogger("kernel"),
                config=Config(
                    {
                        "HistoryManager": {"hist_file": ":memory:"},
                        "ZMQInteractiveShell": {"ipython_dir": str(folder)},
                    }
                ),
            )
        # Hooks for forks cannot be taken back, and would keep each kernel.
        self.kernel.interrupts.watch_forks = lambda: None  # type: ignore[method-assign]
        self._streams = [
            CellStream(session, iopub_thread, name, watchfd=False) for name in ("stdout", "stderr")
        ]
        self.kernel.start()

    def close(self) -> None:
        """End the kernel, and leave this process as it was."""
        for present in self._patches:
            present.stop()
        loaded = self.kernel.notebook.loaded
        self._control.stop()
        self.kernel.scheduler.stop()
        self.kernel.subshells.close()
        if loaded:
            teardown_context()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        IOLoop.current().close()  # closes asyncio's too; tornado keeps what is open
        self._iopub_thread.io_loop.close(all_fds=True)
        atexit.unregister(self.kernel.shell.atexit_operations)  # which would keep the kernel
        asyncio.set_event_loop(None)
        ZMQInteractiveShell.clear_instance()
        type(self.kernel.shell).clear_instance()
        signal.signal(signal.SIGINT, self._sigint)
        sys.modules["__main__"] = self._main_module

    def connect(self, dialect: Dialect = "lab") -> FrontEnd:
        """Return a new page of a front end."""
        front_end = FrontEnd(self, dialect)
        self._front_ends[front_end.ident] = front_end
        return front_end

    # -- messages --------------------------------------------------------------------------------------------------

    def _published(self, frames: list[bytes]) -> None:
        for front_end in self._front_ends.values():
            front_end.take(frames)

    def _replied(self, frames: list[bytes]) -> None:
        self._front_ends[frames[0]].take_reply(frames)

    def send(self, frames: list[bytes]) -> None:
        """Put a message into the shell channel."""
        self.stream.arriving.append([zmq.Frame(part) for part in frames])

    def control(self, frames: list[bytes]) -> None:
        """Have a message handled on the control channel, in a thread, as the control thread does."""
        parts = [zmq.Frame(part) for part in frames]
        self._control.handle(lambda: self.kernel.process_control(parts))

    def run_until(self, done: Callable[[], bool], within: float | None = None) -> bool:
        """Run the kernel until something is true, and return whether it became so in time (seconds, else `BOUND`).

        Called from a cell: wait for the control thread, while the cell runs.
        """
        within = BOUND if within is None else within  # as it is now: to measure notebooks takes longer
        if self._loop.is_running():
            deadline = time.monotonic() + within
            while not done() and time.monotonic() < deadline:
                for act in self.between:
                    act()
                time.sleep(_MOMENT)
            return done()
        with self._own_streams():
            return self._loop.run_until_complete(self._until(done, within))

    async def _until(self, done: Callable[[], bool], within: float) -> bool:
        deadline = time.monotonic() + within
        while not done():
            if time.monotonic() > deadline:
                return False
            self.stream.flush()
            for act in self.between:
                act()
            for (
                stream
            ) in self._streams:  # what threads have written; ipykernel's own thread does that by a timer
                stream.flush()
            await self.stream.pause()
        return True

    @contextmanager
    def _own_streams(self) -> Iterator[None]:
        outer = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._streams
        try:
            yield
        finally:
            for stream in self._streams:
                stream.flush()
            sys.stdout, sys.stderr = outer


class FrontEnd:
    """A page of a front end that shows cells."""

    def __init__(self, kernel: KernelInMemory, dialect: Dialect) -> None:
        self.dialect = dialect
        self.kernel = kernel
        self.session = JupyterSession(key=_KEY)
        self.ident = self.session.bsession
        self.page = Page()
        self.counts: dict[str, int | None] = {}
        self.seen: list[Message] = []
        self.replies: dict[str, Message] = {}  # that nobody has asked for yet, by the id of their request
        self._idle: dict[str, int] = {}  # message id -> how many messages had come when its request was over
        self._now = datetime.now(
            UTC
        )  # a clock of its own: requests of a Run All are close on a slow machine too
        self._read = 0  # messages that replies and waits have looked at
        self.documents: list[FrontEndDocument] = []  # what the extension has open in it

    # -- the extension -------------------------------------------------------------------------------------------

    def open(
        self, cells: dict[str, str] | Buffer, *, attach: bool = True, **options: Any
    ) -> FrontEndDocument:
        """Open a document on the kernel."""
        document = FrontEndDocument(self, cells, **options)
        self.documents.append(document)
        self.kernel.between.append(document.work)
        if attach:
            document.attach()
        return document

    def request(self, content: dict[str, Any]) -> dict[str, Any]:
        """Send a message about a document, and return the content of the reply."""
        message = self.session.msg(DOCUMENT_REQUEST)
        message["content"] = content
        return self.answer(message)

    def execute(self, key: str, code: str, metadata: dict[str, Any]) -> str:
        """Run a cell for the extension."""
        return self.send(key, code, metadata=metadata)

    def adopt(self, parents: dict[str, str]) -> None:
        """Show what comes for requests of another page."""
        for cell, msg_id in parents.items():
            self.page.adopt(cell, msg_id)

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(
        self, cell: str | None, code: str, *, metadata: dict[str, Any] | None = None, **content: Any
    ) -> str:
        """Send an execute_request as the dialect does, and return its message id. It waits until `finish`."""
        message = self.session.msg(
            "execute_request",
            execute_content(code, self.dialect) | content,
            metadata=execute_metadata(cell, self.dialect) | (metadata or {}),
        )
        self._now += timedelta(milliseconds=1)
        message["header"]["date"] = self._now
        msg_id: str = message["header"]["msg_id"]
        if cell is not None:
            self.page.sent(cell, msg_id)
        self.kernel.send(self.session.serialize(message, self.ident))
        return msg_id

    def ask(self, request: wire.Request, channel: str = "control") -> dict[str, Any]:
        """Send a bridge request and return the content of its reply."""
        return self.answer(self.session.msg(wire.REQUEST, wire.encode_request(request)), channel)

    def answer(self, message: Message, channel: str = "control") -> dict[str, Any]:
        """Send a message made by hand and return the content of its reply; on shell, once it is idle."""
        frames = self.session.serialize(message, self.ident)
        msg_id = message["header"]["msg_id"]
        if channel == "control":
            self.kernel.control(frames)
        else:
            self.kernel.send(frames)
            self.wait_idle(msg_id)
        return self._reply(msg_id)["content"]

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self, cell: str | None, code: str, **options: Any) -> Reply:
        """Run a cell as a person does, seconds after what was sent before, and wait for its reply and idle."""
        self.pause()
        return self.finish(self.send(cell, code, **options))

    def run_each(self, cells: Sequence[str], steps: Sequence[str] = ()) -> list[str]:
        """Run cells called "0", "1", ..., then some again (`number: code`, or `number`). Return the cells' names."""
        codes = {str(number): code for number, code in enumerate(cells)}
        for number, code in codes.items():
            assert self.run(number, code).ok
        for step in steps:
            cell, _, code = step.partition(": ")
            codes[cell] = code or codes[cell]
            assert self.run(cell, codes[cell]).ok
        self.sync()
        return list(codes)

    def pause(self) -> None:
        """Send what comes next as a person would: too late to be a part of what was sent before."""
        self._now += timedelta(seconds=2)

    def finish(self, msg_id: str) -> Reply:
        """Wait for the reply to a request and for idle."""
        content = self._reply(msg_id)["content"]
        self.wait_idle(msg_id)
        messages = self.seen[self._read : self._idle[msg_id]]
        self._read = max(self._read, self._idle[msg_id])
        cell = next((name for name, shown in self.page.cells.items() if shown.request_id == msg_id), None)
        if cell is not None:
            self.counts[cell] = content.get("execution_count")
        return Reply(msg_id, content, messages)

    def run_all(self, cells: dict[str, str]) -> list[Reply]:
        """Send all cells at once, as Run All does, and wait for all."""
        self.pause()
        return [self.finish(msg_id) for msg_id in [self.send(cell, code) for cell, code in cells.items()]]

    def _reply(self, msg_id: str) -> Message:
        assert self.kernel.run_until(lambda: msg_id in self.replies), "no reply"
        return self.replies.pop(msg_id)

    def wait_idle(self, msg_id: str) -> None:
        assert self.kernel.run_until(lambda: msg_id in self._idle), "never idle"

    def wait_for(self, cell: str, text: str) -> None:
        """Wait until a cell shows `text`."""
        assert self.kernel.run_until(lambda: text in self.text(cell)), f"{cell} shows {self.text(cell)!r}"
        self._read = len(self.seen)

    def wait_quiet(self) -> None:
        """Wait until the kernel has run what it runs after VS Code's pause."""
        assert self.kernel.run_until(lambda: not self.kernel.kernel.status.settling), "dependents never ran"
        self.sync()

    def sync(self) -> None:
        """See everything that the kernel has sent so far."""
        self.run(None, "", silent=True, store_history=False)

    def _message(self, frames: list[bytes]) -> Message:
        _, parts = self.session.feed_identities(frames, copy=True)
        return self.session.deserialize(parts, copy=True)

    def take_reply(self, frames: list[bytes]) -> None:
        """Take a message of the shell or the control channel."""
        message = self._message(frames)
        self.replies[message["parent_header"]["msg_id"]] = message

    def take(self, frames: list[bytes]) -> None:
        """Take an iopub message."""
        message = self._message(frames)
        self.seen.append(message)
        if message["msg_type"] == DOCUMENT:
            for document in self.documents:
                document.orders.append(message["content"])
        parent = message["parent_header"].get("msg_id")
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            self._idle[parent] = len(self.seen)
        self.page.show(message)

    # -- looking ---------------------------------------------------------------------------------------------------

    def text(self, cell: str) -> str:
        return self.page.cells[cell].text.strip()

    def outputs(self, cell: str) -> tuple[dict[str, Any], ...]:
        return self.page.cells[cell].log.outputs()

    def request_of(self, cell: str) -> str:
        """Return the message id of the newest request of a cell."""
        return self.page.cells[cell].request_id

    def cells(self) -> dict[str, Cell]:
        """Return the kernel's cells by the id that this front end has for them, else the kernel's."""
        cells = wire.decode_reply(self.ask(wire.ListCells()), list[Cell])
        return {cell.notebook_cell_id or cell.cell_id: cell for cell in cells}

    def describe(self) -> KernelDescription:
        return wire.decode_reply(self.ask(wire.Describe()), KernelDescription)


Connect = Callable[..., FrontEnd]
"""Makes a front end: `connect("vscode")`."""
