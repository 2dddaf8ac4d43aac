"""A kernel's channels through a Jupyter server's websocket. As `kernel_channels.Channels`: moves messages, decides nothing.

The server signs and verifies for us. There is no heartbeat on this way: the kernel's control channel, which answers
while a cell runs, stands in for it. A connection that breaks is opened again as long as the server has the kernel.

jupyter_client speaks ZMQ alone, and no maintained library of its makers speaks this protocol; Tornado, which
jupyter_client brings along, has the websocket. What is left is the framing below:
https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.session import Session
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from marimo_kernel_bridge.client.zmq_channels import NotConnected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tornado.websocket import WebSocketClientConnection

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.jupyter_server import ServerKernel
    from marimo_kernel_bridge.client.zmq_channels import Message

logger = logging.getLogger(__name__)

PROTOCOL: Final = "v1.kernel.websocket.jupyter.org"
_LARGEST: Final = 512 * 1024 * 1024
_AGAIN: Final = 0.5  # seconds between attempts to connect
_PARTS: Final = ("header", "parent_header", "metadata", "content")


class ServerChannels:
    """Open channels to one kernel. Close them with `close`."""

    def __init__(self, kernel: ServerKernel, username: str) -> None:
        self.session = Session(username=username)
        self._kernel = kernel
        self._socket: WebSocketClientConnection | None = None
        self._connected = asyncio.Event()
        self._events: asyncio.Queue[bool] = asyncio.Queue()
        self._received: dict[str, asyncio.Queue[Message]] = {
            channel: asyncio.Queue() for channel in ("shell", "control", "iopub")
        }
        self._beats: dict[str, asyncio.Event] = {}
        self._requests = 0
        self._pumping = asyncio.create_task(self._pump())

    def request(
        self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Make a message, so that its id is known before it is sent."""
        self._requests += 1
        header = self.session.msg_header(msg_type)
        header["msg_id"] = f"{self.session.session[:8]}-{self._requests}"  # short, as in kernel_channels
        message: dict[str, Any] = self.session.msg(msg_type, content, header=header, metadata=metadata)
        return message

    async def send(self, channel: Channel, message: dict[str, Any]) -> None:
        """Send a message as soon as a connection stands: bound the call."""
        while True:
            await self._connected.wait()
            try:
                await self.send_now(channel, message)
            except NotConnected:
                continue
            return

    async def send_now(self, channel: Channel, message: dict[str, Any]) -> None:
        """Send a message on the connection that stands. Raises `NotConnected` if none does."""
        if self._socket is None:
            raise NotConnected
        try:
            if self._socket.selected_subprotocol == PROTOCOL:
                await self._socket.write_message(_framed(channel, message, self.session), binary=True)
            else:
                text = {**{part: message[part] for part in _PARTS}, "channel": channel, "buffers": []}
                await self._socket.write_message(self.session.pack(text).decode())
        except WebSocketClosedError:
            raise NotConnected from None

    async def receive(self, channel: Channel) -> Message:
        """Wait for the next message."""
        return await self._received[channel].get()

    async def connections(self) -> AsyncIterator[bool]:
        """Tell of the connection: True each time it stands, False each time it breaks."""
        while True:
            yield await self._events.get()

    async def beat(self, bound: float) -> bool:
        """Whether the kernel answers on control within `bound` seconds."""
        message = self.request("kernel_info_request", {})
        answered = self._beats[message["header"]["msg_id"]] = asyncio.Event()
        try:
            async with asyncio.timeout(bound):
                await self.send("control", message)
                await answered.wait()
        except TimeoutError:
            return False
        finally:
            del self._beats[message["header"]["msg_id"]]
        return True

    def close(self) -> None:
        self._pumping.cancel()
        if self._socket is not None:
            self._socket.close()

    async def _pump(self) -> None:
        while True:
            try:
                await self._connect()
            except Exception as problem:  # noqa: BLE001  # the loop goes on; Tornado has many errors for one refusal
                logger.info("No connection to %s: %s", self._kernel.name, problem)
            await asyncio.sleep(_AGAIN)

    async def _connect(self) -> None:
        server = self._kernel.server
        url = f"ws{server.url.removeprefix('http')}/api/kernels/{self._kernel.kernel_id}/channels"
        self._socket = await websocket_connect(
            HTTPRequest(
                f"{url}?session_id={self.session.session}", headers=server.headers, follow_redirects=False
            ),
            ping_interval=30,
            max_message_size=_LARGEST,
            subprotocols=[PROTOCOL],
        )
        self._connected.set()
        self._events.put_nowait(True)  # noqa: FBT003  # stands
        try:
            while (data := await self._socket.read_message()) is not None:
                self._take(*_parsed(data, self.session))
        finally:
            self._socket = None
            self._connected.clear()
            self._events.put_nowait(False)  # noqa: FBT003  # broken

    def _take(self, channel: str, message: Message) -> None:
        parent = message["parent_header"].get("msg_id")
        if parent in self._beats:
            if channel == "control":
                self._beats[parent].set()
        elif channel in self._received:
            self._received[channel].put_nowait(message)


def _framed(channel: str, message: dict[str, Any], session: Session) -> bytes:
    name = channel.encode()
    parts = [session.pack(message[part]) for part in _PARTS]
    offsets = [8 * (len(parts) + 3)]
    for part in (name, *parts):
        offsets.append(offsets[-1] + len(part))
    numbers = [len(offsets), *offsets]
    return b"".join([*(number.to_bytes(8, "little") for number in numbers), name, *parts])


def _parsed(data: str | bytes, session: Session) -> tuple[str, Message]:
    """Return the channel and the message. Raises ValueError for what is no Jupyter message."""
    if isinstance(data, str):
        message = json.loads(data)
        return message["channel"], {part: message[part] for part in _PARTS}
    count = int.from_bytes(data[:8], "little")
    offsets = [int.from_bytes(data[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
    pieces = [data[start:end] for start, end in itertools.pairwise(offsets)]
    if len(pieces) < len(_PARTS) + 1:
        raise ValueError("not a message of the websocket protocol")
    values = dict(zip(_PARTS, map(session.unpack, pieces[1:5]), strict=True))
    return pieces[0].decode(), values
