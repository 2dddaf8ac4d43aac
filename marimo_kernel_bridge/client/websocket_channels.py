"""Channels through a Jupyter server's websocket: moves messages, decides nothing.

The server signs and verifies messages; buffers are not read. This protocol has no heartbeat; the kernel's control channel, which answers
while a cell runs, replaces it. A broken connection is opened again as long as the server has the kernel.

jupyter_client implements only ZMQ, and no maintained Jupyter library implements the client side of this protocol.
Tornado, a dependency of jupyter_client, provides the websocket; this module adds the framing:
https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec
from jupyter_client.session import Session
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from marimo_kernel_bridge.client.channels import Message, NotConnected, Request
from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import OF_CLIENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tornado.websocket import WebSocketClientConnection

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.jupyter_server import ServerKernel
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

PROTOCOL: Final = "v1.kernel.websocket.jupyter.org"
_LARGEST: Final = 512 * 1024 * 1024
_AGAIN: Final = 0.5  # seconds between attempts to connect
_PARTS: Final = ("header", "parent_header", "metadata", "content")


class _Message(msgspec.Struct, frozen=True):
    """A message of the older protocol."""

    channel: str
    header: Any  # `Message.of` checks the parts
    parent_header: Any
    content: Any


class WebsocketChannels:
    """Open channels to one kernel of a Jupyter server; an implementation of `channels.Channels`."""

    def __init__(self, kernel: ServerKernel, username: str) -> None:
        self.name = kernel.name
        self._session = Session(username=username)
        self.session: str = self._session.session
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

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        self._requests += 1
        header = self._session.msg_header(msg_type) | {OF_CLIENT: True}
        header["msg_id"] = (
            f"{self.session[:8]}-{self._requests}"  # short: language models repeat these ids, and pay for each token
        )
        message = self._session.msg(msg_type, content, header=header, metadata=metadata)
        return Request(header["msg_id"], message)

    async def send(self, channel: Channel, request: Request) -> None:
        while True:
            await self._connected.wait()
            try:
                await self.send_now(channel, request)
            except NotConnected:
                continue
            return

    async def send_now(self, channel: Channel, request: Request) -> None:
        if self._socket is None:
            raise NotConnected
        try:
            if self._socket.selected_subprotocol == PROTOCOL:
                await self._socket.write_message(
                    _framed(channel, request.message, self._session), binary=True
                )
            else:
                text = {**{part: request.message[part] for part in _PARTS}, "channel": channel, "buffers": []}
                await self._socket.write_message(self._session.pack(text).decode())
        except WebSocketClosedError:
            raise NotConnected from None

    async def receive(self, channel: Channel) -> Message:
        return await self._received[channel].get()

    async def connections(self) -> AsyncIterator[bool]:
        while True:
            yield await self._events.get()

    async def beat(self, bound: float) -> bool:
        request = self.request("kernel_info_request", {})
        answered = self._beats[request.msg_id] = asyncio.Event()
        try:
            async with asyncio.timeout(bound):
                await self.send("control", request)
                await answered.wait()
        except TimeoutError:
            return False
        finally:
            del self._beats[request.msg_id]
        return True

    async def is_there(self) -> bool:
        try:
            return await self._kernel.server.has_kernel(self._kernel.kernel_id)
        except BridgeError:
            return True  # the server does not answer: the kernel may be alive

    async def require_there(self, bound: float) -> None:  # noqa: ARG002  # a server starts kernels before it lists them
        if not await self._kernel.server.has_kernel(self._kernel.kernel_id):
            raise BridgeError(
                "server_refused",
                f"The Jupyter server at {self._kernel.server.url} has no kernel {self._kernel.kernel_id}.",
                "It may have ended. Pass the path of the notebook: the server knows its kernel.",
            )

    async def why_unreachable(self) -> BridgeError | None:
        try:
            await self._kernel.server.has_kernel(self._kernel.kernel_id)
        except BridgeError as problem:
            return problem
        return None

    def close(self) -> None:
        self._pumping.cancel()
        if self._socket is not None:
            self._socket.close()

    async def _pump(self) -> None:
        while True:
            try:
                await self._connect()
            except Exception as problem:  # noqa: BLE001  # Tornado raises many kinds of errors; retry after any
                logger.info("No connection to %s: %s", self._kernel.name, problem)
            await asyncio.sleep(_AGAIN)

    async def _connect(self) -> None:
        server, kernel_id = self._kernel.server, self._kernel.kernel_id
        if not await server.has_kernel(kernel_id):  # the token goes to no address that is not a kernel's
            raise NotConnected
        url = f"ws{server.url.removeprefix('http')}/api/kernels/{quote(kernel_id, safe='')}/channels"
        self._socket = await websocket_connect(
            HTTPRequest(f"{url}?session_id={self.session}", headers=server.headers, follow_redirects=False),
            ping_interval=30,
            max_message_size=_LARGEST,
            subprotocols=[PROTOCOL],
        )
        framed = self._socket.selected_subprotocol == PROTOCOL
        self._connected.set()
        self._events.put_nowait(True)  # noqa: FBT003  # stands
        try:
            while (data := await self._socket.read_message()) is not None:
                self._take(*(_parsed(data) if framed else _parsed_json(data)))
        finally:
            self._socket.close()
            self._socket = None
            self._connected.clear()
            self._events.put_nowait(False)  # noqa: FBT003  # broken

    def _take(self, channel: str, message: Message) -> None:
        if message.parent_id in self._beats:
            if channel == "control":
                self._beats[message.parent_id].set()
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


def _parsed(data: str | bytes) -> tuple[str, Message]:
    """Return the channel and the message. Raises ValueError for a malformed message."""
    whole = data if isinstance(data, bytes) else b""  # text is of the older protocol
    offsets = _numbers(whole, 8, "little", len(_PARTS) + 2)
    if len(offsets) < len(_PARTS) + 2 or offsets != sorted(offsets):
        raise ValueError("not a message of the websocket protocol")
    channel, *parts = (whole[start:end] for start, end in itertools.pairwise(offsets))
    header, parent, _, content = map(read_json, parts)
    return channel.decode(), Message.of(header, parent, content)


def _parsed_json(data: str | bytes) -> tuple[str, Message]:
    """Return the channel and the message as servers without the protocol send them: JSON, and buffers behind it.

    Raises ValueError for a malformed message.
    """
    if isinstance(data, bytes):
        start, end, *_ = [*_numbers(data, 4, "big", 2), len(data), len(data)]
        data = data[start:end]
    else:
        data = data.encode(errors="replace")
    message = msgspec.convert(read_json(data), _Message)
    return message.channel, Message.of(message.header, message.parent_header, message.content)


def _numbers(data: bytes, size: int, order: Literal["little", "big"], most: int) -> list[int]:
    """Read the first of the numbers that a message begins with, behind their count.

    Others are of buffers. Raises ValueError if there are not so many as the count says.
    """
    count = int.from_bytes(data[:size], order)
    if size * (count + 1) > len(data):
        raise ValueError("not a message of the websocket protocol")
    return [int.from_bytes(data[size * at : size * (at + 1)], order) for at in range(1, min(count, most) + 1)]
