"""The state of requests in a kernel, derived from messages. Pure: no sockets, no clock.

A `Run` is a request of this client. It is over only after the reply *and* idle, which arrive in either order and with
outputs between them. `Activity` is the work of the whole kernel, including other clients' requests, because the iopub
messages of all clients arrive here. `run_tracker` assigns messages to runs.
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
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document_edits import Where
    from marimo_kernel_bridge.protocol.messages import Content

RunStatus = Literal[
    "queued",  # sent; the kernel has not started it, because it is busy with another request
    "running",
    "ok",
    "error",  # the code raised, or the kernel refused the request
    "interrupted",
    "aborted",  # did not run: an earlier request failed and aborted the queue
    "lost",  # the kernel ended or was restarted first
]

RunKind = Literal[
    "execute",
    "edit_cells",
    "run_cells",
    "run_stale",
    "set_ui_value",
    "install_packages",
    "document",  # requests of a front end, because of a change of this client
]

MAX_STREAM_CHARACTERS: Final = 5_000_000
"""The limit of stream output kept for one run, so that an endless `print` does not fill the memory."""

MAX_CHARACTERS: Final = 50_000_000
"""The limit of all output kept for one run, pictures and data included."""

WORK: Final = frozenset({"execute_request", REQUEST})
"""Long-running requests on the shell channel. Status messages of other requests are ignored."""

_MOSTWORK: Final = 1000
"""Requests that a kernel may say it is running at once; it forgets none of a front end's *Run All*."""


@dataclass(frozen=True)
class Reply:
    """The reply to a run's request.

    `ename` and `evalue` describe the exception that the code raised, empty if none. `result` is the kernel's report on
    a request of the bridge protocol, `refusal` the reason why the kernel refused it.
    """

    status: Literal["ok", "error", "aborted"]
    execution_count: int | None = None
    ename: str = ""
    evalue: str = ""
    result: RunReport | EditReport | InstallReport | None = None
    refusal: BridgeError | None = None


@dataclass(frozen=True)
class Place:
    """Where the person finds the change of a run. `op_id` names it for the kernel; `front_end` shows it.

    `added` are new cells that the kernel does not tell of, "" in the place of each that it does, where they are one batch.
    """

    where: Where
    op_id: str | None = None
    front_end: str | None = None
    added: tuple[str, ...] = ()


@dataclass
class Run:
    """One request of this client. Times are seconds since the epoch; `code` is empty unless `kind` is "execute".

    `follows` are the ids of the front end's requests of which a run of the kind "document" consists.

    `late_outputs`: outputs after the end belong to this run too. A reactive kernel sends later runs of a cell with the
    cell's latest request as parent; a plain kernel sends the output of threads.
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
    unwanted: bool = False
    """Whether its author has abandoned it, so that it is interrupted as soon as it starts."""
    cancelled: bool = False
    """Whether the kernel has confirmed that it will not start it."""
    log: OutputLog = field(default_factory=lambda: OutputLog(MAX_CHARACTERS))
    idle: bool = False
    late_outputs: bool = True
    follows: tuple[str, ...] = ()
    foreign: bool = False
    """Whether another client sent it, as an earlier session of this one: it can be read, and is not this client's to stop."""
    place: Place | None = None
    changes: tuple[Change, ...] = ()
    """What it asks the kernel to change of its cells; code that becomes a cell adds one."""
    cell_ids: tuple[str, ...] = ()
    """The cells that its code has become, once the kernel has said so."""
    _stream_characters: int = 0
    _dropped_from_streams: int = 0

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

    @property
    def dropped_characters(self) -> int:
        """How many characters of its outputs were not kept, because there were too many."""
        return self._dropped_from_streams + self.log.dropped

    def report(self) -> RunReport | None:
        """Return the report in the reply of a finished run. Raises the `BridgeError` of a refusal."""
        match self._result():
            case RunReport() as report:
                return report
            case EditReport(run=report):
                return report
            case _:
                return None

    def edit_report(self) -> EditReport | None:
        """Return the report on a finished batch of edits, None for other runs. Raises as `report` does."""
        result = self._result()
        return result if isinstance(result, EditReport) else None

    def install_report(self) -> InstallReport | None:
        """Return the report on a finished installation, None for other runs. Raises as `report` does."""
        result = self._result()
        return result if isinstance(result, InstallReport) else None

    def _result(self) -> RunReport | EditReport | InstallReport | None:
        if self.reply is None:
            return None
        if self.reply.refusal is not None:
            raise self.reply.refusal
        return self.reply.result

    def printed(self) -> str:
        """Return its stream output so far, without ANSI escape sequences."""
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
        self._dropped_from_streams += len(text) - len(kept)
        return content | {"text": kept}


@dataclass(frozen=True)
class Work:
    """A request that runs in the kernel, of any client. `client` is the client's name, if it has one."""

    request_id: str
    client: str
    since: float
    code: str | None = None
    execution_count: int | None = None


class Activity:
    """The requests that a kernel is running, according to its status messages."""

    def __init__(self) -> None:
        self._working: dict[str, Work] = {}

    @property
    def working(self) -> tuple[Work, ...]:
        """The requests that have begun and are not over, the oldest first."""
        return tuple(self._working.values())

    def on_iopub(self, message: Message, now: float) -> bool:
        """Handle an iopub message. Return whether a request has begun or ended with it."""
        request_id, content = message.parent_id, message.content
        if request_id is None or message.parent_type not in WORK:
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
        """Forget all requests, because the kernel's process has ended."""
        self._working.clear()

    def _begin(self, request_id: str, message: Message, now: float) -> Work:
        if request_id not in self._working and len(self._working) >= _MOSTWORK:
            del self._working[next(iter(self._working))]
        return self._working.setdefault(request_id, Work(request_id, message.parent_user, now))
