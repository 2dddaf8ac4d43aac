"""The cells of requests: found by the front end's id or created, and placed in document order.

Gives a cell the code and the address of its newest request. Does not touch the graph and runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.cells import CellTable, Entry
    from marimo_kernel_bridge.kernel.messaging.requests import CellRequest
    from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestBursts
    from marimo_kernel_bridge.protocol.notebook import Cell


class RequestedCells:
    """The cells of a notebook by the ids that front ends have for them."""

    def __init__(
        self, cells: CellTable, bursts: RequestBursts, author_of: Callable[[CellRequest], str]
    ) -> None:
        """`author_of` returns who wrote the text of a request."""
        self._cells = cells
        self._author_of = author_of
        self.bursts = bursts
        self._saved_order: list[str] = []  # of the document, by the front end's ids
        self.follows_document = False
        """Whether the order is that of an open document."""

    def entry_for(self, request: CellRequest) -> Entry:
        """Return the cell of a request, with the request's code and address."""
        notebook_cell_id, code, address = request.notebook_cell_id, request.code, request.address
        author = self._author_of(request)
        entry = None
        if notebook_cell_id is not None:
            entry = self._cells.by_front_end(notebook_cell_id, address)
            if entry is None and address.dialect == "vscode":
                entry = self._cells.adopt(notebook_cell_id, code, address)
            if entry is None and request.client is None:
                entry = self._cells.show(notebook_cell_id, code, author, address)
        if entry is None:
            entry = self._cells.add(notebook_cell_id, code, author, address)
            self._place_as_saved(entry.cell)
        else:
            self._cells.move_to(entry.cell.cell_id, address)
            self._cells.set_code(entry.cell.cell_id, code, author)
            entry.deleted = False
            entry.shown_code = code
        self.bursts.note(entry, address)
        return entry

    def arrange(self, notebook_cell_ids: Sequence[str]) -> None:
        """Note the order of the document, by the front end's ids."""
        self._saved_order = list(notebook_cell_ids)
        place = {cell_id: number for number, cell_id in enumerate(notebook_cell_ids)}
        placed = [entry.cell for entry in self._cells if entry.cell.notebook_cell_id in place]
        placed.sort(key=lambda cell: place[cell.notebook_cell_id or ""])
        self._cells.arrange(cell.cell_id for cell in placed)

    def _place_as_saved(self, cell: Cell) -> None:
        """Place a new cell after the one before it in the saved document."""
        if cell.notebook_cell_id not in self._saved_order:
            return
        ids = {entry.cell.notebook_cell_id: entry.cell.cell_id for entry in self._cells}
        before = self._saved_order[: self._saved_order.index(cell.notebook_cell_id)]
        self._cells.place(
            cell.cell_id, next((ids[other] for other in reversed(before) if other in ids), None)
        )
