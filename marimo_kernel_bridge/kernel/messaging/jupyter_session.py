"""The kernel's Jupyter session, which lets the notebook session see and redirect what user code shows.

All of ipykernel's output (streams, displays, results, errors, from whatever thread) passes `Session.send` with the
parent header that says which request it belongs to. That is the one place to hook.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import Session, extract_header, json_packer

from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.front_ends import Header, Message


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def pack(message: Any) -> bytes:
    """Turn a part of a message into JSON. A lone surrogate becomes U+FFFD: with it no notebook could be saved."""
    try:
        return json_packer(message)
    except UnicodeEncodeError:
        text = json.dumps(json_clean(message), default=json_default, ensure_ascii=False, allow_nan=False)
        return _SURROGATE.sub("\ufffd", text).encode()


class RoutingSession(Session):
    """A `Session` that asks `route` about each output message. `route` is None until the kernel has a notebook."""

    route: Callable[[str, dict[str, Any], Header], list[Message] | None] | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pack = pack
        self.unanswered: set[str] = set()  # see answering.py

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:  # noqa: FBT001, FBT002  # jupyter_client's signature
        """Split a received message. One without the delimiter is empty: ipykernel logs it as invalid."""
        try:
            return super().feed_identities(msg_list, copy)
        except ValueError:
            return [], []

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """Read a received message. Raises `ValueError` also where ipykernel would fail later, without a trace."""
        try:
            message = super().deserialize(msg_list, content, copy)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"Malformed header: {error!r}") from error
        header = message["header"]
        if not (isinstance(header["msg_id"], str) and isinstance(header["msg_type"], str)):
            raise ValueError("Malformed header: msg_id and msg_type must be strings")  # noqa: TRY004  # what callers expect
        if content and header["msg_type"].startswith("comm_"):
            header.pop("subshell_id", None)  # the main thread takes those, see subshells.py
        return message

    def send(  # type: ignore[override]  # the other arguments pass through by name
        self,
        stream: Any,
        msg_or_type: Any,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """Send a message, or what the notebook session puts in its place."""
        if isinstance(msg_or_type, str) and msg_or_type.endswith("_reply"):
            self.unanswered.discard(extract_header(parent or {}).get("msg_id"))
        if self.route is None:
            return super().send(stream, msg_or_type, content, parent, ident, **kwargs)
        if isinstance(msg_or_type, str):
            msg_type, header = msg_or_type, extract_header(parent or {})
        else:
            msg_type, header = msg_or_type["msg_type"], msg_or_type.get("parent_header") or {}
        if msg_type in OUTPUT_TYPES:
            body = content if isinstance(msg_or_type, str) else msg_or_type["content"]
            messages = self.route(msg_type, body or {}, header)
            if messages is not None:
                buffers = kwargs.get("buffers")
                for message in messages:
                    super().send(
                        stream, message.msg_type, message.content, message.parent, ident, buffers=buffers
                    )
                return None
        elif "/" in header.get("msg_id", ""):
            # A dependent that runs inside of another request: whoever waits for that one must see the message.
            outer = {**header, "msg_id": header["msg_id"].partition("/")[0]}
            if isinstance(msg_or_type, str):
                parent = outer
            else:
                msg_or_type = {**msg_or_type, "parent_header": outer}
        return super().send(stream, msg_or_type, content, parent, ident, **kwargs)

    def peek(self, frames: list[Any]) -> dict[str, Any] | None:
        """Read a received message that stays to be handled; None if it is not ours or not well-formed.

        `deserialize` refuses a signature that it has seen, so it cannot be used twice on a message.
        """
        try:
            parts: list[Any] = self.feed_identities(frames, copy=False)[1]
            signature, *signed = (bytes(part) for part in parts[:5])
            raw_header, _, metadata, content = signed
            if signature in self.digest_history:
                return None  # a replay, which `deserialize` will refuse
            if self.auth is not None and not hmac.compare_digest(signature, self.sign(signed)):
                return None
            message = {
                "header": self.unpack(raw_header),
                "metadata": self.unpack(metadata),
                "content": self.unpack(content),
            }
        except ValueError:
            return None
        header = message["header"]
        return message if isinstance(header, dict) and isinstance(header.get("msg_id"), str) else None

    def send_unrouted(self, stream: Any, message: Message, ident: bytes | None) -> None:
        """Send a message that the notebook session made."""
        super().send(stream, message.msg_type, message.content, message.parent, ident)
