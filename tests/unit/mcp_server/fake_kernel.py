"""A kernel in memory: it answers what a client sends, from values that a test sets, without a socket or a process.

The client's own code stays real down to the channels. What `executions` holds back begins and does not end until
`release` or an interrupt.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.client.channels import Message, NotConnected, Request
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.errors import AgentsPausedError, BridgeError
from marimo_kernel_bridge.inspecting import code_help
from marimo_kernel_bridge.inspecting.variables import find
from marimo_kernel_bridge.kernel.viewing.parts import read_part
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import DocumentLoaded
from marimo_kernel_bridge.protocol.environment import Environment, InstallReport
from marimo_kernel_bridge.protocol.inspection import (
    Match,
    Matches,
    OwnMarks,
    Redacted,
    RunOutcome,
    UiElement,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import FOR_AGENT, OF_CLIENT
from marimo_kernel_bridge.protocol.notebook import (
    Cell,
    CellError,
    CellRun,
    CellStatus,
    CellWithOutputs,
    KernelDescription,
    Outline,
    RunReport,
)
from marimo_kernel_bridge.protocol.view_requests import ViewRequest
from tests.unit.mcp_server.fake_views import FakeViews

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.protocol.changes import EditReport, ExpectedRun
    from marimo_kernel_bridge.protocol.checkpoints import CheckpointSummary
    from marimo_kernel_bridge.protocol.document_edits import DocumentContent

Json = dict[str, Any]  # Jupyter's

DESCRIPTION = KernelDescription(
    protocol=1,
    bridge_version="1",
    marimo_version="0.25",
    python_version="3.11",
    pid=7,
    cwd="/work",
    notebook=None,
    mode="autorun",
    started_at=0.0,
    busy=False,
    running_cell=None,
    running_since=None,
    queued=0,
    settling=False,
    cells=0,
)
"""What a kernel that does nothing says of itself."""


def stream(text: str) -> Json:
    return {"output_type": "stream", "name": "stdout", "text": text}


def result(text: str) -> Json:
    data = {"text/plain": text}
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1}


def cell_run(cell_id: str, status: CellStatus = "ok", error: CellError | None = None) -> CellRun:
    return CellRun(cell_id, None, status, 1, 0.5, error, outputs_changed=True)


@dataclass
class Execution:
    """What a request on shell does: which outputs come, how it ends, and which cells ran because of it."""

    outputs: tuple[Json, ...] = ()
    error: CellError | None = None
    held: bool = False
    requested: tuple[str, ...] = ()
    ran: tuple[CellRun, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)  # more fields of `RunReport`
    refusal: BridgeError | None = None
    edits: EditReport | None = None
    installed: InstallReport | None = None


class FakeKernel:
    """A kernel that a test sets up, and the log of what it was asked."""

    def __init__(self, *, reactive: bool = True) -> None:
        self.reactive = reactive
        self.session = "process 1"
        self.beats = True
        self.there = True
        self.answers = True
        """Whether control is answered: compiled code that keeps the interpreter's lock lets it say nothing."""
        self.cells: dict[str, Cell] = {}
        self.outputs: dict[str, tuple[Json, ...]] = {}
        self.variables: list[Variable] = []
        self.contents: dict[str, VariableContent] = {}
        self.names: dict[str, object] = {}
        """The namespace: what its variables hold, where tables are read of them, or code is completed."""
        self.elements: list[UiElement] = []
        self.history: list[RunReport] = []
        self.expected: list[ExpectedRun] = []
        self.content: DocumentContent | None = None
        """The document that a person has open; None: no front end has attached one."""
        self.knows_documents = True
        """Whether it knows the requests about documents, which older kernels refuse."""
        self.about_document: dict[type[wire.Request], Any] = {}
        """What it answers to a request about the document: a value of `document_edits`, a refusal, or a list of them."""
        self.saved: list[Cell] = []
        """The cells of the notebook that it does not know until they are loaded."""
        self.checkpoints: list[CheckpointSummary] = []
        self.replies: dict[str, Any] = {}
        """What it answers to a request about checkpoints on shell, by its operation: a value or a refusal."""
        self.tables = FakeViews()
        self.own_marks = OwnMarks({})
        """What in the texts of its cells looks like a mark of redaction and is none."""
        self.environment = Environment("/env/bin/python", "/env", "venv", "pip")
        self.description = DESCRIPTION
        self.damage: Callable[[str, Json], Json] = lambda _, content: content
        """What becomes of the content of each message, by its type, on the way to the client."""
        self.executions: dict[str, Execution] = {}
        """By code, or by the operation of a request of the bridge protocol."""
        self.asked: list[str] = []
        """The operations and messages that came, in their order."""
        self.requests: list[wire.Request] = []
        self._channels: list[_Channels] = []
        self._queue: list[tuple[_Channels, Json]] = []
        self._running: tuple[_Channels, Json, Execution] | None = None
        self._reports: dict[str, RunReport] = {}
        self._cancelled: set[str] = set()
        self._counts = itertools.count(1)

    async def attach(self, endpoint: Endpoint, client_name: str) -> KernelClient:
        """Attach a client to this kernel, whatever the endpoint is."""
        return await KernelClient.attach(endpoint, client_name, open_channels=self._open)

    def add(self, cell_id: str, code: str, *outputs: Json, **fields: Any) -> Cell:  # fields of `Cell`
        """Know a cell that the person has run."""
        cell = Cell(
            cell_id,
            f"nb-{cell_id}",
            code,
            version=1,
            status="ok",
            stale=False,
            execution_count=1,
            edited_by="notebook",
            last_run_by="notebook",
            last_run_at=0.0,
            duration=0.5,
            error=None,
        )
        self.cells[cell_id] = replace(cell, **fields)
        self.outputs[cell_id] = outputs
        return self.cells[cell_id]

    @property
    def busy(self) -> bool:
        """Whether a request runs."""
        return self._running is not None

    def release(self) -> None:
        """Let the request that is held back end, and those behind it run."""
        assert self._running is not None
        channels, message, execution = self._running
        self._running = None
        self._end(channels, message, execution)
        self._work()

    def prints(self, text: str) -> None:
        """Let the request that is held back print."""
        assert self._running is not None
        channels, message, _ = self._running
        channels.publish(message["header"], "stream", {"name": "stdout", "text": text})

    async def restart(self) -> None:
        """Become another process, and wait until the clients have heard of it."""
        self.session = f"process {next(self._counts) + 1}"
        self.cells.clear()
        for channels in self._channels:
            channels.publish({}, "status", {"execution_state": "starting"})
        await self.heard()

    async def heard(self) -> None:
        """Wait until the clients have taken all that was sent."""
        while any(channels.waiting for channels in self._channels):  # noqa: ASYNC110  # a queue tells of no reader
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def die(self) -> None:
        """End without a word."""
        self.there = self.beats = False
        for channels in self._channels:
            channels.breaks()

    def somebody_else_runs(
        self, code: str, client: str = "ada", *, agent: bool = False
    ) -> Callable[[], None]:
        """Begin a request of another client; call what is returned to end it."""
        parent: Json = {
            "msg_id": f"other-{next(self._counts)}",
            "msg_type": "execute_request",
            "username": client,
        }
        parent |= {FOR_AGENT: True} if agent else {}
        for channels in self._channels:
            channels.publish(parent, "status", {"execution_state": "busy"})
            channels.publish(parent, "execute_input", {"code": code, "execution_count": 1})
        self._running = (self._channels[0], {"header": parent}, Execution())

        def end() -> None:
            self._running = None
            for channels in self._channels:
                channels.publish(parent, "status", {"execution_state": "idle"})
            self._work()

        return end

    # The other side of the channels

    def _open(self, _endpoint: Endpoint, username: str) -> _Channels:
        channels = _Channels(self, username)
        self._channels.append(channels)
        return channels

    def take(self, channels: _Channels, channel: str, message: Json) -> None:
        """Take a message of a client's."""
        msg_type, content = message["header"]["msg_type"], message["content"]
        if msg_type == "kernel_info_request":
            if channel == "control" or self._running is None:
                channels.publish({}, "iopub_welcome", {})
                name = "ipython" if not self.reactive else "marimo_kernel_bridge"
                info = {"implementation": name, "language_info": {"name": "python", "version": "3.11"}}
                channels.reply(channel, message, "kernel_info_reply", info)
        elif msg_type == "shutdown_request":
            channels.reply(channel, message, "shutdown_reply", {"status": "ok", "restart": False})
        elif msg_type == "interrupt_request":
            self.asked.append(msg_type)
            channels.reply(channel, message, "interrupt_reply", {"status": "ok"})
            self._interrupt()
        elif channel == "control" or self._is_a_look(content):
            if self.answers:
                channels.reply(channel, message, wire.REPLY, self._look(content))
        else:
            self._queue.append((channels, message))
            self._work()

    def _is_a_look(self, content: Json) -> bool:
        return content.get("op") in {"inspect_variable", "read_table"} or bool(content.get("dry_run"))

    def _look(self, content: Json) -> Json:
        try:
            request = self._noted(content)
            if isinstance(request, ViewRequest):
                return wire.encode_result(self.tables.answer(request))
            if isinstance(request, wire.ListCheckpoints | wire.DeleteCheckpoint):
                return wire.encode_result(self._about_checkpoints(request))
            return wire.encode_result(self._found(request))
        except BridgeError as refusal:
            return wire.encode_error(refusal)

    def _about_document(self, request: wire.Request) -> Any:  # one of `wire.Result`
        acts = wire.EditDocument | wire.SyncDocument | wire.UndoEdit | wire.SaveDocument
        if self.description.agents_paused and isinstance(request, acts):
            raise AgentsPausedError("nothing was done")
        found = self.about_document.get(type(request), BridgeError("no_document", "There is no document."))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, BridgeError):
            raise found
        return found

    def front_end_runs(self, run_id: str, *ran: CellRun, finished: bool = True) -> None:
        """Know a request of the front end, and the cells that ran because of it, of which the first was requested."""
        requested = tuple(run.cell_id for run in ran[:1])
        self._reports[run_id] = RunReport(run_id, requested, "ann", finished, ran)

    def something_ended(self) -> None:
        """Let the clients hear that a request of somebody else is over."""
        parent = {"msg_id": "other", "msg_type": "execute_request", "username": "ada"}
        for channels in self._channels:
            channels.publish(parent, "status", {"execution_state": "idle"})

    def _noted(self, content: Json) -> wire.Request:
        request = wire.decode_request(content)
        if isinstance(request, wire.DocumentRequest | ViewRequest) and not self.knows_documents:
            op = content["op"]
            raise BridgeError("bad_request", f"Not a request of the bridge protocol: Invalid value '{op}'.")
        self.asked.append(content["op"])
        self.requests.append(request)
        return request

    def _about_checkpoints(
        self, request: wire.DeleteCheckpoint | wire.ListCheckpoints
    ) -> Any:  # one of `wire.Result`
        if isinstance(request, wire.ListCheckpoints):
            return self.checkpoints
        known = [one for one in self.checkpoints if one.name == request.name]
        if not known:
            raise BridgeError("no_such_checkpoint", f"There is no checkpoint {request.name!r}.")
        self.checkpoints.remove(known[0])
        return None

    def _found(self, request: wire.Request) -> Any:  # noqa: C901, PLR0911  # one of `wire.Result` for each request
        match request:
            case wire.ReadOutline(offset=offset, limit=limit):
                cells = tuple(self.cells.values())
                return Outline(cells[offset : offset + limit], len(cells))
            case wire.ReadCell(cell_id=cell_id):
                return CellWithOutputs(cell := self._cell(cell_id), self.outputs[cell.cell_id])
            case wire.ReadOutcome(run_id=run_id):
                return self._outcome(run_id)
            case wire.SearchCells(query=query, limit=limit):
                return self._matches(query, limit)
            case wire.InspectVariable(name=name):
                return self._content(name)
            case wire.CompleteCode(code=code, limit=limit):
                return code_help.complete(self.names, code, limit)
            case wire.InspectCode(code=code):
                return code_help.explain(self.names, {}, code)
            case wire.ReadTable(name=name):
                return read_part(find(self.names, name), request)
            case wire.CancelRun(run_id=run_id):
                self._cancelled.add(run_id)
            case wire.ReadDocument() if self.content is not None:
                return self.content
            case _ if isinstance(request, wire.DocumentRequest):
                return self._about_document(request)
        stale = tuple(cell.cell_id for cell in self.cells.values() if cell.stale)
        edits = self.executions.get("edit_cells", Execution()).edits
        values: dict[type[wire.Request], Any] = {
            wire.Describe: replace(self.description, cells=len(self.cells), stale=stale),
            wire.ListCells: list(self.cells.values()),
            wire.ReadHistory: self.history,
            wire.ListVariables: self.variables,
            wire.ListUiElements: self.elements,
            wire.ReadEnvironment: self.environment,
            wire.EditCells: edits,
            wire.PreviewRun: self.expected,
            wire.Redact: Redacted(getattr(request, "value", None)),
            wire.ReadOwnMarks: self.own_marks,
        }
        return values.get(type(request))

    def _matches(self, query: str, limit: int) -> Matches:
        lines = [
            Match(cell.cell_id, "code", number, line)
            for cell in self.cells.values()
            for number, line in enumerate(split_lines(cell.code), 1)
            if query.casefold() in line.casefold()
        ]
        return Matches(tuple(lines[:limit]), len(lines))

    def _content(self, name: str) -> VariableContent:
        if name not in self.contents:
            raise BridgeError("no_such_variable", f"There is no variable {name!r}.")
        return self.contents[name]

    def _cell(self, cell_id: str) -> Cell:
        for cell in self.cells.values():
            if cell_id in {cell.cell_id, cell.notebook_cell_id}:
                return cell
        raise BridgeError("no_such_cell", f"The kernel has no cell {cell_id!r}.")

    def _outcome(self, run_id: str) -> RunOutcome:
        report = self._reports.get(run_id)
        ran = {run.cell_id for run in report.cells} if report else set()
        return RunOutcome(report, tuple(cell for cell in self.cells.values() if cell.cell_id in ran))

    # What runs

    def _work(self) -> None:
        while self._queue and self._running is None:
            channels, message = self._queue.pop(0)
            content = message["content"]
            if message["header"]["msg_id"] in self._cancelled:
                channels.reply("shell", message, "execute_reply", {"status": "aborted"})
                channels.publish(message["header"], "status", {"execution_state": "idle"})
                continue
            if message["header"]["msg_type"] == wire.REQUEST:
                self._noted(content)
            else:
                self.asked.append("execute_request")
            execution = self.executions.get(content.get("op") or content["code"], Execution())
            if self.description.agents_paused:
                execution = Execution(refusal=AgentsPausedError("nothing was done"))
            self._begin(channels, message, execution)
            if execution.held:
                self._running = (channels, message, execution)
            else:
                self._end(channels, message, execution)

    def _begin(self, channels: _Channels, message: Json, execution: Execution) -> None:
        parent = message["header"]
        for other in self._channels:
            other.publish(parent, "status", {"execution_state": "busy"})
            if parent["msg_type"] == "execute_request":
                code = message["content"]["code"]
                other.publish(parent, "execute_input", {"code": code, "execution_count": 1})
        for output in execution.outputs:
            kept = {name: value for name, value in output.items() if name != "output_type"}
            channels.publish(parent, output["output_type"], kept)
        if execution.requested or execution.ran:
            run_id, username = parent["msg_id"], parent["username"]
            self._reports[run_id] = RunReport(
                run_id, execution.requested, username, not execution.held, execution.ran, **execution.report
            )

    def _end(self, channels: _Channels, message: Json, execution: Execution) -> None:
        parent = message["header"]
        report = self._reports.get(parent["msg_id"])
        if parent["msg_type"] == "execute_request":
            if self.reactive:
                outcome = wire.encode_result(self._outcome(parent["msg_id"]))
                channels.reply("shell", message, wire.REPLY, outcome)
            channels.reply("shell", message, "execute_reply", _reply_of(execution))
        elif message["content"].get("op") in self.replies:
            reply = self.replies[message["content"]["op"]]
            encode = wire.encode_error if isinstance(reply, BridgeError) else wire.encode_result
            channels.reply("shell", message, wire.REPLY, encode(reply))
        elif message["content"].get("op") == "load_document":
            channels.reply("shell", message, wire.REPLY, self._loaded())
        elif execution.refusal is not None:
            channels.reply("shell", message, wire.REPLY, wire.encode_error(execution.refusal))
        else:
            answer: Any = execution.installed or report or RunReport(parent["msg_id"], (), "", finished=True)
            if execution.edits is not None:
                answer = replace(execution.edits, run=report)
            channels.reply("shell", message, wire.REPLY, wire.encode_result(answer))
        for other in self._channels:
            other.publish(parent, "status", {"execution_state": "idle"})

    def _loaded(self) -> Json:
        if not self.saved:
            return wire.encode_error(BridgeError("no_document", "The kernel knows no notebook."))
        self.cells |= {cell.cell_id: cell for cell in self.saved}
        return wire.encode_result(DocumentLoaded(tuple(cell.cell_id for cell in self.saved), "file"))

    def _interrupt(self) -> None:
        if self._running is not None:
            channels, message, execution = self._running
            stopped = replace(execution, error=CellError("KeyboardInterrupt", ""))
            self._running = (channels, message, stopped)
            self.release()


def _reply_of(execution: Execution) -> Json:
    if execution.refusal is not None:
        return wire.encode_error(execution.refusal)
    if execution.error is not None:
        error = execution.error
        return {"status": "error", "ename": error.ename, "evalue": error.evalue, "traceback": []}
    return {"status": "ok", "execution_count": 1}


class _Channels:
    """A client's end: queues in place of sockets."""

    name = "kernel-fake.json"

    def __init__(self, kernel: FakeKernel, username: str) -> None:
        self.session = f"client {username}"
        self._stands: asyncio.Queue[bool] = asyncio.Queue()
        self._stands.put_nowait(True)  # noqa: FBT003  # what a queue takes has no name
        self._kernel = kernel
        self._username = username
        self._received: dict[str, asyncio.Queue[Message]] = {
            channel: asyncio.Queue() for channel in ("shell", "control", "iopub")
        }
        self._numbers = itertools.count(1)

    @property
    def waiting(self) -> bool:
        """Whether a message has not been taken."""
        return not (self._stands.empty() and all(queue.empty() for queue in self._received.values()))

    def request(self, msg_type: str, content: Json, metadata: Json | None = None) -> Request:
        msg_id = f"{self._username}-{next(self._numbers)}"
        header = {"msg_id": msg_id, "msg_type": msg_type, "username": self._username, OF_CLIENT: True}
        return Request(msg_id, {"header": header, "content": content, "metadata": metadata or {}})

    async def send(self, channel: Channel, request: Request) -> None:
        self._kernel.take(self, channel, request.message)

    async def send_now(self, channel: Channel, request: Request) -> None:
        if not self._kernel.there:
            raise NotConnected
        self._kernel.take(self, channel, request.message)

    async def receive(self, channel: Channel) -> Message:
        return await self._received[channel].get()

    async def connections(self) -> AsyncIterator[bool]:
        while True:
            yield await self._stands.get()

    def breaks(self) -> None:
        """Lose the connection."""
        self._stands.put_nowait(False)  # noqa: FBT003  # what a queue takes has no name

    async def beat(self, bound: float) -> bool:
        del bound
        return self._kernel.beats

    async def is_there(self) -> bool:
        return self._kernel.there

    async def require_there(self, bound: float) -> None:
        del bound

    async def why_unreachable(self) -> None:
        return None

    def close(self) -> None:
        self._kernel._channels.remove(self)

    def publish(self, parent: Json, msg_type: str, content: Json) -> None:
        self._receive("iopub", parent, msg_type, content)

    def reply(self, channel: str, to: Json, msg_type: str, content: Json) -> None:
        self._receive(channel, to["header"], msg_type, content)

    def _receive(self, channel: str, parent: Json, msg_type: str, content: Json) -> None:
        header = {"msg_type": msg_type, "session": self._kernel.session}
        content = self._kernel.damage(msg_type, content)
        self._received[channel].put_nowait(Message.of(header, parent, content))
