"""What shows late outputs of cells by itself: open documents, and pages with marimo's own elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.runtime.interface import Redrawn


class Pages(Protocol):
    """Pages that show marimo's own elements, which are alive there and not drawn again."""

    def show_redrawn(self, entry: Entry, redrawn: Sequence[Redrawn]) -> bool:
        """Tell how outputs look in a saved notebook now. Return whether the pages need no more."""
        ...

    def show_late(self, session: str) -> bool:
        """Return whether the page with this session shows outputs of cells that other pages have run."""
        ...

    def late(self, entry: Entry) -> None:
        """Show a cell's outputs on the pages that have not run it."""
        ...


class Documents(Protocol):
    """The documents that are open in front ends."""

    def adopt(self, key: str) -> bool:
        """Return whether one shows late outputs of a cell, by its id there, whoever ran it. Any thread."""
        ...


class LateViews:
    """The documents and the pages of one notebook. Neither is there before a front end has them."""

    def __init__(self) -> None:
        self._documents: Documents | None = None
        self._pages: Pages | None = None

    def add_documents(self, documents: Documents) -> None:
        self._documents = documents

    def add_pages(self, pages: Pages) -> None:
        self._pages = pages

    def adopt(self, entry: Entry) -> bool:
        """Return whether an open document shows late outputs of a cell. Any thread."""
        return self._documents is not None and self._documents.adopt(entry.cell.notebook_cell_id or "")

    def show_late(self, entry: Entry, session: str) -> bool:
        """Return whether late outputs of a cell of JupyterLab are shown on the page with this session, which has not run it."""
        return self.adopt(entry) or (self._pages is not None and self._pages.show_late(session))

    def late(self, entry: Entry) -> None:
        """Show the outputs of a cell of JupyterLab on pages that have not run it."""
        if self._pages is not None and not self.adopt(entry):
            self._pages.late(entry)

    def show_redrawn(self, entry: Entry, redrawn: Sequence[Redrawn]) -> bool:
        """Tell pages how outputs look in a saved notebook now. Return whether they need no more."""
        return self._pages is not None and self._pages.show_redrawn(entry, redrawn)
