"""Channels over the ZMQ sockets of one connection file: signed messages out, verified messages in, a heartbeat.

Moves bytes and decides nothing. `jupyter_client.session.Session` implements Jupyter's wire protocol and signatures.

Two socket options are essential. IMMEDIATE on shell and control: ZMQ accepts a message only for an open connection, not
for a later one. Without it, code that is sent while a kernel restarts runs in the *new* kernel. And no receive limit on
iopub: a PUB socket drops messages, including the final idle, for a subscriber that is too slow.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import zmq
import zmq.asyncio
from jupyter_client.adapter import adapt
from jupyter_client.session import Session
from zmq.utils.monitor import recv_monitor_message

from marimo_kernel_bridge.client.channels import BadSignature, Message, NotConnected, Request
from marimo_kernel_bridge.client.connection import listens, malformed
from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.client.replays import Replays
from marimo_kernel_bridge.client.starting_kernels import require_listening
from marimo_kernel_bridge.protocol.names import OF_CLIENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from marimo_kernel_bridge.client.connection import Channel, Connection
    from marimo_kernel_bridge.errors import BridgeError
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

_SOCKET_TYPES: Final[dict[Channel, int]] = {
    "shell": zmq.DEALER,
    "control": zmq.DEALER,
    "iopub": zmq.SUB,
    "hb": zmq.REQ,
}
_HANDSHAKE_MS: Final = 5000
_PARTS: Final = 5  # signature, header, parent header, metadata, content; then buffers


class ZmqChannels:
    """Open sockets to the kernel of one connection file; an implementation of `channels.Channels`."""

    def __init__(self, connection: Connection, username: str) -> None:
        self.name = connection.name
        self._connection = connection
        self._context = zmq.asyncio.Context()
        self._session = Session(
            key=connection.key, signature_scheme=connection.signature_scheme, username=username
        )
        self.session: str = self._session.session
        self._requests = 0
        self._replays = Replays()
        self._sockets: dict[Channel, zmq.asyncio.Socket] = {
            channel: self._socket(channel) for channel in ("shell", "control", "iopub")
        }
        # Before the sockets connect, so that the first event is not missed.
        self._monitor = self._sockets["shell"].get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        try:
            for channel, socket in self._sockets.items():
                socket.connect(connection.url(channel))
        except zmq.ZMQError as error:
            self.close()
            raise malformed(connection.path, f"{connection.ip[:100]!r} is not an address") from error

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        self._requests += 1
        header = self._session.msg_header(msg_type) | {OF_CLIENT: True}
        # Short: Session's ids have 44 characters, and language models that repeat ids pay for each token.
        header["msg_id"] = f"{self.session[:8]}-{self._requests}"
        message = self._session.msg(msg_type, content, header=header, metadata=metadata)
        return Request(header["msg_id"], message)

    async def send(self, channel: Channel, request: Request) -> None:
        await self._sockets[channel].send_multipart(self._session.serialize(request.message))

    async def send_now(self, channel: Channel, request: Request) -> None:
        try:
            await self._sockets[channel].send_multipart(
                self._session.serialize(request.message), flags=zmq.NOBLOCK
            )
        except zmq.Again:
            raise NotConnected from None

    async def receive(self, channel: Channel) -> Message:
        return self._decode(await self._sockets[channel].recv_multipart(), channel)

    async def connections(self) -> AsyncIterator[bool]:
        while True:
            event = await recv_monitor_message(self._monitor)
            yield event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    async def beat(self, bound: float) -> bool:
        # A new socket each time: a REQ socket that missed a reply is unusable.
        with self._one_socket("hb") as socket, suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await socket.send(b"ping")
                return bool(await socket.poll(int(bound * 1000)))
        return False

    async def is_there(self) -> bool:
        return await listens(self._connection)

    async def require_there(self, bound: float) -> None:
        await require_listening(self._connection, bound)

    async def why_unreachable(self) -> BridgeError | None:
        return None

    def close(self) -> None:
        self._sockets["shell"].disable_monitor()
        self._context.destroy(linger=0)

    def _decode(self, frames: list[bytes], channel: Channel) -> Message:
        """Parse a message. Faster than `Session.deserialize`, which computes the signature twice and parses dates."""
        identities, _ = self._session.feed_identities(frames)
        parts = frames[len(identities) + 1 :]
        if len(parts) < _PARTS:
            raise ValueError("too few parts for a Jupyter message")
        if self._session.auth is not None:
            if not hmac.compare_digest(parts[0], self._session.sign(parts[1:_PARTS])):
                raise BadSignature
            self._replays.require_new(parts[0])
        header, parent, metadata, content = map(read_json, parts[1:_PARTS])
        if isinstance(header, dict) and self._session.auth is not None:
            self._replays.require_late(channel, header.get("msg_id"))
        if isinstance(header, dict) and str(header.get("version", "5"))[0:1] != "5":
            header, parent, content = _adapted(header, parent, metadata, content)
        return Message.of(header, parent, content)

    def _socket(self, channel: Channel) -> zmq.asyncio.Socket:
        socket = self._context.socket(_SOCKET_TYPES[channel])
        socket.linger = 0
        socket.handshake_ivl = _HANDSHAKE_MS
        if channel in {"shell", "control"}:
            socket.identity = self._session.bsession
            socket.immediate = 1
        if channel == "iopub":
            socket.rcvhwm = 0
            socket.subscribe(b"")
            # ipykernel 7 answers a new subscription with iopub_welcome: it proves that the subscription has arrived, and
            # that the key is right. The empty topic is a new subscription only for a kernel's first subscriber.
            socket.subscribe(self._session.bsession)
        if self._connection.curve_publickey is not None:
            # As in jupyter_client: both sides use the one key pair in the file.
            socket.curve_serverkey = self._connection.curve_publickey
            socket.curve_publickey = self._connection.curve_publickey
            socket.curve_secretkey = self._connection.curve_secretkey
        return socket

    @contextmanager
    def _one_socket(self, channel: Channel) -> Iterator[zmq.asyncio.Socket]:
        socket = self._socket(channel)
        socket.connect(self._connection.url(channel))
        try:
            yield socket
        finally:
            socket.close(linger=0)


def _adapted(header: Content, parent: Any, metadata: Any, content: Any) -> tuple[Any, Any, Any]:  # any JSON
    """Return the header, parent header and content of a message of an older protocol, as of protocol 5. Raises ValueError."""
    message = {"header": header, "msg_id": header.get("msg_id"), "msg_type": header.get("msg_type")}
    message |= {"parent_header": parent, "metadata": metadata, "content": content}
    try:
        message = adapt(message)
    except Exception as error:  # jupyter_client takes the message for a right one
        raise ValueError("not a message of an older protocol") from error
    return message["header"], message["parent_header"], message["content"]
