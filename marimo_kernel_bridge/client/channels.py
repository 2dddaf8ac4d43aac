"""The interface of a kernel's channels, and the messages that pass through it.

Owns what the link requires of a transport. Moves no messages: `zmq_channels` and `websocket_channels` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from marimo_kernel_bridge.client.message_contents import check_content
from marimo_kernel_bridge.protocol.names import FOR_AGENT, OF_CLIENT
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.errors import BridgeError
    from marimo_kernel_bridge.protocol.messages import Content


class _Header(msgspec.Struct, frozen=True):
    msg_type: str
    session: str | None = None


class _Parent(msgspec.Struct, frozen=True, rename={"for_agent": FOR_AGENT, "of_client": OF_CLIENT}):
    msg_id: str | None = None
    msg_type: str | None = None
    username: Any = ""
    for_agent: Any = None
    of_client: Any = None

    @property
    def user(self) -> str:
        """Who has sent the request: an agent by name, or "notebook" for the person, as kernels call them in what they report.

        Front ends send many names for whoever uses them: the account's, that of a user of JupyterHub, or "username".
        """
        name = self.username if isinstance(self.username, str) else ""
        is_agent = self.for_agent is not None or self.of_client is not None
        return name if self.msg_id is None or is_agent else NOTEBOOK


class BadSignature(Exception):  # noqa: N818  # named for what came in, like zmq.Again
    """A message that was not signed with our key. Its content must not be trusted."""


class NotConnected(Exception):  # noqa: N818  # a state, like zmq.Again
    """No connection to the kernel at the moment. The message was not sent, and will not be sent later."""


@dataclass(frozen=True, slots=True)
class Request:
    """A message of this client. `message` is made by `jupyter_client.session.Session`: header, content, ..."""

    msg_id: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the kernel: the headers' fields that a client uses, and the content.

    `session` is the sender's, new with each process of the kernel. `parent_*` are fields of the parent header; without
    one they are None, and `parent_user` is empty.
    """

    msg_type: str
    content: Content
    session: str | None = None
    parent_id: str | None = None
    parent_type: str | None = None
    parent_user: str = ""

    @classmethod
    def of(cls, header: object, parent: object, content: object) -> Message:
        """Parse the parts of a Jupyter message. Raises ValueError for what is none."""
        sent, answered = msgspec.convert(header, _Header), msgspec.convert(parent, _Parent)
        return cls(
            sent.msg_type,
            check_content(sent.msg_type, content),
            sent.session,
            answered.msg_id,
            answered.msg_type,
            answered.user,
        )


class Channels(Protocol):
    """Open channels to one kernel, and the means to check whether the kernel is there."""

    @property
    def name(self) -> str:
        """The kernel's address as shown to people."""

    @property
    def session(self) -> str:
        """The session id in our messages."""

    def request(self, msg_type: str, content: Content, metadata: Content | None = None) -> Request:
        """Return a new message, so that its id is known before it is sent."""

    async def send(self, channel: Channel, request: Request) -> None:
        """Send a message as soon as there is a connection, without a time limit."""

    async def send_now(self, channel: Channel, request: Request) -> None:
        """Send a message on the present connection. Raises `NotConnected` if there is none."""

    async def receive(self, channel: Channel) -> Message:
        """Return the next message. Raises `BadSignature`, or ValueError for a malformed message."""

    def connections(self) -> AsyncIterator[bool]:
        """Yield True each time the connection is made, False each time it breaks.

        It breaks when the kernel's process ends, or the network fails.
        """

    async def beat(self, bound: float) -> bool:
        """Return whether the kernel's process answers within `bound` seconds, also while it runs code."""

    async def is_there(self) -> bool:
        """Return whether there may be a kernel. False is proof that there is none."""

    async def require_there(self, bound: float) -> None:
        """Return if there may be a kernel; wait `bound` seconds for one that is starting.

        Raises `BridgeError`: connection_file_stale, kernel_silent, server_refused.
        """

    async def why_unreachable(self) -> BridgeError | None:
        """Return why a kernel that does not answer cannot be reached; None if it can."""

    def close(self) -> None:
        """Close the channels. The kernel goes on."""
