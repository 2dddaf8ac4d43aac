"""The order, the ids and the authors of cells, as the document says that a front end has open, else the saved file.

A document is open or not by another thread: what it says counts as soon as no cell runs.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.kernel.notebook.execution import Execution
    from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestQueue
    from marimo_kernel_bridge.kernel.notebook.requested_cells import RequestedCells


class DocumentOrder:
    """Makes the cells follow the document."""

    def __init__(self, cells: CellTable, queue: RequestQueue) -> None:
        """`queue` is the shell queue."""
        self._cells = cells
        self._queue = queue
        self._loaded: tuple[Execution, RequestedCells] | None = None
        self._order: Sequence[str] | None = None  # of an open document, replaced by its thread
        self._renamed: deque[tuple[str, str]] = deque()  # ids of cells that an open document has changed
        self._arranged: Sequence[str] | None = None  # the order in which the cells are

    def load(self, execution: Execution, requested: RequestedCells) -> None:
        """Take the parts that need the runtime, once."""
        self._loaded = execution, requested

    def arrange_saved(self, notebook_cell_ids: Sequence[str]) -> None:
        """Take the order of the saved document, by the front end's ids, unless an open document has said its own."""
        if self._order is None and self._loaded is not None:
            self._loaded[1].arrange(notebook_cell_ids)

    def arrange(self) -> None:
        """Follow what an open document has said so far. Between runs."""
        assert self._loaded is not None, "load() comes first"
        while self._renamed:
            self._cells.rename(*self._renamed.popleft())
        order, requested = self._order, self._loaded[1]
        requested.follows_document = order is not None
        if order is not None and order is not self._arranged:
            self._arranged = order
            requested.arrange(order)

    # -- any thread ------------------------------------------------------------------------------------------------

    def follow(self, notebook_cell_ids: Sequence[str] | None) -> None:
        """Take the order of an open document, None: there is none any more. It counts from the next request on."""
        self._order = notebook_cell_ids

    def follow_agent(self, notebook_cell_ids: Sequence[str], deleted: Sequence[str], *, run: bool) -> None:
        """Take the order that an agent has given an open document, as soon as no cell runs, and drop `deleted` cells.

        Cells that become stale by that are held unless the agent lets cells `run`.
        """
        self._order = notebook_cell_ids
        if self._loaded is not None:
            execution = self._loaded[0]
            execution.later(lambda: self._drop(execution, deleted, run=run))

    def rename_cell(self, notebook_cell_id: str, new: str) -> None:
        """Take over the new id that an open document has for a cell, as soon as no cell runs."""
        self._renamed.append((notebook_cell_id, new))
        if self._loaded is not None:
            self._loaded[0].later(self.arrange)

    def note_author(self, notebook_cell_id: str, code: str, author: str) -> None:
        """Note who wrote the text of a cell, if it still has that, as soon as no cell runs."""
        if self._loaded is not None:
            self._loaded[0].later(lambda: self._note_author(notebook_cell_id, code, author))

    def _note_author(self, notebook_cell_id: str, code: str, author: str) -> None:
        entry = self._cells.with_key(notebook_cell_id)
        if entry is not None and entry.cell.code == code:
            self._cells.change(entry.cell.cell_id, edited_by=author)

    def _drop(self, execution: Execution, deleted: Sequence[str], *, run: bool) -> None:
        graph = execution.graph
        stale_before = graph.stale
        self.arrange()
        for request in self._queue.now():
            if request.notebook_cell_id in deleted:  # it would bring the cell back
                self._queue.cancel(request.msg_id)
        entries = [entry for entry in map(self._cells.with_key, deleted) if entry is not None]
        for entry in entries:
            entry.deleted = True
        graph.remove([entry.cell.cell_id for entry in entries])
        graph.update()
        if not run:
            execution.stale_cells.hold_edited((), stale_before)
