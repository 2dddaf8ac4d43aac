"""The kernel's `jupyter_client` session: each shell message is read once, each output may be redirected.

All of ipykernel's output (streams, displays, results, errors, from whatever thread) passes `Session.send` with the
parent header of the request that it belongs to, so this is the only hook that is needed. `requests` parses requests, and
the notebook decides where an output goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import Session, extract_header, json_packer

from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames, ReceivedMessage
from marimo_kernel_bridge.protocol.names import FOR_AGENT
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES

if TYPE_CHECKING:
    from datetime import datetime

    from marimo_kernel_bridge.kernel.front_ends import Header, Message
    from marimo_kernel_bridge.kernel.messaging.agent_messages import AgentMessages


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def pack(message: Any) -> bytes:
    """Turn a part of a message into JSON. A lone surrogate becomes U+FFFD: with it no notebook could be saved."""
    try:
        return json_packer(message)
    except UnicodeEncodeError:
        text = json.dumps(json_clean(message), default=json_default, ensure_ascii=False, allow_nan=False)
        return _SURROGATE.sub("\ufffd", text).encode()


def _is_before(header: Mapping[str, Any], moment: datetime) -> bool:
    """Return whether a message was sent before a moment; False if it says no time."""
    try:
        return bool(header["date"] < moment)
    except (KeyError, TypeError):
        return False


Route = Callable[[str, dict[str, Any], "Header"], "list[Message] | None"]
"""Takes an output: its type, its content, its parent header. Returns what to send instead, None for the output itself."""


class JupyterSession(Session):
    """A `Session` that reads each message on shell once, and sends outputs where the notebook wants them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pack = pack
        self.unanswered: set[str] = set()  # message ids of the requests that wait for a reply
        self.begun: datetime | None = None
        """When this process began, if that is before anybody could know of it."""
        self._route: Route | None = None

    @cached_property
    def for_agents(self) -> AgentMessages:
        """The redaction of what agents are sent."""
        from marimo_kernel_bridge.kernel.messaging.agent_messages import AgentMessages  # noqa: PLC0415  # most notebooks have no agent

        return AgentMessages()

    def as_agents_read(self, text: str) -> str:
        """Return a text without secrets, once there is an agent: none is told of what was written before it came."""
        return self.for_agents.redactor().text(text) if "for_agents" in vars(self) else text

    def redirect_outputs(self, route: Route) -> None:
        """Ask `route` about each output from now on; once there is a notebook."""
        self._route = route

    def receive(self, frames: list[Any]) -> ReceivedFrames:
        """Read the frames of a message. What is passed to `deserialize` later gives this message, or raises its error."""
        idents, parts = self.feed_identities(frames, copy=False)
        try:
            return ReceivedFrames(frames, idents, self.deserialize(parts, copy=False))
        except ValueError as error:
            return ReceivedFrames(frames, idents, error)

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:  # noqa: FBT001, FBT002  # jupyter_client's signature
        """Split a received message. One without the delimiter is empty: ipykernel logs it as invalid."""
        if isinstance(msg_list, ReceivedFrames):
            return msg_list.idents, msg_list
        try:
            return super().feed_identities(msg_list, copy)
        except ValueError:
            return [], []

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> ReceivedMessage:  # noqa: FBT001, FBT002
        """Read a received message. Raises `ValueError` also where ipykernel would fail later, without a trace."""
        if isinstance(msg_list, ReceivedFrames):
            if msg_list.error is not None:
                raise msg_list.error
            assert msg_list.message is not None
            return msg_list.message
        try:
            message = super().deserialize(msg_list, content, copy)
            header = message["header"]
            if not (isinstance(header["msg_id"], str) and isinstance(header["msg_type"], str)):
                raise ValueError("Malformed header: msg_id and msg_type must be strings")  # noqa: TRY004  # what callers expect
        except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ValueError(f"Malformed message: {error!r}") from error
        received = ReceivedMessage(message)
        if (
            self.begun is not None
            and header["msg_type"] == "shutdown_request"
            and _is_before(header, self.begun)
        ):
            received.refusal = "it was sent to the process before this one, which had ended"
        return received

    def send(  # type: ignore[override]  # the other arguments pass through by name
        self,
        stream: Any,
        msg_or_type: Any,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """Send a message, or what the notebook puts in its place."""
        if isinstance(msg_or_type, str):
            msg_type, header = msg_or_type, extract_header(parent or {})
            if msg_type.endswith("_reply"):
                self.unanswered.discard(header.get("msg_id"))
        else:
            msg_type, header = msg_or_type["msg_type"], msg_or_type.get("parent_header") or {}
        if self._route is None:
            return self._send(stream, msg_or_type, content, parent, ident, header, **kwargs)
        if msg_type in OUTPUT_TYPES:
            body = content if isinstance(msg_or_type, str) else msg_or_type["content"]
            messages = self._route(msg_type, body or {}, header)
            if messages is not None:
                buffers = kwargs.get("buffers")
                for message in messages:
                    outer = message.parent
                    self._send(
                        stream, message.msg_type, message.content, outer, ident, outer, buffers=buffers
                    )
                return None
        elif "/" in header.get("msg_id", ""):
            # A dependent that runs inside of another request: the client that waits for that one must see the message.
            outer = {**header, "msg_id": header["msg_id"].partition("/")[0]}
            if isinstance(msg_or_type, str):
                parent = outer
            else:
                msg_or_type = {**msg_or_type, "parent_header": outer}
        return self._send(stream, msg_or_type, content, parent, ident, header, **kwargs)

    def send_unrouted(self, stream: Any, message: Message, ident: bytes | None) -> None:
        """Send a message that the notebook made."""
        self._send(stream, message.msg_type, message.content, message.parent, ident, message.parent)

    def _send(  # noqa: PLR0917  # those of `send`
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any,
        parent: Any,
        ident: Any,
        header: Header,
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """Send a message; without secrets, if its parent's header says that it is for an agent."""
        if FOR_AGENT not in header:
            return super().send(stream, msg_or_type, content, parent, ident, **kwargs)
        if not isinstance(msg_or_type, str):
            msg_type, content, parent = msg_or_type["msg_type"], msg_or_type["content"], header
        else:
            msg_type = msg_or_type
        sent = None
        for kind, redacted in self.for_agents.outgoing(msg_type, content or {}, header):
            if kind == msg_type and not isinstance(msg_or_type, str):
                sent = super().send(stream, {**msg_or_type, "content": redacted}, ident=ident, **kwargs)
            else:
                options = kwargs if kind == msg_type else {}
                sent = super().send(stream, kind, redacted, parent, ident, **options)
        return sent


class Outputs:
    """The sender of outputs that no code makes by itself: what the notebook sends, notices, the text of a tool."""

    def __init__(self, session: JupyterSession, iopub: Any, topic: Callable[[str], bytes]) -> None:
        """`topic` returns that of a type of message."""
        self._session, self._iopub, self._topic = session, iopub, topic

    def send(self, message: Message) -> None:
        """Send a message that the notebook made."""
        self._session.send_unrouted(self._iopub, message, self._topic(message.msg_type))

    def show_notice(self, content: dict[str, Any], parent: Header) -> None:
        """Show a notice as output of the request with this header. Any thread."""
        self._session.send(self._iopub, "display_data", content, {"header": parent})

    def update_display(self, content: dict[str, Any], parent: Header) -> None:
        """Show other data in place of what has the display id, as output of the request with this header."""
        self._session.send(self._iopub, "update_display_data", content, {"header": parent})

    def show_text(self, text: str, parent: Header) -> None:
        """Show text as output of the request with this header."""
        self._session.send(self._iopub, "stream", {"name": "stdout", "text": text}, parent)
