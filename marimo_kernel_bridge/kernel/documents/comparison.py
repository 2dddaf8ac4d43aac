"""The comparison of a document's cells with what ran, and the cells that a sync runs: only what is needed, each once.

In autorun mode stale cells run with the cells above them; so a sync asks for the roots alone. Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.document import ChangeText, base_of
from marimo_kernel_bridge.protocol.document_edits import Comparison

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.documents.kernel_cells import KernelCells
    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.notebook import Cell


@dataclass(frozen=True)
class _Sorted:
    """Keys of a document's code cells by how they differ from what ran."""

    changed: list[str]
    never_run: list[str]
    stale: list[str]
    failed: list[str]
    in_step: list[str]


class DocumentComparison:
    """Compares documents with what the kernel has run."""

    def __init__(self, notebook: NotebookSession, cells: KernelCells) -> None:
        self._notebook = notebook
        self._cells = cells

    def of(self, document: Document) -> Comparison:
        """Compare a document with what ran."""
        cells = self._cells.snapshot()
        by_key = {cell.notebook_cell_id: cell for cell in cells if cell.notebook_cell_id is not None}
        found = _sort(document, by_key)
        shown = {key for key in by_key if key in document.cells}
        kernel_only = tuple(cell.cell_id for cell in cells if cell.notebook_cell_id not in shown)
        wanted = [*found.changed, *found.never_run]
        changes = [
            ChangeText(key, base_of(document.cells[key].code), document.cells[key].code) for key in wanted
        ]
        _, would_run = self._cells.plan(document, changes)
        reached = {run.cell_id for run in would_run}
        if self._notebook.mode == "autorun":
            roots = _roots([key for key in found.stale if key not in reached], by_key)
        else:  # nothing follows by itself
            roots = found.stale
            wanted += [key for key in document.cells if key in reached and key not in wanted]
        if roots:
            _, would_run = self._cells.plan(document, changes, roots)
        run = {*wanted, *roots}
        return Comparison(
            "document",
            changed=tuple(found.changed),
            never_run=tuple(found.never_run),
            stale=tuple(found.stale),
            failed=tuple(found.failed),
            in_step=tuple(found.in_step),
            kernel_only=kernel_only,
            to_run=tuple(key for key in document.cells if key in run),
            would_run=would_run,
        )


def _sort(document: Document, ran: dict[str, Cell]) -> _Sorted:
    found = _Sorted([], [], [], [], [])
    for key, shown in document.cells.items():
        cell = ran.get(key)
        if shown.type != "code" or not shown.code.strip():
            continue
        if cell is None or (cell.last_run_at is None and cell.status in {"new", "queued"}):
            found.never_run.append(key)
        elif cell.code != shown.code:
            found.changed.append(key)
        elif cell.stale:
            found.stale.append(key)
        elif cell.status in {"error", "refused", "cancelled", "interrupted", "superseded"}:
            found.failed.append(key)
        else:
            found.in_step.append(key)
    return found


def _roots(keys: list[str], ran: dict[str, Cell]) -> list[str]:
    """Return the cells below none of the others."""
    upstream = {cell.cell_id: cell.upstream for cell in ran.values()}
    ids = {ran[key].cell_id for key in keys}

    def is_below_another(key: str) -> bool:
        seen: set[str] = set()
        waiting = list(ran[key].upstream)
        while waiting:
            above = waiting.pop()
            if above in ids:
                return True
            if above not in seen:
                seen.add(above)
                waiting += upstream.get(above, ())
        return False

    return [key for key in keys if not is_below_another(key)]
