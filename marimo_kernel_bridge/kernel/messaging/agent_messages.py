"""Redaction of what the kernel sends to agents: the secrets that it knows, and the messages that answer an agent's request.

The person's front ends are sent everything as it is. Imported with the first request of an agent.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.known_secrets import KnownSecrets
from marimo_kernel_bridge.protocol.redacted_stream import RedactedStream
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.redaction import Redactor

_REDACTED: Final = frozenset(
    {
        "display_data",
        "execute_result",
        "error",
        "update_display_data",
        "clear_output",
        "execute_input",
        "execute_reply",
    }
)
_KEPT: Final = 100  # streams of requests that are not known to be over


class AgentMessages:
    """The redaction of messages to agents, on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str], RedactedStream] = {}  # of the requests that run, by id and name
        self._running: dict[str, None] = {}
        self._known = KnownSecrets()

    def redactor(self) -> Redactor:
        """Return the redactor for the secrets of this process and of its folder."""
        return self._known.redactor(working_directory())

    def outgoing(self, msg_type: str, content: Content, parent: Header) -> list[tuple[str, Content]]:
        """Return what to send in place of a message to an agent. Text that a request printed is complete at its idle."""
        request = str(parent.get("msg_id", "")).partition("/")[0]
        with self._lock:
            if msg_type == "stream":
                text = self._printed(request, content)
                return [(msg_type, {**content, "text": text})] if text else []
            if msg_type == "status":
                return [*self._status(request, content), (msg_type, content)]
            if msg_type not in _REDACTED:
                return [(msg_type, content)]
            redacted: Content = self.redactor().data(content)
            before = [] if msg_type.startswith("execute_") else self._flushed(request)
            return [*before, (msg_type, redacted)]

    def _printed(self, request: str, content: Content) -> str:
        redactor = self.redactor()
        if request not in self._running:  # of a thread that outlives it
            return redactor.text(content["text"])
        stream = self._streams.setdefault((request, content["name"]), RedactedStream())
        return stream.add(content["text"], redactor)

    def _status(self, request: str, content: Content) -> list[tuple[str, Content]]:
        if content.get("execution_state") == "idle":
            self._running.pop(request, None)
            return self._flushed(request)
        self._running[request] = None
        while len(self._running) > _KEPT:
            self._running.pop(next(iter(self._running)))
        return []

    def _flushed(self, request: str) -> list[tuple[str, Content]]:
        """Return the messages with the text of a request that was held back."""
        names = [name for of, name in self._streams if of == request]
        held = [(name, self._streams.pop((request, name)).flush(self.redactor())) for name in names]
        return [("stream", {"name": name, "text": text}) for name, text in held if text]
