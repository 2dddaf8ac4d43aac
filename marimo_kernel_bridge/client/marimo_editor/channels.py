"""The channels of a notebook in marimo's editor: an implementation of `channels.Channels` that speaks for marimo.

Owns the stream of events, the requests of a link, and their replies: what a reactive kernel would send for them. Reads are
answered from the mirror, also while a cell runs; what runs something waits for its turn, as on a kernel's shell. What marimo
offers no request for is refused with `not_offered`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.channels import Message, NotConnected, Request
from marimo_kernel_bridge.client.marimo_editor.answers import Answers
from marimo_kernel_bridge.client.marimo_editor.host import HostConflict
from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
from marimo_kernel_bridge.client.marimo_editor.runs import Cancelled, Runs
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.names import MARIMO_EDITOR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

_AGAIN: Final = 0.5  # seconds between attempts to connect
_ANSWER_BOUND: Final = 2.0


class MarimoChannels:
    """Open channels to one notebook that marimo's editor runs. A start of marimo's kernel is a process of the kernel."""

    def __init__(self, notebook: MarimoNotebook, username: str) -> None:
        self.name = notebook.name
        self.session = secrets.token_hex(8)
        self._notebook = notebook
        self._username = username
        self._mirror = Mirror()
        self._changed = asyncio.Event()
        self._alive: str | None = None  # the runtime that a link is connected to
        self._process: str | None = None  # the newest one, which sends the messages
        self._events: asyncio.Queue[bool] = asyncio.Queue()
        self._received: dict[str, asyncio.Queue[Message]] = {
            channel: asyncio.Queue() for channel in ("shell", "control", "iopub")
        }
        self._requests = itertools.count(1)
        self._runs = Runs(self, notebook, username)
        self._answers = Answers(notebook, username, self._runs)
        self._shell: asyncio.Queue[Request] = asyncio.Queue()
        self._tasks = {asyncio.create_task(self._follow()), asyncio.create_task(self._work())}

    @property
    def mirror(self) -> Mirror:
        """The notebook as the present connection has told it."""
        return self._mirror

    async def change(self) -> None:
        """Wait until the mirror is another."""
        await self._changed.wait()

    def enqueue(self, asked: wire.ShellRequest) -> str:
        """Put a request of our own behind those that wait on shell. Return its id."""
        request = self.request(wire.REQUEST, wire.encode_request(asked))
        self._runs.waiting.add(request.msg_id)
        self._shell.put_nowait(request)
        return request.msg_id

    # channels.Channels

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        msg_id = f"{self.session[:8]}-{next(self._requests)}"
        return Request(msg_id, {"msg_type": msg_type, "content": content, "metadata": metadata or {}})

    async def send(self, channel: Channel, request: Request) -> None:
        while self._alive is None:
            await self.change()
        await self.send_now(channel, request)

    async def send_now(self, channel: Channel, request: Request) -> None:
        if self._alive is None:
            raise NotConnected
        if channel == "shell":
            self._runs.waiting.add(request.msg_id)
            self._shell.put_nowait(request)
            return
        task = asyncio.create_task(self._control(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def receive(self, channel: Channel) -> Message:
        return await self._received[channel].get()

    async def connections(self) -> AsyncIterator[bool]:
        while True:
            yield await self._events.get()

    async def beat(self, bound: float) -> bool:
        return self._alive is not None and await self._notebook.host.answers(bound) is True

    async def is_there(self) -> bool:
        if self._mirror.ready and not self._mirror.alive:
            return False
        return await self._notebook.host.answers(_ANSWER_BOUND) is not False

    async def require_there(self, bound: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(bound):
                while self._alive is None:
                    await self.change()
                return
        if problem := await self.why_unreachable():
            raise problem
        raise BridgeError(
            "no_such_notebook",
            f"marimo does not run {self.name}.",
            "Ask the person to open it in marimo's editor.",
        )

    async def why_unreachable(self) -> BridgeError | None:
        if await self._notebook.host.answers(_ANSWER_BOUND) is False:
            return BridgeError(
                "server_refused", f"The server of {self.name} has ended.", "Ask the person to start it."
            )
        return None

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    # The stream

    async def _follow(self) -> None:
        """Keep a stream open, and the mirror at what it says."""
        headers = {
            "Marimo-Attachment-Kind": "agent",
            "Marimo-Attachment-Name": self._username.encode("ascii", "ignore").decode(),
        }
        path = f"notebooks/{self._notebook.notebook_id}/events"
        while True:
            mirror = Mirror()
            try:
                async for name, data in self._notebook.host.follow(path, headers):
                    mirror.apply(name, data)
                    if mirror.ready:
                        self._mirror = mirror
                        self._look()
            except (BridgeError, HostConflict, ValueError, RecursionError) as problem:
                logger.info("No connection to %s: %s", self.name, problem)
            self._mirror.ready = False
            self._look()
            await asyncio.sleep(_AGAIN)

    def _look(self) -> None:
        """Tell the link whether marimo's kernel, or another one, is there, and everybody of the change."""
        mirror = self._mirror
        runtime = mirror.runtime.id if mirror.ready and mirror.alive and mirror.runtime is not None else None
        if runtime != self._alive:
            if self._alive is not None:
                if mirror.ready and not mirror.died:  # otherwise the server has gone, or the connection
                    self.publish("shutdown_reply", {"restart": False}, None)
                self._events.put_nowait(False)  # noqa: FBT003  # broken
            self._alive = runtime
            if runtime is not None:
                self._process = runtime
                self._events.put_nowait(True)  # noqa: FBT003  # stands
        self._changed.set()
        self._changed = asyncio.Event()

    # The kernel's side

    def publish(self, msg_type: str, content: Content, parent: Request | None) -> None:
        """Send a message on iopub."""
        self._send("iopub", msg_type, content, parent)

    def _send(self, channel: Channel, msg_type: str, content: Content, parent: Request | None) -> None:
        asked = None if parent is None else parent.message["msg_type"]
        msg_id = None if parent is None else parent.msg_id
        user = "" if parent is None else self._username
        self._received[channel].put_nowait(Message(msg_type, content, self._process, msg_id, asked, user))

    def _status(self, state: str, parent: Request) -> None:
        self.publish("status", {"execution_state": state}, parent)

    async def _control(self, request: Request) -> None:
        msg_type = request.message["msg_type"]
        if msg_type == "kernel_info_request":
            self._status("idle", request)
        await self._reply("control", request, self._read(msg_type, request.message["content"]))

    async def _work(self) -> None:
        """Handle the requests on shell, one after the other."""
        while True:
            request = await self._shell.get()
            await self._reply("shell", request, self._handled(request))
            self._runs.waiting.discard(request.msg_id)
            self._status("idle", request)

    async def _reply(self, channel: Channel, request: Request, content: Awaitable[Content]) -> None:
        """Reply to a request with what comes of it, or with the reason why nothing does."""
        try:
            result = await content
        except Cancelled:
            result = {"status": "aborted"}
        except BridgeError as refusal:
            result = wire.encode_error(refusal)
        except HostConflict as conflict:
            result = wire.encode_error(BridgeError("bad_request", f"marimo refuses this: {conflict}."))
        except Exception as error:
            logger.exception("Could not answer %s.", request.message["msg_type"])
            why = f"This package cannot read marimo's answer: {type(error).__name__}."
            result = wire.encode_error(BridgeError("unsupported_version", why))
        self._send(channel, _reply_to(request), result, request)

    async def _read(self, msg_type: str, content: Content) -> Content:
        match msg_type:
            case "kernel_info_request":
                return self._info()
            case "interrupt_request":
                await self._runs.interrupt()
                return {"status": "ok"}
            case wire.READ_REQUEST:
                return wire.encode_result(
                    await self._answers.answer(self._mirror, wire.decode_request(content))
                )
        raise BridgeError("not_offered", f"marimo's own editor has no {msg_type}; nothing was done.")

    async def _handled(self, request: Request) -> Content:
        msg_type, content = request.message["msg_type"], request.message["content"]
        if request.msg_id not in self._runs.waiting:
            raise Cancelled
        match msg_type:
            case "kernel_info_request":
                await self._runs.turn()
                return self._info()
            case "execute_request":
                return await self._runs.execute(request, content)
            case wire.REQUEST:
                asked = wire.decode_request(content)
                if isinstance(asked, wire.RunCells | wire.RunStale):
                    return wire.encode_result(await self._runs.run_cells(request, asked))
                return wire.encode_result(await self._answers.answer(self._mirror, asked))
        raise BridgeError("not_offered", f"marimo's own editor has no {msg_type}; nothing was done.")

    def _info(self) -> Content:
        runtime = self._mirror.runtime
        return {
            "status": "ok",
            "implementation": MARIMO_EDITOR,
            "implementation_version": "" if runtime is None else runtime.marimo_version or "",
            "language_info": {"name": "python", "version": ""},
        }


def _reply_to(request: Request) -> str:
    msg_type: str = request.message["msg_type"]
    return wire.REPLY if msg_type == wire.REQUEST else f"{msg_type.removesuffix('_request')}_reply"
