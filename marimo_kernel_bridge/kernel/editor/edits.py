"""What a person changes and runs in marimo's editor, as changes of the notebook.

A change of a text, a place, the settings or the existence of a cell goes to the document that the person has open in Jupyter, whose front end
then runs the cell as for an agent's change; without a document, or if the text there has changed meanwhile, to the kernel's own cells.
One change after the other, each of what the one before has left: else the older one of two that are under way may win. Main thread only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.open_documents import moved
from marimo_kernel_bridge.kernel.editor.markdown import markdown_of
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, GraphProblem, MoveCell
from marimo_kernel_bridge.protocol.document import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import TypeAlias

    from marimo_kernel_bridge.kernel.cells import Address, Entry
    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.documents.open_documents import ShownCell
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.document import CellSettings
    from marimo_kernel_bridge.runtime.editor.interface import ChangeMarkdown, RunCells

    Changing: TypeAlias = Callable[[Sequence[Change], Sequence[str]], Awaitable[bool]]

CLIENT: Final = "marimo"
"""The author of what a person changes and runs in marimo's editor."""

_KEPT_MARKDOWN: Final = GraphProblem(
    "syntax",
    "This text is not in the notebook: Jupyter's page has another one here by now, which it keeps, or does not answer.",
    (),
)


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
        self._in_turn = asyncio.Lock()
        self._markdown: dict[str, ChangeMarkdown] = {}  # the newest text of each cell that waits for its turn

    async def run(self, command: RunCells) -> None:
        """Run cells: changed and new ones with their new text, the others as they are."""
        async with self._in_turn:
            as_they_are = await self._change_and_run(command)
        if as_they_are:
            async with self._request() as address:
                known = [cell_id for cell_id in as_they_are if cell_id in self._host.notebook.cells]
                await self._host.notebook.edits.run_cells(known, CLIENT, address)

    async def _change_and_run(self, command: RunCells) -> list[str]:
        """Run the cells with a new text. Return the others."""
        changes: list[Change] = []
        as_they_are: list[str] = []
        new: list[str] = []
        for cell_id, code in command.cells:
            entry = self._find(cell_id)
            if entry is None:
                after = self._before(cell_id, command.order, new)
                new.append(cell_id)
                changes.append(AddCell(code=code, after=after, first=after is None))
            elif {entry.cell.code, self._text(entry)} != {code}:
                changes.append(ChangeCell(cell_id=cell_id, version=self._version(entry), code=code))
            else:
                as_they_are.append(cell_id)
        if changes:
            await self._change(changes, new)
        return as_they_are

    async def delete(self, cell_id: str) -> None:
        """Remove a cell, if it is still there."""
        async with self._in_turn:
            known = self._known(cell_id)
            if known is not None:
                await self._change([DeleteCell(cell_id=known[0], version=known[1])])

    async def change_markdown(self, command: ChangeMarkdown) -> None:
        """Give a cell with Markdown another text, if it is still there and has none that the editor has not seen.

        marimo's editor asks for it at every key: what is not yet the newest text when its turn comes is left out.
        """
        cell_id = command.cell_id
        self._markdown[cell_id] = command
        async with self._in_turn:
            newest = self._markdown.pop(cell_id, None)
            shown = markdown_of(self._host.documents.shared.open.active()).get(cell_id)
            if newest is None or shown is None or shown.code == newest.text:
                return
            change = ChangeCell(cell_id=shown.key, version=shown.version, code=newest.text)
            seen = shown.by == CLIENT or shown.code in newest.seen
            if not seen or not await self._in_document([change], ()):
                self._refused(cell_id, [_KEPT_MARKDOWN])

    async def arrange(self, order: Sequence[str], present: Callable[[], Sequence[str]]) -> None:
        """Put the cells into an order; `present` returns that which the editor is told."""
        async with self._in_turn:
            if not await self._arranged(order, present(), self._in_document):
                alone = [
                    cell_id for cell_id in self._host.notebook.cells.ids() if self._find(cell_id) is not None
                ]
                await self._arranged(order, alone, self._change)

    async def _arranged(self, order: Sequence[str], present: Sequence[str], change: Changing) -> bool:
        """Move cells, where what stands in one is in the other. Return whether it was done."""
        wanted = [cell_id for cell_id in order if cell_id in set(present)]
        known = {cell_id: found for cell_id in wanted if (found := self._known(cell_id)) is not None}
        places = [cell_id for cell_id in wanted if cell_id in known]
        changes = [
            MoveCell(
                cell_id=known[cell_id][0],
                version=known[cell_id][1],
                after=known[places[place - 1]][0] if (place := places.index(cell_id)) else None,
            )
            for cell_id in moved([one for one in present if one in known], places)
        ]
        return not changes or await change(changes, ())

    def settle(self, settings: dict[str, CellSettings]) -> None:
        """Give the cells of the open document settings, and forget those that they have."""
        documents = self._host.documents.shared
        document = documents.open.active()
        if document is None or "settings" not in document.can:
            return
        wanted: dict[str, CellSettings] = {}
        for cell_id, one in list(settings.items()):
            shown = document.cells.get(self._key(cell_id) or "")
            if shown is not None:
                del settings[cell_id]
                if shown.settings != one:
                    wanted[shown.key] = one
        if wanted:
            order = Settings(to=document.client, cells=wanted)
            documents.timers.add_callback(lambda: documents.send(order))

    async def _change(self, changes: Sequence[Change], new: Sequence[str] = ()) -> bool:
        """Apply changes, and run the cells with a new text. `new` are the ids of the new cells."""
        if not await self._in_document(changes, new):
            async with self._request() as address:
                await self._in_kernel([self._of_kernel(change) for change in changes], new, address)
        return True

    def _of_kernel(self, change: Change) -> Change:
        """Return a change for the text that the kernel has of its cell."""
        entry = None if isinstance(change, AddCell) else self._find(change.cell_id)
        if entry is None or isinstance(change, AddCell):
            return change
        return msgspec.structs.replace(change, version=entry.cell.version)

    def _written(self, entry: Entry) -> ShownCell | None:
        """Return a cell as the open document shows it, if its text is one of this editor that may not have run yet."""
        document = self._host.documents.shared.open.active()
        shown = None if document is None else document.cells.get(entry.cell.notebook_cell_id or "")
        return shown if shown is not None and shown.by == CLIENT else None

    def _version(self, entry: Entry) -> int:
        """Return the version of the text that the editor knows of a cell."""
        written = self._written(entry)
        return entry.cell.version if written is None else written.version

    def _text(self, entry: Entry) -> str:
        written = self._written(entry)
        return entry.cell.code if written is None else written.code

    def _known(self, cell_id: str) -> tuple[str, int] | None:
        """Return how a batch names a cell of the editor, and its version; None if it is gone."""
        entry = self._find(cell_id)
        if entry is not None:
            return cell_id, self._version(entry)
        text = markdown_of(self._host.documents.shared.open.active()).get(cell_id)
        return None if text is None else (text.key, text.version)

    def _key(self, cell_id: str) -> str | None:
        """Return the document's key for a cell of the editor."""
        entry = self._find(cell_id)
        if entry is not None:
            return entry.cell.notebook_cell_id
        text = markdown_of(self._host.documents.shared.open.active()).get(cell_id)
        return None if text is None else text.key

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
