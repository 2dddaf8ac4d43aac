"""Requests in a kernel, as the messages about them add up. Pure: no sockets, no clock.

A `Run` is a request of ours, from sent to over; it is over only with the reply *and* idle, for outputs may come between
the two, in either order. `Activity` is what the whole kernel works on, other clients' requests included, for every
client's iopub messages reach us. Which message belongs to which run is the tracker's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.environment import InstallReport
from marimo_kernel_bridge.protocol.names import REQUEST
from marimo_kernel_bridge.protocol.notebook import RunReport
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog, strip_ansi

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.channels import Message
    from marimo_kernel_bridge.errors import BridgeError
    from marimo_kernel_bridge.protocol.messages import Content

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


@dataclass(frozen=True)
class Reply:
    """The reply to a run's request.

    `ename` and `evalue` are of what the code raised, empty if nothing. `result` is the kernel's report on a request of
    the bridge protocol, `refusal` why the kernel did not honor the request.
    """

    status: Literal["ok", "error", "aborted"]
    execution_count: int | None = None
    ename: str = ""
    evalue: str = ""
    result: RunReport | EditReport | InstallReport | None = None
    refusal: BridgeError | None = None


@dataclass
class Run:
    """One request of ours. Times are seconds since the epoch; `code` is empty unless `kind` is "execute".

    `late_outputs`: what comes after the end is output of this run, too. A reactive kernel shows later runs of a cell
    through its latest request, a plain one what threads print.
    """

    run_id: str
    kind: RunKind
    code: str
    sent_at: float
    started_at: float | None = None
    ended_at: float | None = None
    last_output_at: float | None = None
    execution_count: int | None = None
    reply: Reply | None = None
    lost: BridgeError | None = None
    dropped_characters: int = 0
    unwanted: bool = False
    """Whether its author has given it up: it is to be interrupted as soon as it starts."""
    cancelled: bool = False
    """Whether the kernel has promised not to start it."""
    log: OutputLog = field(default_factory=OutputLog)
    idle: bool = False
    late_outputs: bool = True
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
        if self.reply.status == "error" and self.reply.ename == "KeyboardInterrupt":
            return "interrupted"
        return self.reply.status

    def report(self) -> RunReport | None:
        """Return what a finished run caused, as far as its reply says. Raises the `BridgeError` of a refusal."""
        match self._result():
            case RunReport() as report:
                return report
            case EditReport(run=report):
                return report
            case _:
                return None

    def edit_report(self) -> EditReport | None:
        """Return what became of a finished batch of edits, None for other runs. Raises as `report` does."""
        result = self._result()
        return result if isinstance(result, EditReport) else None

    def install_report(self) -> InstallReport | None:
        """Return what became of a finished installation, None for other runs. Raises as `report` does."""
        result = self._result()
        return result if isinstance(result, InstallReport) else None

    def _result(self) -> RunReport | EditReport | InstallReport | None:
        if self.reply is None:
            return None
        if self.reply.refusal is not None:
            raise self.reply.refusal
        return self.reply.result

    def printed(self) -> str:
        """Return what it printed so far, without colours."""
        streams = (output["text"] for output in self.log.outputs() if output["output_type"] == "stream")
        return strip_ansi("".join(streams))

    def on_reply(self, reply: Reply, now: float) -> None:
        self.reply = reply
        if reply.execution_count is not None:
            self.execution_count = reply.execution_count
        self._end(now)

    def on_iopub(self, msg_type: str, content: Content, now: float) -> None:
        """Handle an iopub message whose parent is this run."""
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

    def _within_limit(self, content: Content) -> Content:
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
    """The requests that a kernel works on, as its status messages tell."""

    def __init__(self) -> None:
        self._working: dict[str, Work] = {}

    @property
    def working(self) -> tuple[Work, ...]:
        """Requests that have begun and are not over, the oldest first."""
        return tuple(self._working.values())

    def on_iopub(self, message: Message, now: float) -> bool:
        """Handle any iopub message. Return whether a request has begun or ended by it."""
        request_id, content = message.parent_id, message.content
        if request_id is None or message.parent_type not in _WORK:
            return False
        match message.msg_type, content.get("execution_state"):
            case "status", "idle":
                self._working.pop(request_id, None)
            case "status", "busy":
                self._begin(request_id, message, now)
            case "execute_input", _:
                work = self._begin(request_id, message, now)
                self._working[request_id] = replace(
                    work, code=str(content.get("code", "")), execution_count=content.get("execution_count")
                )
        return message.msg_type in {"status", "execute_input"}

    def forget(self) -> None:
        """Forget all: the process that worked on them is gone."""
        self._working.clear()

    def _begin(self, request_id: str, message: Message, now: float) -> Work:
        return self._working.setdefault(request_id, Work(request_id, message.parent_user, now))
