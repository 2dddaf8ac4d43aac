"""The ZMQ sockets of one connection file: signed messages out, verified messages in, a heartbeat.

Moves bytes and decides nothing; `kernel_client.py` knows what the messages mean. Jupyter's wire protocol and its
signatures are `jupyter_client.session.Session`'s.

Two socket options matter. IMMEDIATE on shell and control: ZMQ takes a message only for a connection that stands,
never for a later one. Without it, code sent while a kernel restarts runs in the *new* kernel. And no receive limit
on iopub: a PUB socket drops what a slow subscriber does not take, the final idle included.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import zmq
import zmq.asyncio
from jupyter_client.adapter import adapt
from jupyter_client.session import Session
from zmq.utils.monitor import recv_monitor_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.client.connection import Channel, Connection

logger = logging.getLogger(__name__)

Message = Mapping[str, Any]
"""Jupyter's message as `Session.deserialize` makes it: header, parent_header, content, ...; but dates stay text.

Session signs each message twice to check it and parses its dates, which takes longer than all the rest.
"""

_SOCKET_TYPES: Final[dict[Channel, int]] = {
    "shell": zmq.DEALER,
    "control": zmq.DEALER,
    "iopub": zmq.SUB,
    "hb": zmq.REQ,
}
_HANDSHAKE_MS: Final = 5000
_PARTS: Final = 5  # signature, header, parent header, metadata, content; then buffers
_HEARD_AT_MOST: Final = 65_536


class BadSignature(Exception):  # noqa: N818  # named for what came in, like zmq.Again
    """A message that was not signed with our key. What it says must not be believed."""


class NotConnected(Exception):  # noqa: N818  # as above
    """There is no connection to the kernel now. The message was not sent, and will not be sent later."""


class Channels:
    """Open sockets to one kernel. Close them with `close`."""

    def __init__(self, connection: Connection, username: str) -> None:
        self._connection = connection
        self._context = zmq.asyncio.Context()
        self.session = Session(
            key=connection.key, signature_scheme=connection.signature_scheme, username=username
        )
        self._requests = 0
        self._heard: dict[bytes, None] = {}  # signatures, the oldest first
        self._sockets: dict[Channel, zmq.asyncio.Socket] = {
            channel: self._socket(channel) for channel in ("shell", "control", "iopub")
        }
        # Before the sockets connect, or the first event is missed.
        self._monitor = self._sockets["shell"].get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        for channel, socket in self._sockets.items():
            socket.connect(connection.url(channel))

    def request(
        self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Make a message, so that its id is known before it is sent."""
        self._requests += 1
        header = self.session.msg_header(msg_type)
        # Session's own ids have 44 characters. These are repeated by language models, which pay for each.
        header["msg_id"] = f"{self.session.session[:8]}-{self._requests}"
        message: dict[str, Any] = self.session.msg(msg_type, content, header=header, metadata=metadata)
        return message

    async def send(self, channel: Channel, message: dict[str, Any]) -> None:
        """Send a message as soon as a connection stands: bound the call."""
        await self._sockets[channel].send_multipart(self.session.serialize(message))

    async def send_now(self, channel: Channel, message: dict[str, Any]) -> None:
        """Send a message on the connection that stands. Raises `NotConnected` if none does."""
        try:
            await self._sockets[channel].send_multipart(self.session.serialize(message), flags=zmq.NOBLOCK)
        except zmq.Again:
            raise NotConnected from None

    async def receive(self, channel: Channel) -> Message:
        """Wait for the next message. Raises `BadSignature`, or ValueError for what is no Jupyter message."""
        return self._decode(await self._sockets[channel].recv_multipart())

    async def connections(self) -> AsyncIterator[bool]:
        """Tell of the shell connection: True each time it stands, False each time it breaks.

        It breaks when the kernel's process ends, or the network does.
        """
        while True:
            event = await recv_monitor_message(self._monitor)
            yield event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    async def beat(self, bound: float) -> bool:
        """Whether the kernel answers a heartbeat within `bound` seconds.

        A fresh socket each time: a REQ socket that missed one answer is of no more use.
        """
        with self._one_socket("hb") as socket:
            await socket.send(b"ping")
            return bool(await socket.poll(int(bound * 1000)))

    def close(self) -> None:
        self._sockets["shell"].disable_monitor()
        self._context.destroy(linger=0)

    def _decode(self, frames: list[bytes]) -> Message:
        identities, _ = self.session.feed_identities(frames)
        parts = frames[len(identities) + 1 :]
        if len(parts) < _PARTS:
            raise ValueError("too few parts for a Jupyter message")
        if self.session.auth is not None:
            if not hmac.compare_digest(parts[0], self.session.sign(parts[1:_PARTS])):
                raise BadSignature
            self._require_new(parts[0])
        header, parent, metadata, content = (self._unpack(part) for part in parts[1:_PARTS])
        message = {"header": header, "msg_id": header["msg_id"], "msg_type": header["msg_type"]}
        message |= {"parent_header": parent, "metadata": metadata, "content": content}
        message["buffers"] = [memoryview(part) for part in parts[_PARTS:]]
        if not str(header.get("version", "5")).startswith("5"):
            message = adapt(message)
        return message

    def _unpack(self, part: bytes) -> Any:  # JSON
        try:
            return msgspec.json.decode(part)
        except msgspec.DecodeError:  # NaN, lone surrogates: Python's own takes them, and so do front ends
            return self.session.unpack(part)

    def _require_new(self, signature: bytes) -> None:
        """Refuse a message that has come before: somebody who cannot sign repeats what he has heard."""
        if signature in self._heard:
            raise ValueError("a message came twice")
        self._heard[signature] = None
        if len(self._heard) > _HEARD_AT_MOST:
            del self._heard[next(iter(self._heard))]

    def _socket(self, channel: Channel) -> zmq.asyncio.Socket:
        socket = self._context.socket(_SOCKET_TYPES[channel])
        socket.linger = 0
        socket.handshake_ivl = _HANDSHAKE_MS
        if channel in {"shell", "control"}:
            socket.identity = self.session.bsession
            socket.immediate = 1
        if channel == "iopub":
            socket.rcvhwm = 0
            socket.subscribe(b"")
            # ipykernel 7 answers a topic that it has not heard yet with iopub_welcome: proof that we are heard, and
            # that its key is ours. The empty topic is news only from a kernel's first subscriber.
            socket.subscribe(self.session.bsession)
        if self._connection.curve_publickey is not None:
            # As jupyter_client does: the file's one key pair serves both sides.
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
