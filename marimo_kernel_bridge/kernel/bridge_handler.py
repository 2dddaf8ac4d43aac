"""The kernel's side of the bridge protocol: exactly one reply to each request.

`protocol.messages` defines the requests, `bridge_reads` answers those that only read, and `bridge_requests` receives and
sends the messages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting import ipywidgets as jupyter_widgets
from marimo_kernel_bridge.inspecting import packages
from marimo_kernel_bridge.inspecting.variables import find
from marimo_kernel_bridge.kernel import bridge_reads
from marimo_kernel_bridge.kernel.bridge_reads import BridgeReads
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.documents.kept_edits import of_the_kernel
from marimo_kernel_bridge.kernel.notebook.agent_actions import of_request
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.document_edits import (
    Changes,
    Comparison,
    DocumentContent,
    DocumentEdit,
    Proposal,
)
from marimo_kernel_bridge.protocol.environment import requirements
from marimo_kernel_bridge.protocol.names import agent_name
from marimo_kernel_bridge.protocol.redaction import own_marks
from marimo_kernel_bridge.protocol.view_requests import ViewRequest

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.checkpoints.requests import Checkpoints
    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.editor.editor import NotebookEditor
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession, Outputs
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.viewing.views import KernelViews
    from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, DocumentLoaded, Restored
    from marimo_kernel_bridge.protocol.environment import InstallReport
    from marimo_kernel_bridge.protocol.inspection import OwnMarks
    from marimo_kernel_bridge.protocol.notebook import EditorLink
    from marimo_kernel_bridge.protocol.redaction import Redactor
    from marimo_kernel_bridge.protocol.views import TablePart


_SingleRequest = wire.RunCells | wire.RunStale | wire.SetUiValue


class Scheduler(Protocol):
    """The scheduler of stale cells."""

    async def run_now(self) -> None: ...


class Loader(Protocol):
    """The loader of the runtime."""

    def load(self) -> None: ...

    def prepare_notebook(self) -> None:
        """Load the runtime and read the settings in the notebook's file."""
        ...


class Queue(Protocol):
    """The queue of messages on shell."""

    def cancel(self, request_id: str) -> None:
        """Prevent a queued request from starting. Any thread."""
        ...


class Host(bridge_reads.Host, Protocol):
    """The parts of the kernel that the bridge protocol uses."""

    @property
    def interrupts(self) -> Interrupts: ...

    @property
    def log(self) -> logging.Logger: ...

    @property
    def session(self) -> JupyterSession: ...

    @property
    def scheduler(self) -> Scheduler: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def loader(self) -> Loader: ...

    @property
    def documents(self) -> DocumentRequests: ...

    @property
    def checkpointing(self) -> Checkpoints: ...

    @property
    def editor(self) -> Callable[[], NotebookEditor]: ...

    @property
    def views(self) -> Callable[[], KernelViews]: ...

    def input_from_front_end(self, *, allowed: bool) -> AbstractContextManager[None]:
        """Forward `input` to the front end of the current request, or make it fail."""
        ...

    @property
    def outputs(self) -> Outputs: ...


@dataclass(frozen=True)
class _Sender:
    """The sender of a request, from its header."""

    header: Header

    @property
    def run_id(self) -> str:
        return str(self.header["msg_id"])

    @property
    def name(self) -> str:
        """The name of the agent, empty if there is none."""
        name = self.header.get("username")
        return agent_name(name) if isinstance(name, str) and name else ""

    @property
    def address(self) -> Address:
        """The address of an agent's cells: their outputs go to its request."""
        return Address("agent", self.header, self.header.get("session", ""))


class BridgeHandler:
    """Replies to the requests of the bridge protocol, on shell and on control."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reads = BridgeReads(host)
        self._verifying: set[asyncio.Task[None]] = set()  # asyncio keeps none alive

    async def reply_to(
        self,
        message: dict[str, Any],
        *,
        on_control: bool,
        later: Callable[[wire.Content], None] | None = None,
    ) -> wire.Content | None:
        """Parse a message, and return the content of the reply; None if `later` gets it.

        `on_control`: beside what the main thread runs. `later` is given in the control thread, which has the documents.
        """
        sender, heard = _Sender(message["header"]), self._host.notebook.agents.heard
        redacted, did = True, ""
        try:
            try:
                request = wire.decode_request(message["content"])
                did = of_request(request)
                redacted = request.redacted
                if isinstance(request, wire.DocumentRequest | ViewRequest) and later is not None:
                    answer = partial(self._answer_later, request, sender, later)
                    if isinstance(request, ViewRequest):
                        self._host.views().handle(request, answer)
                    else:
                        self._host.documents.agents.handle(request, answer)
                    return None
                if isinstance(request, wire.ListCheckpoints) and request.verify and later is not None:
                    self._verify(partial(self._answer_later, request, sender, later))
                    return None
                result = await self._answer(request, sender, on_control=on_control)
                acted = _did_something(result)
                ran = isinstance(request, wire.ShellRequest) and acted
                heard(sender.name, ran=ran, did=did if acted else "")
                content = wire.encode_result(result)
            except BridgeError as refusal:
                heard(sender.name, refused=True, did=did)
                content = wire.encode_error(refusal)
            if sender.name:
                self._host.documents.shared.refresh_soon()
            return self._without_secrets(content) if redacted else content
        except Exception:
            self._host.log.exception("A bridge request failed")
            return wire.encode_error(
                BridgeError("bad_request", "The kernel failed to answer; its log says why.", "This is a bug.")
            )

    def _answer_later(
        self,
        request: wire.DocumentRequest | ViewRequest | wire.ListCheckpoints,
        sender: _Sender,
        later: Callable[[wire.Content], None],
        result: wire.Result | BridgeError,
    ) -> None:
        refused = isinstance(result, BridgeError)
        ran = isinstance(request, wire.DocumentRequest) and _did_something(result)
        did = of_request(request) if refused or _did_something(result) else ""
        self._host.notebook.agents.heard(sender.name, ran=ran, refused=refused, did=did)
        content = wire.encode_error(result) if isinstance(result, BridgeError) else wire.encode_result(result)
        self._host.documents.shared.refresh_soon()
        later(self._without_secrets(content) if request.redacted else content)

    def _verify(self, answer: Callable[[wire.Result | BridgeError], None]) -> None:
        """Verify the checkpoints in a thread: gigabytes are read, and the control thread answers others meanwhile."""

        async def verify() -> None:
            try:
                result = await asyncio.to_thread(self._host.checkpointing.list, verify=True)
            except BridgeError as refusal:
                answer(refusal)
            except Exception as error:  # there is always a reply
                self._host.log.exception("The checkpoints could not be verified")
                answer(
                    BridgeError(
                        "bad_request", f"They cannot be read: {type(error).__name__}.", "This is a bug."
                    )
                )
            else:
                answer(result)

        self._verifying.add(task := asyncio.ensure_future(verify()))
        task.add_done_callback(self._verifying.discard)

    def outcome_of(self, run_id: str) -> wire.Content:
        """Return the content of the reply to a `ReadOutcome` of a run."""
        return self._without_secrets(wire.encode_result(self._reads.outcome(run_id)))

    async def _answer(self, request: wire.Request, sender: _Sender, *, on_control: bool) -> wire.Result:
        if not isinstance(request, wire.ShellRequest):
            return self._answer_at_once(request, on_control=on_control)
        if on_control:
            raise BridgeError("bad_request", "Requests that run code go on the shell channel.")
        if not (isinstance(request, wire.EditCells) and request.dry_run):  # without a sample it only reads
            self._host.notebook.agents.require_not_paused()
        self._host.loader.load()
        match request:
            case wire.LoadDocument() | wire.OpenEditor():
                return await self._open(request, sender)
            case wire.SaveCheckpoint() | wire.RestoreCheckpoint():
                return await self._checkpoint(request, sender)
            case wire.EditCells():
                return await self._edit_together(request, sender)
            case wire.InstallPackages():
                return self._install(request, sender)
            case _:
                with self._host.input_from_front_end(allowed=False):
                    await self._run(request, sender)
                await self._host.scheduler.run_now()
                return self._host.notebook.runs.report(sender.run_id)

    def _answer_at_once(self, request: wire.ControlRequest, *, on_control: bool) -> wire.Result:
        match request:
            case wire.CancelRun(run_id=run_id):
                self._host.queue.cancel(run_id)
                return None
            case wire.ReadTable():
                return self._part(request, on_control=on_control)
            case wire.ListCheckpoints(verify=verify):
                return self._host.checkpointing.list(verify=verify)
            case wire.DeleteCheckpoint(name=name):
                self._host.notebook.agents.require_not_paused()
                self._host.checkpointing.delete(name)
                return None
            case wire.ReadOwnMarks():
                return self._own_marks(request, on_control=on_control)
            case _ if isinstance(request, wire.DocumentRequest | ViewRequest):
                raise BridgeError(
                    "bad_request", "Requests about documents and views go on the control channel."
                )
            case _:
                return self._reads.answer(request, on_control=on_control, redactor=self._redactor)

    def _part(self, request: wire.ReadTable, *, on_control: bool) -> TablePart:
        if on_control:
            raise BridgeError(
                "kernel_busy", "Rows of a table are read between runs.", "Ask again when the kernel is idle."
            )
        from marimo_kernel_bridge.kernel.viewing.parts import read_part  # noqa: PLC0415  # most notebooks need none

        shell = self._host.shell
        return read_part(find(shell.user_ns, request.name, shell.user_ns_hidden), request)

    def _own_marks(self, request: wire.ReadOwnMarks, *, on_control: bool) -> OwnMarks:
        cells = self._host.notebook.view.snapshot()
        texts = [(tuple(filter(None, (cell.cell_id, cell.notebook_cell_id))), cell.code) for cell in cells]
        if on_control:  # whose thread has the documents
            documents = self._host.documents.shared.open.all()
            texts += [((cell.key,), cell.code) for one in documents for cell in one.cells.values()]
        return own_marks(texts, self._redactor.text if request.redacted else str)

    @property
    def _redactor(self) -> Redactor:
        return self._host.session.for_agents.redactor()

    def _without_secrets(self, content: wire.Content) -> wire.Content:
        redacted: wire.Content = self._redactor.data(content)
        return redacted

    async def _run(self, request: _SingleRequest, sender: _Sender) -> None:
        notebook, address = self._host.notebook, sender.address
        match request:
            case wire.RunCells(cell_ids=cell_ids, client=client):
                await notebook.edits.run_cells(cell_ids, client, address)
            case wire.RunStale(client=client):
                notebook.edits.run_stale(client, address)
            case wire.SetUiValue(ui_element=target, value=value, client=client):
                widget = jupyter_widgets.find(target, self._host.shell.user_ns)
                if widget is None:
                    notebook.edits.set_ui_value(target, value, client, address)
                else:
                    self._set_widget(widget, request, sender)

    async def _open(
        self, request: wire.LoadDocument | wire.OpenEditor, sender: _Sender
    ) -> DocumentLoaded | EditorLink:
        self._host.loader.prepare_notebook()
        if isinstance(request, wire.OpenEditor):
            self._host.notebook.runs.open(sender.address, request.client, ())
            link = self._host.editor().open(app=request.app)
            await self._host.scheduler.run_now()
            return link
        from marimo_kernel_bridge.kernel.documents.loading import load_document  # noqa: PLC0415  # once in a kernel's life

        loaded = load_document(self._host, sender.header)
        await self._host.scheduler.run_now()
        return loaded

    async def _checkpoint(
        self, request: wire.SaveCheckpoint | wire.RestoreCheckpoint, sender: _Sender
    ) -> CheckpointSaved | Restored:
        checkpoints = self._host.checkpointing
        if isinstance(request, wire.SaveCheckpoint):
            try:
                with self._host.interrupts.body():  # values may run code when they are pickled
                    return checkpoints.save(request.name)
            except KeyboardInterrupt:
                raise BridgeError("bad_request", "Interrupted: nothing was saved.") from None
        self._host.notebook.runs.open(sender.address, request.client, ())
        with self._host.input_from_front_end(allowed=False):
            restored = await checkpoints.restore(request.name, sender.address, preview=request.preview)
        await self._host.scheduler.run_now()
        return restored

    async def _edit_together(self, request: wire.EditCells, sender: _Sender) -> EditReport:
        notebook, address, kept = self._host.notebook, sender.address, self._host.documents.kept
        changes = of_the_kernel(request.changes)
        if request.changes and not changes:
            if not request.dry_run:
                kept.applied(kept.about_to_apply(request.changes, request.client), ())
            return EditReport(not request.dry_run)
        batch = notebook.edits.plan(changes, address, to_apply=not request.dry_run)
        if request.dry_run or not batch.fits:
            return EditReport(False, batch.problems, batch.would_run)  # noqa: FBT003  # the field is called so

        edit = kept.about_to_apply(request.changes, request.client)
        with self._host.input_from_front_end(allowed=False):
            added = await notebook.edits.apply(batch, request.client, address, run=request.run)
        kept.applied(edit, added)
        await self._host.scheduler.run_now()
        report = notebook.runs.report(sender.run_id)
        return EditReport(True, batch.problems, batch.would_run, added, report)  # noqa: FBT003

    def _set_widget(self, widget: object, request: wire.SetUiValue, sender: _Sender) -> None:
        """Set an ipywidget. Exceptions of its callbacks are shown as output, as those of user code."""
        notebook, shell = self._host.notebook, self._host.shell
        run = notebook.runs.open(sender.address, request.client, ())
        try:
            with self._host.interrupts.body():
                jupyter_widgets.set_value(widget, request.value)
        except BridgeError:
            raise
        except (Exception, KeyboardInterrupt):  # noqa: BLE001  # user code may raise anything
            shell.showtraceback()  # as ipywidgets does with what most callbacks raise
        run.not_run = tuple(
            cell.cell_id
            for cell in notebook.view.snapshot()
            if request.ui_element in cell.uses and cell.status != "superseded"
        )

    def _install(self, request: wire.InstallPackages, sender: _Sender) -> InstallReport:
        wanted = requirements(request.requirements)
        sandbox = None if self._host.bounds is None else self._host.bounds.sandbox
        if sandbox is not None and not sandbox.packages:
            raise BridgeError(
                "sandbox_unavailable",
                "Packages cannot be installed in this kernel's sandbox; nothing was installed.",
                "A kernel started with sandbox packages=yes has a place for them; the person may have to allow that.",
            )
        show = partial(self._host.outputs.show_text, parent=sender.header)
        with self._host.interrupts.body():
            return packages.install(wanted, self._host.notebook.view.snapshot, show, request.settings)


def _did_something(result: wire.Result | BridgeError) -> bool:
    """Return whether a request ran or changed cells: False for a dry run, a refused batch and a read of a document."""
    match result:
        case EditReport(applied=applied):
            return applied
        case DocumentEdit(outcome=outcome, op_id=op_id):
            return outcome == "applied" and op_id is not None
        case BridgeError() | DocumentContent() | Proposal() | Comparison() | Changes():
            return False
        case _:
            return True
