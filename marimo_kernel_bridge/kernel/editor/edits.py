"""What a person changes and runs in marimo's editor, as changes of the notebook.

A change of a text, a place or the existence of a cell goes to the document that the person has open in Jupyter, whose front end
then runs the cell as for an agent's change; without a document, or if the text there has changed meanwhile, to the kernel's own cells.
Main thread only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.open_documents import moved
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from marimo_kernel_bridge.kernel.cells import Address, Entry
    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.changes import Change, GraphProblem
    from marimo_kernel_bridge.runtime.editor.interface import RunCells

CLIENT: Final = "marimo"
"""The author of what a person changes and runs in marimo's editor."""


class Host(Protocol):
    """The parts of the kernel that edits use."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def documents(self) -> DocumentRequests: ...


class EditorEdits:
    """Carries out what a person does in marimo's editor."""

    def __init__(
        self,
        host: Host,
        request: Callable[[], AbstractAsyncContextManager[Address]],
        refused: Callable[[str, Sequence[GraphProblem]], None],
    ) -> None:
        """`request` is the context of a change or a run between the requests of front ends; `refused` tells why a cell is not taken."""
        self._host = host
        self._request = request
        self._refused = refused

    async def run(self, command: RunCells) -> None:
        """Run cells: changed and new ones with their new text, the others as they are."""
        cells = self._host.notebook.cells
        changes: list[Change] = []
        as_they_are: list[str] = []
        new: list[str] = []
        for cell_id, code in command.cells:
            entry = self._find(cell_id)
            if entry is None:
                after = self._before(cell_id, command.order, new)
                new.append(cell_id)
                changes.append(AddCell(code=code, after=after, first=after is None))
            elif entry.cell.code != code:
                changes.append(ChangeCell(cell_id=cell_id, version=entry.cell.version, code=code))
            else:
                as_they_are.append(cell_id)
        if changes:
            await self.change(changes, new)
        if as_they_are:
            async with self._request() as address:
                known = [cell_id for cell_id in as_they_are if cell_id in cells]
                await self._host.notebook.edits.run_cells(known, CLIENT, address)

    async def delete(self, cell_id: str) -> None:
        """Remove a cell, if it is still there."""
        entry = self._find(cell_id)
        if entry is not None:
            await self.change([DeleteCell(cell_id=cell_id, version=entry.cell.version)])

    async def arrange(self, order: Sequence[str]) -> None:
        """Put the cells into an order; those that never ran have no place in the kernel."""
        cells = self._host.notebook.cells
        present = [cell_id for cell_id in cells.ids() if self._find(cell_id) is not None]
        wanted = [cell_id for cell_id in order if cell_id in set(present)]
        changes = [
            MoveCell(
                cell_id=cell_id,
                version=cells[cell_id].cell.version,
                after=wanted[place - 1] if (place := wanted.index(cell_id)) else None,
            )
            for cell_id in moved(present, wanted)
        ]
        if changes:
            await self.change(changes)

    async def change(self, changes: Sequence[Change], new: Sequence[str] = ()) -> None:
        """Apply changes, and run the cells with a new text. `new` are the ids of the new cells."""
        if not await self._in_document(changes, new):
            async with self._request() as address:
                await self._in_kernel(changes, new, address)

    def _find(self, cell_id: str) -> Entry | None:
        entry = self._host.notebook.cells.get(cell_id)
        return None if entry is None or entry.deleted else entry

    def _before(self, cell_id: str, order: Sequence[str], new: Sequence[str]) -> str | None:
        """Return the cell above one that is new, as a batch names it."""
        above = order[: order.index(cell_id)] if cell_id in order else order
        for other in reversed(above):
            if other in new:
                return f"new{new.index(other) + 1}"
            if self._find(other) is not None:
                return other
        return None

    # -- the open document ----------------------------------------------------------------------------------------

    async def _in_document(self, changes: Sequence[Change], new: Sequence[str]) -> bool:
        """Have the front end make changes in its document. Return whether it did."""
        documents = self._host.documents
        if not documents.shared.open:
            return False
        cells = self._host.notebook.cells
        if new:  # so that they keep their ids: the front end's first request for a text takes its cell over
            async with self._request() as address:
                codes = [change.code for change in changes if isinstance(change, AddCell)]
                for cell_id, code in zip(new, codes, strict=True):
                    cells.add_beside(None, code, CLIENT, address, cell_id=cell_id)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bool] = loop.create_future()

        def answer(applied: bool) -> None:  # noqa: FBT001  # the only argument
            loop.call_soon_threadsafe(answered.set_result, applied)

        documents.shared.timers.add_callback(lambda: documents.others.carry(changes, CLIENT, answer))
        applied = await answered
        if not applied:
            for cell_id in new:
                if cell_id in cells:
                    cells.forget(cell_id)
        return applied

    # -- the kernel's own cells -----------------------------------------------------------------------------------

    async def _in_kernel(self, changes: Sequence[Change], new: Sequence[str], address: Address) -> None:
        try:
            problems = await self._apply(changes, new, address)
        except BridgeError:  # a cell is gone, or has another text by now
            return
        if not problems:
            return
        ids = [*new]
        for change in changes:
            cell_id = ids.pop(0) if isinstance(change, AddCell) else change.cell_id
            if len(changes) == 1:
                self._refused(cell_id, problems)
            else:  # what does not fit shall not keep the others from running
                alone = [cell_id] if isinstance(change, AddCell) else []
                await self._in_kernel([change], alone, address)

    async def _apply(
        self, changes: Sequence[Change], new: Sequence[str], address: Address
    ) -> tuple[GraphProblem, ...]:
        """Apply changes, unless the graph refuses them. Return why it does."""
        edits, kept = self._host.notebook.edits, self._host.documents.kept
        batch = edits.plan(changes, address, to_apply=True)
        if not batch.fits:
            return batch.problems
        edit = kept.about_to_apply(changes, CLIENT)
        added = await edits.apply(batch, CLIENT, address, run=True, ids=new)
        kept.applied(edit, added)
        return ()
