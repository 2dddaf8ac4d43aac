"""Subshells: threads that run code beside a running cell, in its namespace and outside of the dataflow graph.

The graph must not change under a running cell, so what a subshell runs is scratch code: it sees everything, its
assignments are plain assignments, and nothing depends on it. Comm messages go to the main thread, as marimo's state
is there, unless a subshell's own code waits for them. Implements what ipykernel asks of its `SubshellManager`.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ipykernel.subshell_manager import UnknownSubshellError
from ipykernel.thread import BaseThread
from ipykernel.utils import _async_in_context

from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames, ReceivedMessage
    from marimo_kernel_bridge.kernel.messaging.shell_stream import ShellStream

    Handle = Callable[[str, ReceivedFrames], Coroutine[Any, Any, None]]


class Subshell(BaseThread):
    """One subshell."""

    def __init__(self, subshell_id: str, handle: Handle, queue: ShellQueue) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # ipykernel has no types
            name=f"subshell-{subshell_id}", daemon=True
        )
        self.pydev_do_not_trace = self.is_pydev_daemon_thread = False  # it runs user code
        self.subshell_id = subshell_id
        self.queue = queue
        self.aborting = False  # the request that is being handled
        self.asyncio_lock = asyncio.Lock()
        self._receiving = threading.Lock()
        self._ended = False
        self._handle = _async_in_context(partial(handle, subshell_id))

    def receive(self, frames: ReceivedFrames) -> bool:
        """Take a message, unless the thread is at its end; any thread."""
        with self._receiving:
            if not self._ended:
                self.queue.add(frames)
                self.io_loop.add_callback(self._handle, frames)
            return not self._ended

    def stop(self) -> None:
        """End the thread once all that it has received is answered; any thread."""
        self.io_loop.add_callback(self._end)

    async def _end(self) -> None:
        while not self._ended:
            async with self.asyncio_lock:
                await asyncio.sleep(0)
            with self._receiving:
                self._ended = not len(self.queue) and not self.asyncio_lock.locked()
        self.io_loop.stop()


@dataclass(frozen=True)
class _Pair:
    """The socket pair that ipykernel's GUI event loops poll for requests to the main thread."""

    to_stream: ShellStream


class Subshells:
    """The subshells of a kernel, which replace ipykernel's `SubshellManager`."""

    def __init__(
        self,
        stream: ShellStream,
        session: JupyterSession,
        handle: Handle,
        reply_unknown: Callable[[Any, ReceivedMessage, UnknownSubshellError], None],
        comms: dict[str, Any],
    ) -> None:
        self._stream = stream
        self._session = session
        self._handle = handle
        self._reply_unknown = reply_unknown
        self._comms = comms
        self._subshells: dict[str, Subshell] = {}
        self.parent_thread = threading.main_thread()
        self.reads: dict[str, Callable[[object], bool]] = {}
        """By the id of a comm: whether its subshell may answer a message of it, by the data, while a cell runs."""
        self.manager = self  # ipykernel looks for it at the thread that it would have read the channel with

    def create(self) -> str:
        """Start a subshell; return its id."""
        subshell = Subshell(str(uuid.uuid4()), self._handle, ShellQueue(self._stream.pass_on))
        subshell.start()
        self._subshells[subshell.subshell_id] = subshell
        self._stream.read_beside(wanted=True)
        return subshell.subshell_id

    def delete(self, subshell_id: str) -> None:
        """End a subshell, as soon as what it runs is over. Raises `UnknownSubshellError`."""
        subshell = self._subshells.pop(subshell_id, None)
        if subshell is None:
            raise UnknownSubshellError(subshell_id)
        subshell.stop()
        if not subshell.asyncio_lock.locked():
            subshell.join(timeout=1)
        if not self._subshells:
            self._stream.read_beside(wanted=False)

    def close(self) -> None:
        """End all subshells."""
        for subshell_id in self.list_subshell():
            self.delete(subshell_id)

    def dequeue(self, subshell_id: str, frames: ReceivedFrames) -> None:
        """Remove a message whose turn has come from its subshell's queue."""
        subshell = self._subshell(subshell_id)
        subshell.aborting = subshell.queue.dequeue(frames)

    def note_waiting(self) -> None:
        """Before an error is reported: if this thread is a subshell, record its queued requests."""
        thread = threading.current_thread()
        if isinstance(thread, Subshell):
            thread.queue.note_waiting()

    def abort(self, subshell_id: str, within: float) -> None:
        """After an error in a subshell: abort its requests noted, and those that follow `within` seconds."""
        self._subshell(subshell_id).queue.abort(within)

    # -- requests on control -----------------------------------------------------------------------------------------

    @property
    def handlers(self) -> dict[str, Callable[[Any, Any, ReceivedMessage], None]]:
        """Answer the requests that make, end and list subshells."""
        return {
            f"{verb}_subshell_request": partial(self._answer, verb) for verb in ("create", "delete", "list")
        }

    def _answer(self, verb: str, stream: Any, ident: Any, request: ReceivedMessage) -> None:
        content: dict[str, Any] = {"status": "ok"}
        try:
            match verb:
                case "create":
                    content["subshell_id"] = self.create()
                case "delete":
                    self.delete(request["content"]["subshell_id"])
                case "list":
                    content["subshell_id"] = self.list_subshell()
        except UnknownSubshellError as error:
            content = {"status": "error", "ename": type(error).__name__, "evalue": str(error)}
            content["traceback"] = []
        self._session.send(stream, f"{verb}_subshell_reply", content, request, ident)

    # -- what ipykernel asks ---------------------------------------------------------------------------------------

    def list_subshell(self) -> list[str]:
        """Return the ids of the subshells."""
        return list(self._subshells)

    def subshell_id_from_thread_id(self, thread_id: int) -> str | None:
        """Return which subshell a thread is; None for the main shell. Raises `RuntimeError` for another thread."""
        for subshell_id, subshell in list(self._subshells.items()):
            if subshell.ident == thread_id:
                return subshell_id
        if thread_id != self.parent_thread.ident:
            raise RuntimeError(f"Thread {thread_id} is no subshell")
        return None

    def get_subshell_asyncio_lock(self, subshell_id: str) -> asyncio.Lock:
        """Return what keeps a subshell's requests in order."""
        return self._subshell(subshell_id).asyncio_lock

    def get_subshell_aborting(self, subshell_id: str) -> bool:
        """Return whether a subshell's requests are aborted now."""
        return self._subshell(subshell_id).aborting

    def get_subshell_to_shell_channel_socket(self, _subshell_id: str | None) -> ShellStream:
        """Return where replies go."""
        return self._stream

    def get_shell_channel_to_subshell_pair(self, _subshell_id: None) -> _Pair:
        """Return where the main shell's requests come from."""
        return _Pair(self._stream)

    # -- messages --------------------------------------------------------------------------------------------------

    def _subshell(self, subshell_id: str) -> Subshell:
        subshell = self._subshells.get(subshell_id)
        if subshell is not None:
            return subshell
        thread = threading.current_thread()
        if isinstance(thread, Subshell) and thread.subshell_id == subshell_id:
            return thread  # deleted by now, with requests to answer
        raise UnknownSubshellError(subshell_id)

    def route(self, frames: ReceivedFrames) -> bool:
        """Hand a message to its subshell, or reply that there is none. Return whether that was done; any thread."""
        message = frames.message
        if message is None or not message.names_subshell:
            return False  # the main thread refuses what is malformed
        if message["header"]["msg_type"].startswith("comm_"):
            subshell_id = self._of_comm(message)
        else:
            subshell_id = message["header"]["subshell_id"]
        if subshell_id is None:
            return False
        subshell = self._subshells.get(subshell_id) if isinstance(subshell_id, str) else None
        if subshell is None or not subshell.receive(frames):
            self._reply_unknown(frames.idents, message, UnknownSubshellError(subshell_id))
        return True

    def _of_comm(self, message: ReceivedMessage) -> Any:
        """Return the subshell that takes a comm's message; None: the main thread does."""
        content = message["content"]
        reads = self.reads.get(str(content.get("comm_id"))) if isinstance(content, dict) else None
        if reads is None:
            return self._waits_for_comm(content)
        subshell_id = message.comm_subshell
        return subshell_id if subshell_id in self._subshells and reads(content.get("data")) else None

    def _waits_for_comm(self, content: Any) -> str | None:
        """Return the subshell that last sent on this comm, if it still exists."""
        comm = self._comms.get(str(content.get("comm_id"))) if isinstance(content, dict) else None
        sent_by = getattr(comm, "_reply_subshell_for", None)
        subshell_id = None if sent_by is None else sent_by(content.get("data"), None)
        return subshell_id if subshell_id in self._subshells else None
