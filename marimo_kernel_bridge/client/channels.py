"""The interface of a kernel's channels, and the messages that pass through it.

Owns what the link expects of whatever reaches a kernel. Moves no messages: `zmq_channels` and `websocket_channels` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.errors import BridgeError
    from marimo_kernel_bridge.protocol.messages import Content


class BadSignature(Exception):  # noqa: N818  # named for what came in, like zmq.Again
    """A message that was not signed with our key. What it says must not be believed."""


class NotConnected(Exception):  # noqa: N818  # a state, like zmq.Again
    """There is no connection to the kernel now. The message was not sent, and will not be sent later."""


@dataclass(frozen=True, slots=True)
class Request:
    """A message of ours. `message` is what `jupyter_client.session.Session` makes: header, content, ..."""

    msg_id: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the kernel's: what a client uses of its headers, and its content.

    `session` is the sender's, new with each process of the kernel. `parent_*` are of the request that the message
    belongs to; they are None, and `parent_user` empty, where there is none.
    """

    msg_type: str
    content: Content
    session: str | None = None
    parent_id: str | None = None
    parent_type: str | None = None
    parent_user: str = ""

    @classmethod
    def of(cls, header: Mapping[str, Any], parent: Mapping[str, Any], content: Content) -> Message:
        """Parse the parts of a Jupyter message. Raises KeyError for a header without a type."""
        return cls(
            str(header["msg_type"]),
            content,
            header.get("session"),
            parent.get("msg_id"),
            parent.get("msg_type"),
            str(parent.get("username") or ""),
        )


class Channels(Protocol):
    """Open channels to one kernel, and the judgment whether there is one at their other end."""

    @property
    def name(self) -> str:
        """What people call the kernel's address."""

    @property
    def session(self) -> str:
        """The session id in our messages."""

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        """Return a message of ours, so that its id is known before it is sent."""

    async def send(self, channel: Channel, request: Request) -> None:
        """Send a message as soon as there is a connection. Unbounded."""

    async def send_now(self, channel: Channel, request: Request) -> None:
        """Send a message on the connection that there is. Raises `NotConnected` if there is none."""

    async def receive(self, channel: Channel) -> Message:
        """Return the next message. Raises `BadSignature`, or ValueError for what is no Jupyter message."""

    def connections(self) -> AsyncIterator[bool]:
        """Yield True each time the connection is made, False each time it breaks.

        It breaks when the kernel's process ends, or the network does.
        """

    async def beat(self, bound: float) -> bool:
        """Return whether the kernel's process answers within `bound` seconds, whatever code it runs."""

    async def is_there(self) -> bool:
        """Return whether there may be a kernel. False is proof that there is none."""

    async def require_there(self, bound: float) -> None:
        """Return if there may be a kernel; wait `bound` seconds for one that is starting.

        Raises `BridgeError`: connection_file_stale, kernel_silent, server_refused.
        """

    async def why_unreachable(self) -> BridgeError | None:
        """Return what is wrong on the way to a kernel that does not answer; None if the way is open."""

    def close(self) -> None:
        """Close the channels. The kernel goes on."""
