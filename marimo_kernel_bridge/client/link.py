"""The link to one running kernel: greeting it, asking it, and the truth about one that does not answer.

Owns requests with a single reply, and the kernel's life: who it is, whether it is alive, silent, dead or another
process than before. Hands every other message to its owner (`kernel_client.py`), and tells it of the kernel's end.

Every socket has one reading task that hands each message to whoever waits for it, so any number of requests may be
under way at once.

How an end is noticed: a kernel's sockets close with its process, so the broken connection is an event, no timeout.
If nothing listens afterwards the process has ended; if something does, the session id in its messages says whether
it is the same process. A kernel that is merely stuck keeps its connections: the heartbeat tells, when asked.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from marimo_kernel_bridge.client.endpoint import is_there, open_channels, require_there, why_unreachable
from marimo_kernel_bridge.client.zmq_channels import BadSignature, Message, NotConnected
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import IMPLEMENTATION

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.endpoint import Endpoint

logger = logging.getLogger(__name__)

ANSWER_BOUND: Final = 5.0
HEARTBEAT_BOUND: Final = 2.0
_HEARD_BOUND: Final = 0.5

_SERVERS_WORDS: Final = frozenset({"restarting", "autorestarting", "dead"})
"""States that only a Jupyter server tells, in messages of its own."""

_LOOKS: Final = 60

Liveness = Literal["alive", "silent", "dead"]


@dataclass(frozen=True)
class KernelInfo:
    """What any Jupyter kernel says of itself. `session` is new with each process (None: the kernel cannot tell)."""

    implementation: str
    implementation_version: str
    language: str
    language_version: str
    session: str | None

    @property
    def reactive(self) -> bool:
        return self.implementation == IMPLEMENTATION


class Owner(Protocol):
    """Who takes what the link does not want itself."""

    def on_message(self, channel: Channel, message: Message) -> None:
        """Take a message that answers no `ask`."""

    def on_end(self, why: BridgeError) -> None:
        """The kernel's process is no more, and nothing that was asked of it will be answered."""  # noqa: D401  # an event, not a command


class KernelLink:
    """One attached kernel's sockets, read. `open` first, `close` at last."""

    def __init__(self, connection: Endpoint, username: str, owner: Owner) -> None:
        self.connection = connection
        self.restarts = 0
        """How often the kernel turned out to be another process, with all state lost, since we attached."""
        self.shut_down = False
        """Whether the last end was announced: somebody shut the kernel down, or restarted it."""
        self._owner = owner
        self._channels = open_channels(connection, username)
        self._info: KernelInfo | None = None
        self._dead: BridgeError | None = None
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._heard = asyncio.Event()
        self._connected = asyncio.Event()
        self._forged = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, bound: float) -> None:
        """Attach within `bound` seconds, after as many more for a kernel that is starting.

        Raises `BridgeError`: connection_file_stale, server_refused, wrong_key, kernel_silent.
        """
        await require_there(self.connection, bound)
        self._tasks = [asyncio.create_task(self._read(channel)) for channel in ("shell", "control", "iopub")]
        self._tasks.append(asyncio.create_task(self._watch_connection()))
        await self._greet(bound)

    async def close(self) -> None:
        """Detach. The kernel and what runs in it go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._channels.close()

    @property
    def info(self) -> KernelInfo:
        assert self._info is not None, "open() greets before it returns"
        return self._info

    @property
    def end(self) -> BridgeError | None:
        """How the kernel ended, None if it has not as far as we know."""
        return self._dead

    async def liveness(self) -> Liveness:
        """Tell dead (nothing listens any more) from silent (a process is there, but its heartbeat is not)."""
        if self._dead is None and await self._channels.beat(HEARTBEAT_BOUND):
            return "alive"
        if self._dead is None and not await is_there(self.connection):
            self._end(self._how_it_ended())
        return "silent" if self._dead is None else "dead"

    async def require_alive(self) -> None:
        """After the kernel's end, see whether it was started again behind the same connection file.

        Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        if self._dead is None:
            return
        if not await is_there(self.connection):
            raise self._dead
        await self._greet(ANSWER_BOUND)

    def request(
        self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Make a message, so that its id is known before it is sent."""
        return self._channels.request(msg_type, content, metadata)

    async def send(self, channel: Channel, message: dict[str, Any]) -> None:
        """Send a message whose answers go to the owner; to this very process, or not at all.

        Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        try:
            await self._channels.send_now(channel, message)
        except NotConnected:
            raise await self.why_not_alive() or BridgeError(
                "kernel_silent",
                "The connection to the kernel has just broken; nothing was sent.",
                "Look at the kernel's status, then try again.",
            ) from None

    async def ask(
        self, channel: Channel, msg_type: str, content: dict[str, Any], bound: float = ANSWER_BOUND
    ) -> Message:
        """Send a request and wait for its reply. Raises `BridgeError`: kernel_dead, kernel_silent."""
        await self.require_alive()
        try:
            return await self._exchange(channel, msg_type, content, bound)
        except TimeoutError:
            raise await self._explain_silence(channel, bound) from None

    def awaits(self, request_id: str | None) -> bool:
        """Whether this is a request of `ask` that is under way."""
        return request_id in self._replies

    async def _exchange(
        self, channel: Channel, msg_type: str, content: dict[str, Any], bound: float
    ) -> Message:
        message = self._channels.request(msg_type, content)
        request_id: str = message["header"]["msg_id"]
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = future
        try:
            async with asyncio.timeout(bound):
                await self._channels.send(channel, message)
                return await future
        finally:
            del self._replies[request_id]
            future.cancel()

    async def _greet(self, bound: float) -> None:
        """Ask who the kernel is, until it has answered *and* been heard on iopub, and shell is connected.

        A SUB socket misses what is published before its subscription arrives, and a request's outputs with it. New
        kernels announce the subscription (`iopub_welcome`); others are asked again until a status message comes.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + bound
        self._heard.clear()
        while not (self._heard.is_set() and self._connected.is_set()):
            if self._forged:
                raise self._wrong_key()
            if loop.time() >= deadline:
                raise await self._explain_silent_greeting(bound)
            try:
                reply = await self._exchange(
                    "control", "kernel_info_request", {}, max(0.0, deadline - loop.time())
                )
            except TimeoutError:
                raise await self._explain_silent_greeting(bound) from None
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARD_BOUND):
                    await self._heard.wait()
                    await self._connected.wait()
        self._meet(reply)

    def _meet(self, reply: Message) -> None:
        content, session = reply["content"], reply["header"].get("session")
        before = None if self._info is None else self._info.session
        language = content.get("language_info") or {}
        self._info = KernelInfo(
            implementation=str(content.get("implementation", "unknown")),
            implementation_version=str(content.get("implementation_version", "")),
            language=str(language.get("name", "unknown")),
            language_version=str(language.get("version", "")),
            # Some kernels copy the request's session into the reply's header: that tells nothing of the process.
            session=session if session != self._channels.session.session else None,
        )
        if self._dead is not None:
            self._dead = None
            self.shut_down = False
            # A Jupyter server announces a restart while the old process still answers.
            self.restarts += self._info.session is None or self._info.session != before

    async def why_not_alive(self) -> BridgeError | None:
        """Give the refusal that fits a kernel that is dead or silent, None for one that is alive."""
        match await self.liveness():
            case "alive":
                return None
            case "dead":
                assert self._dead is not None, "liveness() calls dead only a kernel with a cause of death"
                return self._dead
            case "silent":
                return await why_unreachable(self.connection) or BridgeError(
                    "kernel_silent",
                    "The kernel's process is there, but its heartbeat does not answer.",
                    "It is suspended or stuck. Wait, or have the kernel restarted.",
                )

    async def _explain_silence(self, channel: Channel, bound: float) -> BridgeError:
        return await self.why_not_alive() or BridgeError(
            "kernel_silent",
            f"The kernel is alive (its heartbeat answers), but did not answer on {channel} within {bound:g} s.",
            "It is busy, and answers nothing besides. Try again later.",
        )

    async def _explain_silent_greeting(self, bound: float) -> BridgeError:
        name = self.connection.name
        if await self._channels.beat(HEARTBEAT_BOUND):
            return BridgeError(
                "kernel_silent",
                f"The heartbeat of the kernel of {name} answers, but nothing else did within {bound:g} s.",
                "It is busy and answers nothing besides, or its key is not the one in the file.",
            )
        return BridgeError(
            "kernel_silent",
            f"Something listens where {name} points, but it does not answer as a kernel.",
            "The kernel is suspended or stuck, or it has ended and another program has taken its port.",
        )

    def _wrong_key(self) -> BridgeError:
        return BridgeError(
            "wrong_key",
            f"The kernel signs its messages with another key than the one in {self.connection.name}.",
            "The file is of an earlier kernel on the same ports, or was changed. Connect to the current file.",
        )

    async def _read(self, channel: Channel) -> None:
        while True:
            try:
                self._dispatch(channel, await self._channels.receive(channel))
            except BadSignature:
                logger.warning("Dropped a message on %s that was signed with another key.", channel)
                self._forged = True
                for future in self._replies.values():
                    if self._info is None and not future.done():
                        future.set_exception(self._wrong_key())
            except Exception:
                logger.exception("Could not handle a message on %s.", channel)

    def _dispatch(self, channel: Channel, message: Message) -> None:
        msg_type = message["header"]["msg_type"]
        state = message["content"].get("execution_state") if msg_type == "status" else None
        if state in _SERVERS_WORDS:
            self._hear_from_server(state)
        elif msg_type in {"status", "iopub_welcome", "kernel_info_reply"}:
            self._notice_other_process(message["header"].get("session"))
        if channel == "iopub":
            self._heard.set()
            if msg_type == "shutdown_reply":
                self.shut_down = True
        future = self._replies.get(message["parent_header"].get("msg_id"))
        if channel == "iopub" or future is None:
            self._owner.on_message(channel, message)
        elif not future.done():
            future.set_result(message)

    def _hear_from_server(self, state: str) -> None:
        """Take a Jupyter server's own message about a kernel of its: it comes before the process is another one."""
        if state == "dead":
            self._end(self._how_it_ended())
        elif self._dead is None:
            self._tasks.append(asyncio.create_task(self._look_for_other_process()))

    async def _look_for_other_process(self) -> None:
        for _ in range(_LOOKS):
            if self._dead is not None:
                return
            with suppress(TimeoutError, BridgeError):  # the session in the answer tells (see _dispatch)
                await self._exchange("control", "kernel_info_request", {}, _HEARD_BOUND)
            await asyncio.sleep(_HEARD_BOUND)

    def _notice_other_process(self, session: str | None) -> None:
        if self._dead is None and self._info is not None and self._info.session not in {None, session}:
            self._end("The kernel was restarted.")

    async def _watch_connection(self) -> None:
        async for stands in self._channels.connections():
            if stands:
                self._connected.set()
            else:
                self._connected.clear()
                await self._judge_broken_connection()

    async def _judge_broken_connection(self) -> None:
        while self._info is not None and self._dead is None:
            if not await is_there(self.connection):
                self._end(self._how_it_ended())
            elif self._info.session is None:
                self._end("The kernel was restarted.")
            else:
                # A dying process that has not closed all its sockets, a new process, or a network that was gone for a
                # moment. If there is an answer, its session tells (see _dispatch); else look again.
                with suppress(TimeoutError, BridgeError):
                    await self._exchange("control", "kernel_info_request", {}, _HEARD_BOUND)
                    break

    def _how_it_ended(self) -> str:
        return "The kernel was shut down." if self.shut_down else "The kernel's process ended unexpectedly."

    def _end(self, what: str) -> None:
        if self._dead is not None:
            return
        self._dead = _death(what)
        for future in self._replies.values():
            if not future.done():
                future.set_exception(self._dead)
        self._owner.on_end(self._dead)


def _death(what: str) -> BridgeError:
    return BridgeError(
        "kernel_dead",
        what + " All variables and cells in it are lost.",
        "Once it is started again behind the same connection file, the next call reaches the new, empty kernel; "
        "otherwise connect to another one.",
    )
