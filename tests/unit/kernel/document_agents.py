"""An agent that changes the document that a person has open, in memory."""

from typing import Any, TypeVar

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    Change,
    ChangeCell,
    DeleteCell,
    EditReport,
    MoveCell,
)
from marimo_kernel_bridge.protocol.document_edits import (
    Changes,
    Comparison,
    DocumentContent,
    DocumentEdit,
    NotebookCell,
    Proposal,
)
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.front_end_document import Buffer, FrontEndDocument, TextCell
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

_T = TypeVar("_T")


def two_windows(connect: Connect, *, shared: bool) -> tuple[FrontEndDocument, FrontEndDocument]:
    """Return the documents of two windows of one file, `shared` by real-time collaboration or not."""
    cells = {"a": "x = 1", "b": "x"}
    if not shared:
        return connect("lab").open(cells), connect("lab").open(cells)
    buffer = Buffer([TextCell(key, "code", code) for key, code in cells.items()])
    first = connect("lab").open(buffer, shared_id="room")
    return first, connect("lab").open(buffer, shared_id="room")


class Agent:
    """An agent's client on a kernel."""

    def __init__(self, front_end: FrontEnd, name: str = "claude") -> None:
        self.front_end = front_end
        self.name = name
        front_end.session.username = name

    def ask(self, request: wire.Request, kind: type[_T], channel: str = "control") -> _T:
        return wire.decode_reply(self.front_end.ask(request, channel), kind)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, **fields: Any) -> DocumentContent:
        return self.ask(wire.ReadDocument(**fields), DocumentContent)

    def cells(self) -> dict[str, NotebookCell]:
        return {cell.key: cell for cell in self.read().cells}

    def compare(self) -> Comparison:
        return self.ask(wire.CompareDocument(), Comparison)

    def changes(self, after: int | None = None) -> Changes:
        return self.ask(wire.ReadChanges(after=after, client=self.name), Changes)

    def report(self, run_id: str) -> RunReport:
        return self.ask(wire.ReadRun(run_id=run_id), RunReport)

    def finished(self, edit: DocumentEdit) -> list[RunReport]:
        """Wait until the runs of a change are over."""

        def over() -> bool:
            return all(
                self.front_end.ask(wire.ReadRun(run_id=run_id))["status"] == "ok" for run_id in edit.runs
            )

        assert self.front_end.kernel.run_until(over)
        assert self.front_end.kernel.run_until(lambda: all(self.report(one).finished for one in edit.runs))
        return [self.report(run_id) for run_id in edit.runs]

    # -- changing --------------------------------------------------------------------------------------------------

    def edit(self, *changes: Change, **fields: Any) -> DocumentEdit:
        request = wire.EditDocument(changes=list(changes), client=self.name, **fields)
        return self.ask(request, DocumentEdit)

    def change(self, key: str, code: str, version: int | None = None, **fields: Any) -> DocumentEdit:
        """Change a cell, as it is now or as it was at a version."""
        version = self.cells()[key].version if version is None else version
        return self.edit(ChangeCell(cell_id=key, version=version, code=code), **fields)

    def add(self, code: str, after: str | None = None, **fields: Any) -> DocumentEdit:
        return self.edit(AddCell(code=code, after=after), **fields)

    def delete(self, key: str, **fields: Any) -> DocumentEdit:
        return self.edit(DeleteCell(cell_id=key, version=self.cells()[key].version), **fields)

    def move(self, key: str, after: str | None, **fields: Any) -> DocumentEdit:
        return self.edit(MoveCell(cell_id=key, version=self.cells()[key].version, after=after), **fields)

    def propose(self, *changes: Change, note: str = "") -> DocumentEdit:
        return self.edit(*changes, propose=True, note=note)

    def proposal(self, op_id: str, wait: float = 0.0) -> Proposal:
        return self.ask(wire.ReadProposal(op_id=op_id, wait=wait), Proposal)

    def withdraw(self, op_id: str) -> Proposal:
        return self.ask(wire.WithdrawProposal(op_id=op_id), Proposal)

    def sync(self) -> DocumentEdit:
        return self.ask(wire.SyncDocument(client=self.name), DocumentEdit)

    def undo(self, op_id: str) -> DocumentEdit:
        return self.ask(wire.UndoEdit(op_id=op_id, client=self.name), DocumentEdit)

    def save(self, name: str | None = None) -> DocumentEdit:
        return self.ask(wire.SaveDocument(name=name, client=self.name), DocumentEdit)

    def edit_the_kernel(self, *changes: Change, **fields: Any) -> EditReport:
        """Change the kernel's own cells, as where no document is open."""
        request = wire.EditCells(changes=list(changes), client=self.name, **fields)
        return self.ask(request, EditReport, "shell")
