"""The requests of the bridge protocol that a notebook in marimo's editor answers, and the refusal of the others.

marimo's editor is the front end whose document is open: what agents change appears there, under marimo's rules.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from marimo_kernel_bridge.client.marimo_editor import scratch
from marimo_kernel_bridge.client.marimo_editor.cells import NotebookView
from marimo_kernel_bridge.client.marimo_editor.edits import edit_of, inverse_of, stale
from marimo_kernel_bridge.client.marimo_editor.host import HostConflict
from marimo_kernel_bridge.client.marimo_editor.records import EDIT_RESPONSE
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.cell_search import search
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ExpectedRun
from marimo_kernel_bridge.protocol.document_edits import (
    Comparison,
    DocumentContent,
    DocumentEdit,
    NotebookCell,
    OpenDocument,
)
from marimo_kernel_bridge.protocol.environment import Environment
from marimo_kernel_bridge.protocol.inspection import Redacted, RunOutcome, Variable, VariableContent
from marimo_kernel_bridge.protocol.names import MARIMO_EDITOR
from marimo_kernel_bridge.protocol.notebook import KernelDescription, Outline
from marimo_kernel_bridge.protocol.redaction import own_marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.marimo_editor.edits import Edit
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook
    from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
    from marimo_kernel_bridge.client.marimo_editor.records import EditResponse
    from marimo_kernel_bridge.client.marimo_editor.runs import Runs
    from marimo_kernel_bridge.protocol.messages import Request, Result

FRONT_END: Final = MARIMO_EDITOR
_MOST_UNDONE: Final = 50

_WHY: Final = {
    wire.SetUiValue: (
        "Setting UI elements",
        (
            "Ask the person to, or run with execute_code(scratch=true): `import marimo._code_mode as cm`, then "
            "`async with cm.get_context() as ctx: ctx.set_ui_value(ELEMENT, VALUE)`."
        ),
    ),
    wire.ListUiElements: ("A list of UI elements", "list_variables marks them."),
    wire.CompleteCode: ("Completing code", "list_variables shows the names."),
    wire.InspectCode: (
        "Looking up code",
        "read_variable shows values; execute_code(scratch=true) calls help().",
    ),
    wire.InstallPackages: ("Installing packages", "Ask the person to, in marimo's panel of packages."),
    wire.EditCells: (
        "A preview of edits",
        "edit_cells(run=false) changes the text only; list_errors says what marimo thinks of it.",
    ),
    wire.ReadTable: ("Reading tables", "execute_code(scratch=true) runs code that prints what is needed."),
    wire.SaveDocument: ("Renaming a notebook", "Ask the person to."),
    wire.ReadChanges: (
        "A history of changes",
        "list_cells has versions, which grow with each change of a cell.",
    ),
    wire.LoadDocument: ("Loading cells", "marimo knows all cells of its notebook."),
    wire.ReadProposal: ("Proposing changes", "Ask the person, or for the permission `edit`."),
    wire.WithdrawProposal: ("Proposing changes", "Ask the person, or for the permission `edit`."),
    wire.SaveCheckpoint: ("Saving a checkpoint", "Only this package's kernels can."),
    wire.RestoreCheckpoint: ("Restoring a checkpoint", "Only this package's kernels can."),
    wire.DeleteCheckpoint: ("Deleting a checkpoint", "Only this package's kernels have any."),
}


class Answers:
    """The answers to requests about one notebook."""

    def __init__(self, notebook: MarimoNotebook, username: str, runs: Runs) -> None:
        self._notebook = notebook
        self._username = username
        self._runs = runs
        self._undo_of: dict[str, tuple[Edit, bool]] = {}
        """By operation, what takes it back, and whether it ran what it changed."""

    async def answer(self, mirror: Mirror, request: Request) -> Result:  # noqa: C901, PLR0911, PLR0912  # one for each request
        """Return the result of a request that runs no cells itself. Raises `BridgeError`, `HostConflict`."""
        view = NotebookView(mirror)
        match request:
            case wire.Describe():
                return self._description(mirror, view)
            case wire.ListCells():
                return list(view.cells)
            case wire.ReadOutline(offset=offset, limit=limit):
                return Outline(view.cells[offset : offset + limit], len(view.cells))
            case wire.ReadCell(cell_id=cell_id):
                if (cell := view.cell(cell_id)) is None:
                    raise BridgeError(
                        "no_such_cell", f"There is no cell {cell_id!r}.", "list_cells shows the ids."
                    )
                return view.with_outputs(cell)
            case wire.ReadOutcome(run_id=run_id) | wire.ReadRun(run_id=run_id):
                return self._outcome(view, run_id)
            case wire.SearchCells(query=query, limit=limit):
                shown = [view.with_outputs(cell) for cell in view.cells]
                return await asyncio.to_thread(search, shown, query, limit)
            case wire.ListVariables():
                return await self._variables(view)
            case wire.InspectVariable():
                return await self._variable(view, request)
            case wire.PreviewRun(cell_ids=cell_ids):
                known = {cell.cell_id: cell.duration for cell in view.cells}
                return [ExpectedRun(cell_id, known[cell_id]) for cell_id in view.below(cell_ids)]
            case wire.ReadObservations() | wire.ReadHistory() | wire.ListCheckpoints():
                return []  # marimo observes nothing, and says nothing of runs that are over
            case wire.Redact(value=value):
                return Redacted(value)  # which secrets marimo's kernel knows, nobody says
            case wire.ReadOwnMarks():
                return own_marks((((cell.cell_id,), cell.code) for cell in view.cells), str)
            case wire.ReadEnvironment():
                return Environment("", "", "system", None)
            case wire.CancelRun(run_id=run_id):
                self._runs.cancel(run_id)
                return None
            case wire.ReadDocument():
                return self._document(mirror, view)
            case wire.EditDocument():
                return await self._edit(mirror, request)
            case wire.SaveDocument(name=None):
                await self._notebook.host.send(
                    "POST", f"notebooks/{self._notebook.notebook_id}/save", {}, client=self._username
                )
                return DocumentEdit("applied", None, FRONT_END, message="marimo has saved the file.")
            case wire.CompareDocument():
                return self._comparison(mirror, view)
            case wire.SyncDocument():
                if view.stale:
                    return self._applied(tuple(view.stale), ())
                return DocumentEdit("applied", None, FRONT_END, message="nothing was to do.")
            case wire.UndoEdit(op_id=op_id):
                return await self._undo(mirror, op_id)
            case _:
                raise refusal(request)

    def _description(self, mirror: Mirror, view: NotebookView) -> KernelDescription:
        runtime, active = mirror.runtime, mirror.active_run
        running = next((cell for cell in view.cells if cell.status == "running"), None)
        since = None if active is None or active.started_at is None else active.started_at.timestamp()
        return KernelDescription(
            protocol=wire.PROTOCOL,
            bridge_version="",
            marimo_version=None if runtime is None else runtime.marimo_version,
            python_version="",
            pid=self._notebook.host.pid,
            cwd="",
            notebook=self._notebook.path,
            mode="autorun",  # the API does not say it; `RunReport.still_stale` shows it
            started_at=0.0,
            busy=active is not None,
            running_cell=None if running is None else running.cell_id,
            running_since=since,
            queued=len(self._runs.waiting),
            settling=False,
            cells=len(view.cells),
            stale=tuple(view.stale),
        )

    def _outcome(self, view: NotebookView, run_id: str) -> RunOutcome:
        report = self._runs.report(run_id)
        if report is None or not (report.requested or report.cells):
            return RunOutcome(None, ())
        ids = {*report.requested, *(run.cell_id for run in report.cells)}
        return RunOutcome(report, tuple(cell for cell in view.cells if cell.cell_id in ids))

    def _document(self, mirror: Mirror, view: NotebookView) -> DocumentContent:
        cells = tuple(
            NotebookCell(
                cell.cell_id,
                cell.cell_id,
                "code",
                cell.code,
                cell.version,
                cell.edited_by,
                _ran(mirror, cell.cell_id),
                cell.status,
                cell.stale,
            )
            for cell in view.cells
        )
        document, path = mirror.document, self._notebook.path or self._notebook.notebook_id
        dirty = document is not None and document.etag != document.saved_etag
        shown = OpenDocument(
            FRONT_END,
            FRONT_END,
            path,
            dirty,
            focused=True,
            editing=None,
            writable=True,
            heard_at=time.time(),
            cells=len(cells),
        )
        return DocumentContent(shown, (shown,), cells, (), 0 if document is None else document.version)

    def _comparison(self, mirror: Mirror, view: NotebookView) -> Comparison:
        ran = {cell.cell_id: _ran(mirror, cell.cell_id) for cell in view.cells}
        failed = [cell.cell_id for cell in view.cells if cell.status not in {"ok", "new"}]
        stale = tuple(cell_id for cell_id in view.stale if ran[cell_id] == "as_shown")
        fresh = [cell_id for cell_id in ran if cell_id not in view.stale and cell_id not in failed]
        known = {cell.cell_id: cell.duration for cell in view.cells}
        return Comparison(
            "document",
            changed=tuple(cell_id for cell_id in view.stale if ran[cell_id] == "changed"),
            never_run=tuple(cell_id for cell_id in view.stale if ran[cell_id] == "never"),
            stale=stale,
            failed=tuple(failed),
            in_step=tuple(fresh),
            kernel_only=(),
            to_run=tuple(view.stale),
            would_run=tuple(ExpectedRun(cell_id, known[cell_id]) for cell_id in view.below(list(view.stale))),
        )

    async def _edit(self, mirror: Mirror, request: wire.EditDocument) -> DocumentEdit:
        if request.propose:
            raise refusal(wire.ReadProposal(op_id=""))
        if request.dry_run:
            raise refusal(wire.EditCells(changes=[]))
        edit = edit_of(mirror, request.changes)
        try:
            applied = await self._send(edit)
        except HostConflict as conflict:
            if conflict.problem.edit is not None and conflict.problem.edit.cell is not None:
                raise stale(conflict.problem.edit.cell) from None
            raise BridgeError(
                "stale_version",
                "The notebook has changed meanwhile; nothing was changed.",
                "Read it again: list_cells.",
            ) from None
        return self._done(edit, applied, run=request.run)

    async def _undo(self, mirror: Mirror, op_id: str) -> DocumentEdit:
        if op_id not in self._undo_of:
            raise BridgeError("no_such_edit", f"{op_id!r} is no change of this client, or was undone.")
        edit, run = self._undo_of[op_id]
        try:
            applied = await self._send(edit)
        except HostConflict:
            raise BridgeError(
                "document_changed",
                "The notebook has changed since, there or in the order of its cells; nothing was done.",
                "Read the cells again, and change them with edit_cells.",
            ) from None
        del self._undo_of[op_id]
        return self._done(replace(edit, before=tuple(mirror.cells)), applied, run=run)

    def _done(self, edit: Edit, applied: EditResponse, *, run: bool) -> DocumentEdit:
        """Return the answer for an edit that marimo has made, run what it wrote, and note what takes it back."""
        done = self._applied(edit.written if run else (), edit.added)
        self._undo_of[str(done.op_id)] = inverse_of(edit, applied), run
        while len(self._undo_of) > _MOST_UNDONE:
            del self._undo_of[next(iter(self._undo_of))]
        return done

    async def _send(self, edit: Edit) -> EditResponse:
        """Send an edit, and wait until the stream has told of it."""
        path = f"notebooks/{self._notebook.notebook_id}/edits"
        answer = await self._notebook.host.send("POST", path, edit.body, client=self._username)
        applied: EditResponse = EDIT_RESPONSE.decode(answer)
        await self._runs.known(applied.document.version)
        return applied

    def _applied(self, cell_ids: Sequence[str], added: tuple[str, ...]) -> DocumentEdit:
        """Return the answer for a change that marimo has made, and run cells because of it."""
        runs = (self._runs.later(list(cell_ids)),) if cell_ids else ()
        return DocumentEdit("applied", f"marimo-{secrets.token_hex(4)}", FRONT_END, added, runs)

    async def _variables(self, view: NotebookView) -> list[Variable]:
        found = msgspec.convert(await self._runs.read(scratch.list_variables()), list[Variable])
        definers = _definers(view)
        return [replace(one, defined_by=definers[one.name]) for one in found if one.name in definers]

    async def _variable(self, view: NotebookView, request: wire.InspectVariable) -> VariableContent:
        code = scratch.read_variable(request.name, request.rows, request.offset)
        found = await self._runs.read(code)
        if found is None:
            raise BridgeError(
                "no_such_variable", f"There is no variable {request.name!r}.", "list_variables lists all."
            )
        content = msgspec.convert(found, VariableContent)
        definer = _definers(view).get(request.name)
        return replace(content, variable=replace(content.variable, defined_by=definer))


def refusal(request: Request) -> BridgeError:
    """Return the error for what marimo has no request for, with what to do instead."""
    what, instead = _WHY[type(request)]
    text = f"{what} cannot be had from marimo's own editor; nothing was done."
    return BridgeError("not_offered", text, instead)


def _definers(view: NotebookView) -> dict[str, str]:
    return {name: cell.cell_id for cell in view.cells for name in cell.defines}


def _ran(mirror: Mirror, cell_id: str) -> Literal["as_shown", "changed", "never"]:
    cell, execution = mirror.cell(cell_id), mirror.execution_of(cell_id)
    if execution is None or cell is None:
        return "never"
    return "as_shown" if execution.code_hash == cell.code_hash else "changed"
