"""A kernel in memory: channels that answer as a script says, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from marimo_kernel_bridge.client.channels import BadSignature, Message, NotConnected, Request
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import Channel, Connection
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import document
from marimo_kernel_bridge.protocol import messages as wire
from tests.unit.client.served_kernels import ServedKernels, serving


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class FakeChannels:
    """Channels to a kernel that answers greetings as process `process`, and bridge requests from `answers`.

    `answers` has a result or a refusal for each operation; what is not in it is never answered. Greetings are answered
    on control, and on shell while `shell_free`.
    """

    name: str = "kernel-1.json"
    session: str = "ours"
    implementation: str = "marimo_kernel_bridge"
    process: str | None = "process-1"
    answers: dict[str, object] = field(default_factory=dict)
    there: bool = True
    connected: bool = True
    beats: bool = True
    greets: bool = True
    published: bool = True
    shell_free: bool = True
    unreachable: BridgeError | None = None
    sent: list[tuple[Channel, str, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._queues: dict[Channel, asyncio.Queue[Message | Exception]] = {
            channel: asyncio.Queue() for channel in ("shell", "control", "iopub")
        }
        self._events: asyncio.Queue[bool] = asyncio.Queue()
        if self.connected:
            self._events.put_nowait(True)  # noqa: FBT003  # connected
        self._requests = 0

    # Channels

    def request(
        self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> Request:
        self._requests += 1
        message = {"msg_type": msg_type, "content": content, "metadata": metadata}
        return Request(f"r-{self._requests}", message)

    async def send(self, channel: Channel, request: Request) -> None:
        msg_type, content = request.message["msg_type"], request.message["content"]
        self.sent.append((channel, content.get("op", msg_type), content))
        match msg_type:
            case "kernel_info_request" if self.greets and (channel == "control" or self.shell_free):
                if self.published:
                    self.publish("status", {"execution_state": "idle"}, request.msg_id, msg_type)
                self.reply(channel, request.msg_id, self.info(), "kernel_info_reply")
            case "interrupt_request" | "shutdown_request":
                self.reply(channel, request.msg_id, {"status": "ok"})
            case wire.READ_REQUEST if (op := content["op"]) in self.answers:
                self.reply(channel, request.msg_id, self.encoded(self.answers[op]))
            case document.DOCUMENT_REQUEST if (op := content["op"]) in self.answers:
                self.reply(
                    channel, request.msg_id, cast("dict[str, Any]", self.answers[op]), document.DOCUMENT_REPLY
                )
            case wire.REQUEST if channel == "shell" and self.shell_free and content["op"] in self.answers:
                self.reply(channel, request.msg_id, self.encoded(self.answers[content["op"]]))

    async def send_now(self, channel: Channel, request: Request) -> None:
        if not self.connected:
            raise NotConnected
        await self.send(channel, request)

    async def receive(self, channel: Channel) -> Message:
        message = await self._queues[channel].get()
        if isinstance(message, Exception):
            raise message
        return message

    async def connections(self) -> AsyncIterator[bool]:
        while True:
            yield await self._events.get()

    async def beat(self, bound: float) -> bool:  # noqa: ARG002  # it never makes anybody wait
        return self.beats

    async def is_there(self) -> bool:
        return self.there

    async def require_there(self, bound: float) -> None:  # noqa: ARG002  # it never makes anybody wait
        if not self.there:
            raise BridgeError("connection_file_stale", "gone")

    async def why_unreachable(self) -> BridgeError | None:
        return self.unreachable

    def close(self) -> None:
        self.closed = True

    # The kernel's side

    def info(self) -> dict[str, Any]:
        return {
            "status": "ok",
            "implementation": self.implementation,
            "language_info": {"name": "python", "version": "3"},
        }

    def encoded(self, answer: object) -> dict[str, Any]:
        if isinstance(answer, BridgeError):
            return wire.encode_error(answer)
        return wire.encode_result(cast("wire.Result", answer))

    def reply(
        self, channel: Channel, parent: str, content: dict[str, Any], msg_type: str = "execute_reply"
    ) -> None:
        session = self.process if self.process is not None else self.session
        self._queues[channel].put_nowait(Message(msg_type, content, session, parent))

    def publish(
        self,
        msg_type: str,
        content: dict[str, Any],
        parent: str | None = None,
        parent_type: str = "execute_request",
        user: str = "ada",
    ) -> None:
        message = Message(msg_type, content, self.process or self.session, parent, parent_type, user)
        self._queues["iopub"].put_nowait(message)

    def busy(self, parent: str, parent_type: str = "execute_request") -> None:
        self.publish("status", {"execution_state": "busy"}, parent, parent_type)

    def idle(self, parent: str, parent_type: str = "execute_request") -> None:
        self.publish("status", {"execution_state": "idle"}, parent, parent_type)

    def forge(self) -> None:
        """Send what another key has signed."""
        self._queues["iopub"].put_nowait(BadSignature())

    def break_off(self, *, there: bool) -> None:
        """Break the connection; `there`: a process still answers at the other end."""
        self.there = there
        self.connected = False
        self._events.put_nowait(False)  # noqa: FBT003  # broken

    def connect(self, process: str | None) -> None:
        """Connect again, to this process."""
        self.process, self.there, self.connected = process, True, True
        self._events.put_nowait(True)  # noqa: FBT003  # connected


ENDPOINT = Connection(
    path=Path("/run/kernel-1.json"),
    transport="tcp",
    ip="127.0.0.1",
    ports={"shell": 1, "iopub": 2, "control": 3, "hb": 4},
    signature_scheme="hmac-sha256",
    kernel_name="marimo",
    key=b"key",
)

Attach = Callable[[FakeChannels], Awaitable[KernelClient]]


@pytest.fixture
def channels() -> Callable[..., FakeChannels]:
    """Make channels to a kernel in memory; the arguments are the fields of `FakeChannels`."""
    return FakeChannels


@pytest.fixture
async def attach() -> AsyncIterator[Attach]:
    """Attach a client to a kernel in memory: `await attach(channels)`."""
    clients: list[KernelClient] = []

    async def attach(channels: FakeChannels) -> KernelClient:
        client = await KernelClient.attach(ENDPOINT, "agent", 0.2, lambda *_: channels)
        clients.append(client)
        return client

    yield attach
    for client in clients:
        await client.close()


@pytest.fixture
async def served() -> AsyncIterator[ServedKernels]:
    """A Jupyter server in this process, with one kernel."""
    async with serving() as server:
        yield server


async def until(happened: Callable[[], object]) -> None:
    """Run the event loop until something is so, at most 5 seconds."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return until
