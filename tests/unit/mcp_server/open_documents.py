"""Documents that a person has open, as the kernel tells of them: `content(cell("aaaa", "x = 1"), cell("text", "# T", "markdown"))`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.protocol.document_edits import DocumentContent, NotebookCell, OpenDocument

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.document import CellType

_Ran = Literal["as_shown", "changed", "never"]


def cell(
    key: str,
    code: str,
    type_: CellType = "code",
    ran: _Ran | None = None,
) -> NotebookCell:
    """Return a cell that ran as it is shown, unless something else is said; its id in the kernel is its key without "nb-"."""
    if type_ == "code" and ran is None:
        ran = "as_shown"
    cell_id = key.removeprefix("nb-") if ran in {"as_shown", "changed"} else None
    return NotebookCell(
        key, cell_id, type_, code, 7, "notebook", ran, "ok" if cell_id else "new", stale=False
    )


def opened(client: str = "c1", path: str = "penguins.ipynb", editing: str | None = None) -> OpenDocument:
    return OpenDocument(
        client,
        "JupyterLab",
        path,
        dirty=True,
        focused=True,
        editing=editing,
        writable=True,
        heard_at=time.time() - 2,
        cells=0,
    )


def content(
    *cells: NotebookCell,
    kernel_only: tuple[str, ...] = (),
    editing: str | None = None,
    others: tuple[str, ...] = (),
) -> DocumentContent:
    """Return the document in JupyterLab with these cells."""
    active = opened(editing=editing)
    documents = (active, *(opened(path, path) for path in others))
    return DocumentContent(active, documents, cells, kernel_only, revision=1)
