"""The orders to front ends that change no text: run cells, save, rename. For the control thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.documents.operations import NO_ANSWER, failing, new_id, runs_of
from marimo_kernel_bridge.kernel.documents.order_queue import Operation
from marimo_kernel_bridge.protocol.document import Rename, Run, Save
from marimo_kernel_bridge.protocol.document_edits import DocumentEdit
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.documents.kernel_cells import KernelCells
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.documents.order_queue import OrderQueue
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.document import Done


class PlainOrders:
    """Has front ends run cells, save and rename."""

    def __init__(self, orders: OrderQueue, cells: KernelCells, notebook: NotebookSession) -> None:
        self._orders, self._cells = orders, cells
        self._agents, self._runs = notebook.agents, notebook.runs

    def run(
        self, document: Document, keys: Sequence[str], author: str, answer: Callable[[DocumentEdit], None]
    ) -> None:
        """Have a front end run cells as they are."""

        def order(view: Document, op_id: str) -> Run:
            for key in keys:
                cell = view.cells.get(key)
                if cell is not None:
                    self._agents.wrote(key, cell.code, self._author_of(view, key))
                    self._agents.ordered(key, cell.code, author, op_id)
            return Run(to=view.client, op_id=op_id, author=author, keys=list(keys))

        given_up = self._agents.order_is_over
        self._orders.submit(
            Operation(
                new_id(),
                document,
                "run",
                order,
                self._simple(author, answer),
                failing(answer),
                given_up=given_up,
            )
        )

    def run_again(self, document: Document, key: str) -> None:
        """Have a front end run a cell, because it cannot show the outputs of its last run."""
        if "run" in document.can:
            self.run(document, [key], NOTEBOOK, lambda _: None)

    def save(
        self, document: Document, name: str | None, author: str, answer: Callable[[DocumentEdit], None]
    ) -> None:
        """Have a front end save or rename its notebook."""
        ability = "save" if name is None else "rename"

        def order(view: Document, op_id: str) -> Save | Rename:
            if name is None:
                return Save(to=view.client, op_id=op_id)
            return Rename(to=view.client, op_id=op_id, name=name)

        self._orders.submit(
            Operation(new_id(), document, ability, order, self._simple(author, answer), failing(answer))
        )

    def _simple(
        self, author: str, answer: Callable[[DocumentEdit], None]
    ) -> Callable[[Done | None, Document | None], None]:
        """Return what takes the answer to an order that changes no text."""

        def answered(done: Done | None, view: Document | None) -> None:
            if done is None or view is None:
                answer(DocumentEdit("refused", None, message=NO_ANSWER))
            elif done.result == "applied":
                runs = runs_of(self._runs, author, done)
                answer(DocumentEdit("applied", done.op_id, view.front_end, runs=runs))
            else:
                answer(DocumentEdit("refused", None, view.front_end, message=done.message or "Refused."))

        return answered

    def _author_of(self, view: Document, key: str) -> str:
        """Return who wrote a cell's text: a page does not know that after it was loaded again."""
        cell, ran = view.cells[key], self._cells.by_key(key)
        return ran.edited_by if ran is not None and ran.code == cell.code else cell.by
