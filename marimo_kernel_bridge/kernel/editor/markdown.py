"""The Markdown of the open document, as cells of marimo's editor. The kernel does not run it, and knows it only from the document.

It stands between the code cells as in the document. A change of it there is one of the document.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.notebook import Cell
from marimo_kernel_bridge.runtime.editor.interface import EditorCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Document, ShownCell

_PREFIX: Final = "md-"  # the kernel's ids are four letters
_DIGITS: Final = 12


def markdown_of(document: Document | None) -> dict[str, ShownCell]:
    """Return the Markdown of a document by the ids that it has in the editor."""
    cells = () if document is None else list(document.cells.values())
    return {_id_of(one.key): one for one in cells if one.type == "markdown"}


def with_markdown(cells: Sequence[EditorCell], shown: Iterable[ShownCell]) -> list[EditorCell]:
    """Return the cells with the Markdown between them, as `shown` has it: each text after the code before it."""
    known = {one.cell.notebook_cell_id for one in cells}
    behind: dict[str | None, list[EditorCell]] = {}
    last: str | None = None
    for one in shown:
        if one.type == "code" and one.key in known:
            last = one.key
        elif one.type == "markdown":  # also an empty one: somebody may be about to type another text there
            behind.setdefault(last, []).append(_editor_cell(one))
    first = behind.pop(None, [])
    return [*first, *(each for one in cells for each in (one, *behind.pop(one.cell.notebook_cell_id, ())))]


def _editor_cell(shown: ShownCell) -> EditorCell:
    output: dict[str, Any] = {
        "output_type": "display_data",
        "data": {"text/markdown": shown.code},
        "metadata": {},
    }
    cell = replace(_NEVER_RUN, cell_id=_id_of(shown.key), code=shown.code)
    return EditorCell(cell, (output,), shown.settings, is_markdown=True)


def _id_of(key: str) -> str:
    return _PREFIX + hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]


_NEVER_RUN: Final = Cell(
    cell_id="",
    notebook_cell_id=None,
    code="",
    version=1,
    status="ok",
    stale=False,
    execution_count=None,
    edited_by="person",
    last_run_by=None,
    last_run_at=None,
    duration=None,
    error=None,
)
