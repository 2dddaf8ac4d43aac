"""The link to one running kernel: the handshake, requests with a single reply, and the detection of its end.

Reports events of the kernel's process to `life`. Passes all other messages, and the kernel's end, to a listener. Knows
neither sockets nor the content of messages.

One task per channel reads messages and passes each to the request that waits for it, so any number of requests can be
pending at once.

How an end is detected: a kernel's sockets close with its process, so the broken connection is an event and needs no
timeout. If nothing listens afterwards, the process has ended; otherwise the session id in its messages shows whether it
is the same process. A stuck kernel keeps its connections; only its heartbeat shows that it is stuck.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol

from marimo_kernel_bridge.client.channels import BadSignature, NotConnected
from marimo_kernel_bridge.client.life import KernelInfo, KernelLife
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.client.channels import Channels, Message, Request
    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

ANSWER_BOUND: Final = 5.0
HEARTBEAT_BOUND: Final = 2.0
_HEARD_BOUND: Final = 0.5

_SERVER_STATES: Final = frozenset({"restarting", "autorestarting", "dead"})
"""Execution states that only a Jupyter server reports, in its own messages."""

_LOOKS: Final = 60

Liveness = Literal["alive", "silent", "dead"]


class Listener(Protocol):
    """The owner of a link: receives the messages that answer no `ask`, and the kernel's end."""

    def on_message(self, channel: Channel, message: Message, *, asked: bool) -> None:
        """Handle a message. `asked`: it belongs to a pending `ask`, of which only the iopub messages arrive here."""

    def on_end(self, why: BridgeError) -> None:
        """Handle the kernel's end: pending requests will not be answered."""


class KernelLink:
    """The connection to one attached kernel. Call `open` first and `close` last."""

    def __init__(
        self, channels: Channels, listener: Listener, cause_of_death: Callable[[], str] = str
    ) -> None:
        """`cause_of_death` returns in sentences why a kernel died whose process has just ended, "" if that is not known."""
        self._channels = channels
        self._cause_of_death = cause_of_death
        self._listener = listener
        self._life = KernelLife()
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._heard = asyncio.Event()
        self._connected = asyncio.Event()
        self._forged = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, bound: float) -> None:
        """Attach within `bound` seconds, after as many more for a kernel that is starting.

        Raises `BridgeError`: connection_file_stale, server_refused, wrong_key, kernel_silent.
        """
        await self._channels.require_there(bound)
        channels: tuple[Channel, ...] = ("shell", "control", "iopub")
        self._tasks = [asyncio.create_task(self._read(channel)) for channel in channels]
        self._tasks.append(asyncio.create_task(self._watch_connection()))
        await self._greet(bound)

    async def close(self) -> None:
        """Detach. The kernel and its runs continue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._channels.close()

    @property
    def info(self) -> KernelInfo:
        assert self._life.info is not None, "open() greets before it returns"
        return self._life.info

    @property
    def restarts(self) -> int:
        """How often the kernel has been replaced by another process, losing all state, since this client attached."""
        return self._life.restarts

    @property
    def end(self) -> BridgeError | None:
        """How the kernel ended, None if it is not known to have ended."""
        return self._life.end

    async def liveness(self) -> Liveness:
        """Return whether the kernel is alive, silent (its process exists, but its heartbeat does not answer) or dead."""
        if self.end is None and await self._channels.beat(HEARTBEAT_BOUND):
            return "alive"
        if self.end is None and not await self._channels.is_there():
            self._end(self._life.vanished(self._cause_of_death))
        return "silent" if self.end is None else "dead"

    async def require_alive(self) -> None:
        """Return if the kernel is alive; after its end, check whether it was started again at the same address.

        Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        if self.end is None:
            return
        if not await self._channels.is_there():
            raise self.end
        await self._greet(ANSWER_BOUND)

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        """Return a new message, so that its id is known before it is sent."""
        return self._channels.request(msg_type, content, metadata)

    async def send(self, channel: Channel, request: Request) -> None:
        """Send a message whose answers go to the listener; only to the present process of the kernel.

        Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        try:
            await self._channels.send_now(channel, request)
        except NotConnected:
            raise await self.why_not_alive() or BridgeError(
                "kernel_silent",
                "The connection to the kernel has just broken; nothing was sent.",
                "Check the kernel's status, then try again.",
            ) from None

    async def ask(
        self, channel: Channel, msg_type: str, content: Content, bound: float = ANSWER_BOUND
    ) -> Content:
        """Send a request and return its reply's content. Raises `BridgeError`: kernel_dead, kernel_silent."""
        await self.require_alive()
        try:
            return (await self._exchange(channel, msg_type, content, bound)).content
        except TimeoutError:
            raise await self._explain_silence(channel, bound) from None

    async def why_not_alive(self) -> BridgeError | None:
        """Return the error for a kernel that is dead or silent, None for one that is alive."""
        match await self.liveness():
            case "alive":
                return None
            case "dead":
                assert self.end is not None, "liveness() calls dead only a kernel with a cause of death"
                return self.end
            case "silent":
                return await self._channels.why_unreachable() or BridgeError(
                    "kernel_silent",
                    "The kernel's process exists, but its heartbeat does not answer.",
                    "It is suspended or stuck. Wait, or have the kernel restarted.",
                )

    async def _exchange(self, channel: Channel, msg_type: str, content: Content, bound: float) -> Message:
        request = self._channels.request(msg_type, content)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[request.msg_id] = future
        try:
            async with asyncio.timeout(bound):
                await self._channels.send(channel, request)
                return await future
        finally:
            del self._replies[request.msg_id]
            future.cancel()

    async def _greet(self, bound: float) -> None:
        """Request the kernel's info until it has replied *and* published on iopub, and shell is connected.

        A SUB socket misses messages that are published before its subscription arrives. Recent kernels announce the
        subscription (`iopub_welcome`); others are asked again until a status message arrives.
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
        self._life.answered(_info_in(reply, self._channels.session))

    async def _explain_silence(self, channel: Channel, bound: float) -> BridgeError:
        return await self.why_not_alive() or BridgeError(
            "kernel_silent",
            f"The kernel is alive (its heartbeat answers), but did not answer on {channel} within {bound:g} s.",
            "It is busy with code that prevents it from answering. Try again later.",
        )

    async def _explain_silent_greeting(self, bound: float) -> BridgeError:
        name = self._channels.name
        if await self._channels.beat(HEARTBEAT_BOUND):
            return BridgeError(
                "kernel_silent",
                f"The heartbeat of the kernel of {name} answers, but nothing else did within {bound:g} s.",
                "It is busy with code that prevents it from answering, or its key differs from the one in the file.",
            )
        return BridgeError(
            "kernel_silent",
            f"The program that listens at the ports in {name} does not answer as a kernel.",
            "The kernel is suspended or stuck, or it has ended and another program has taken its port.",
        )

    def _wrong_key(self) -> BridgeError:
        return BridgeError(
            "wrong_key",
            f"The kernel signs its messages with a different key than the one in {self._channels.name}.",
            "The file belongs to an earlier kernel on the same ports, or was changed. Connect with the current file.",
        )

    async def _read(self, channel: Channel) -> None:
        while True:
            try:
                self._dispatch(channel, await self._channels.receive(channel))
            except BadSignature:
                logger.warning("Dropped a message on %s that was signed with another key.", channel)
                self._forged = True
                for future in self._replies.values():
                    if self._life.info is None and not future.done():
                        future.set_exception(self._wrong_key())
            except Exception:
                logger.exception("Could not handle a message on %s.", channel)

    def _dispatch(self, channel: Channel, message: Message) -> None:
        state = message.content.get("execution_state") if message.msg_type == "status" else None
        if state in _SERVER_STATES:
            self._take_server_state(state)
        elif message.msg_type in {"status", "iopub_welcome", "kernel_info_reply"}:
            self._end(self._life.heard(message.session))
        if channel == "iopub":
            self._heard.set()
            if message.msg_type == "shutdown_reply":
                self._life.announce_shutdown()
        future = self._replies.get(message.parent_id or "")
        if channel == "iopub" or future is None:
            self._listener.on_message(channel, message, asked=future is not None)
        elif not future.done():
            future.set_result(message)

    def _take_server_state(self, state: str) -> None:
        """Handle a Jupyter server's own message about its kernel, which precedes the replacement of the process."""
        if state == "dead":
            self._end(self._life.vanished(self._cause_of_death))
        elif self.end is None:
            self._tasks.append(asyncio.create_task(self._look_for_other_process()))

    async def _look_for_other_process(self) -> None:
        for _ in range(_LOOKS):
            if self.end is not None:
                return
            with suppress(TimeoutError, BridgeError):  # `_dispatch` compares the session id of the reply
                await self._exchange("control", "kernel_info_request", {}, _HEARD_BOUND)
            await asyncio.sleep(_HEARD_BOUND)

    async def _watch_connection(self) -> None:
        async for connected in self._channels.connections():
            if connected:
                self._connected.set()
            else:
                self._connected.clear()
                await self._judge_broken_connection()

    async def _judge_broken_connection(self) -> None:
        while self._life.state == "alive":
            if not await self._channels.is_there():
                self._end(self._life.vanished(self._cause_of_death))
            elif self.info.session is None:
                self._end(self._life.replaced())
            else:
                # A dying process that has not closed all its sockets, a new process, or a network that failed for a
                # moment. `_dispatch` compares the session id of a reply; without a reply, check again.
                with suppress(TimeoutError, BridgeError):
                    await self._exchange("control", "kernel_info_request", {}, _HEARD_BOUND)
                    break

    def _end(self, why: BridgeError | None) -> None:
        """Fail the pending requests to a kernel that has just ended; do nothing if `why` is None."""
        if why is None:
            return
        for future in self._replies.values():
            if not future.done():
                future.set_exception(why)
        self._listener.on_end(why)


def _info_in(reply: Message, own_session: str) -> KernelInfo:
    """Parse a kernel_info_reply."""
    language = reply.content.get("language_info") or {}
    return KernelInfo(
        implementation=str(reply.content.get("implementation", "unknown")),
        implementation_version=str(reply.content.get("implementation_version", "")),
        language=str(language.get("name", "unknown")),
        language_version=str(language.get("version", "")),
        # Some kernels copy the request's session id into the reply's header, so it does not identify the process.
        session=reply.session if reply.session != own_session else None,
    )
