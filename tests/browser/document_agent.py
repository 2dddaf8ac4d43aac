"""An agent that changes the document which a person has open: on the kernel's wire contract, without the MCP server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab_agents import WireClient
from lab_server import wait_for

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, Change, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.document_edits import (
    Changes,
    Comparison,
    DocumentContent,
    DocumentEdit,
    NotebookCell,
    Proposal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_page import LabPage

NAME = "claude"


class DocumentAgent(WireClient):
    """Names cells by their places in the document as it is now."""

    def attached(self, views: int = 1) -> DocumentAgent:
        """Wait until pages have attached."""
        wait_for(lambda: len(self.document().documents) >= views, "the page attaches")
        return self

    def document(self) -> DocumentContent:
        return self.ask(wire.ReadDocument(), DocumentContent)

    def cells(self) -> tuple[NotebookCell, ...]:
        return self.document().cells

    def change(self, index: int, code: str, seen: NotebookCell | None = None, **options: Any) -> DocumentEdit:
        """Change a cell as it is now, or as it was `seen`."""
        cell = seen or self.cells()[index]
        return self.edit([ChangeCell(cell_id=cell.key, version=cell.version, code=code)], **options)

    def add(self, after: int | None, *codes: str, **options: Any) -> DocumentEdit:
        """Add cells below one; None: at the top."""
        anchor = None if after is None else self.cells()[after].key
        cell_type = options.pop("type", "code")
        changes: list[Change] = []
        for number, code in enumerate(codes):
            place = f"new{number}" if number else anchor
            changes.append(AddCell(code=code, after=place, first=place is None, type=cell_type))
        return self.edit(changes, **options)

    def delete(self, index: int, **options: Any) -> DocumentEdit:
        cell = self.cells()[index]
        return self.edit([DeleteCell(cell_id=cell.key, version=cell.version)], **options)

    def move(self, index: int, after: int | None) -> DocumentEdit:
        cells = self.cells()
        place = None if after is None else cells[after].key
        return self.edit([MoveCell(cell_id=cells[index].key, version=cells[index].version, after=place)])

    def edit(self, changes: list[Change], **options: Any) -> DocumentEdit:
        return self.ask(wire.EditDocument(changes=changes, client=NAME, **options), DocumentEdit)

    def save(self, name: str | None = None) -> DocumentEdit:
        return self.ask(wire.SaveDocument(name=name, client=NAME), DocumentEdit)

    def proposal(self, op_id: str) -> Proposal:
        return self.ask(wire.ReadProposal(op_id=op_id), Proposal)

    def compare(self) -> Comparison:
        return self.ask(wire.CompareDocument(), Comparison)

    def changes(self) -> Changes:
        return self.ask(wire.ReadChanges(client=NAME), Changes)


@contextmanager
def document_agent(page: LabPage) -> Iterator[DocumentAgent]:
    agent = DocumentAgent(page.connection_file, NAME)
    try:
        yield agent.attached()
    finally:
        agent.close()
