"""What a client knows of the requests in a kernel, from the messages it sees. Pure: no sockets, no clock of its own.

Two things are told apart. A `Run` is a request of ours, from sent to over; it is over only with the reply *and*
idle, for outputs may come between the two, in either order. `Activity` is what the whole kernel is doing, other
clients' requests included, for every client's iopub messages reach us.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.protocol.names import REQUEST
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog, strip_ansi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.errors import BridgeError

RunStatus = Literal[
    "queued",  # sent; the kernel has not started it, because it is busy with another request
    "running",
    "ok",
    "error",  # the code raised, or the kernel refused the request
    "interrupted",
    "aborted",  # never ran: a request before it failed, and its sender had the queue cleared
    "lost",  # the kernel ended or was restarted before it was over
]

RunKind = Literal["execute", "edit_cells", "run_cells", "run_stale", "set_ui_value", "install_packages"]

MAX_STREAM_CHARACTERS: Final = 5_000_000
"""Kept of the streams of one run. An endless `print` must not fill our memory."""

_WORK: Final = frozenset({"execute_request", REQUEST})
"""Requests on the shell channel that can take long. Status messages of all others say nothing of interest."""


@dataclass
class Run:
    """One request of ours. `kind` is a word for people; times are seconds since the epoch."""

    run_id: str
    kind: RunKind
    code: str
    sent_at: float
    started_at: float | None = None
    ended_at: float | None = None
    last_output_at: float | None = None
    execution_count: int | None = None
    reply: Mapping[str, Any] | None = None  # the content of Jupyter's reply, which has many shapes
    lost: BridgeError | None = None
    dropped_characters: int = 0
    unwanted: bool = False
    """Whether its author has given it up: it is to be interrupted as soon as it starts."""
    cancelled: bool = False
    """Whether the kernel has promised not to start it."""
    log: OutputLog = field(default_factory=OutputLog)
    idle: bool = False
    _stream_characters: int = 0

    @property
    def over(self) -> bool:
        return self.lost is not None or (self.reply is not None and self.idle)

    @property
    def status(self) -> RunStatus:
        if self.lost is not None:
            return "lost"
        if self.reply is None or not self.idle:
            return "queued" if self.started_at is None else "running"
        match self.reply.get("status"):
            case "ok":
                return "ok"
            case "aborted" | "abort":  # the second is how protocol 5.0 spelled it
                return "aborted"
            case _:
                return "interrupted" if self.reply.get("ename") == "KeyboardInterrupt" else "error"

    def printed(self) -> str:
        """Return what it printed so far, without colours."""
        streams = (output["text"] for output in self.log.outputs() if output["output_type"] == "stream")
        return strip_ansi("".join(streams))

    def on_reply(self, content: Mapping[str, Any], now: float) -> None:
        self.reply = content
        self.execution_count = content.get("execution_count", self.execution_count)
        self._end(now)

    def on_iopub(self, msg_type: str, content: dict[str, Any], now: float) -> None:
        """Take an iopub message whose parent is this run."""
        if msg_type == "status":
            self._on_status(content.get("execution_state"), now)
        elif msg_type == "execute_input":
            self.execution_count = content.get("execution_count")
        elif msg_type in OUTPUT_TYPES:
            self.last_output_at = now
            if msg_type == "stream":
                content = self._within_limit(content)
            if msg_type == "clear_output" and not content.get("wait"):
                self._stream_characters = 0
            self.log.apply(msg_type, content)

    def on_lost(self, why: BridgeError, now: float) -> None:
        if not self.over:
            self.lost = why
            self._end(now)

    def _on_status(self, state: object, now: float) -> None:
        if state == "busy" and self.started_at is None:
            self.started_at = now
        elif state == "idle":
            self.idle = True
            self._end(now)

    def _end(self, now: float) -> None:
        if self.over and self.ended_at is None:
            self.ended_at = now

    def _within_limit(self, content: dict[str, Any]) -> dict[str, Any]:
        text = str(content.get("text", ""))
        kept = text[: max(0, MAX_STREAM_CHARACTERS - self._stream_characters)]
        self._stream_characters += len(kept)
        self.dropped_characters += len(text) - len(kept)
        return content | {"text": kept}


@dataclass(frozen=True)
class Work:
    """A request that runs in the kernel, of whatever client. `client` is a name, if the client gave one."""

    request_id: str
    client: str
    since: float
    code: str | None = None
    execution_count: int | None = None


class Activity:
    """Which requests the kernel works on, as its status messages tell."""

    def __init__(self) -> None:
        self._working: dict[str, Work] = {}

    @property
    def working(self) -> tuple[Work, ...]:
        """Requests that have begun and are not over, the oldest first."""
        return tuple(self._working.values())

    def on_iopub(self, message: Mapping[str, Any], now: float) -> bool:
        """Take any iopub message. Returns whether a request has begun or ended by it."""
        msg_type, content, parent = (
            message["header"]["msg_type"],
            message["content"],
            message["parent_header"],
        )
        request_id = parent.get("msg_id")
        if request_id is None or parent.get("msg_type") not in _WORK:
            return False
        if msg_type == "status" and content.get("execution_state") == "idle":
            self._working.pop(request_id, None)
        elif msg_type == "status" and content.get("execution_state") == "busy":
            self._begin(request_id, parent, now)
        elif msg_type == "execute_input":
            begun = self._begin(request_id, parent, now)
            self._working[request_id] = Work(
                begun.request_id,
                begun.client,
                begun.since,
                str(content.get("code", "")),
                content.get("execution_count"),
            )
        return msg_type in {"status", "execute_input"}

    def forget(self) -> None:
        """Start anew: the process that worked on them is gone."""
        self._working.clear()

    def _begin(self, request_id: str, parent: Mapping[str, Any], now: float) -> Work:
        work = Work(request_id, str(parent.get("username") or ""), now)
        return self._working.setdefault(request_id, work)
