"""The analysis of an imported notebook: the edits after which each global name has one definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis import requests
from marimo_kernel_bridge.analysis.document import Document
from marimo_kernel_bridge.analysis.edits import edit
from marimo_kernel_bridge.analysis.import_order import ImportOrder
from marimo_kernel_bridge.analysis.late_reads import LateReads
from marimo_kernel_bridge.analysis.model import Cell, Given
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.naming import name_versions, read_after_the_cell
from marimo_kernel_bridge.analysis.object_kinds import frames_in
from marimo_kernel_bridge.analysis.plan import CellPlan, Plan
from marimo_kernel_bridge.analysis.shown_names import shown_names
from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def analyze(
    given: Sequence[Given], quoted: frozenset[str] = frozenset(), *, copies_on_write: bool = True
) -> Plan:
    """Analyze cells in document order. Raises SyntaxError for a cell that is not Python.

    `quoted` names never become private to a cell: strings mention them. `copies_on_write`: pandas does, as from
    version 3 on.
    """
    cells = [Cell(index, cell, read_cell(cell.source)) for index, cell in enumerate(given)]
    document = Document(cells, frozenset().union(*(frames_in(cell.names.tree) for cell in cells)))
    document.facts.copies_on_write = copies_on_write
    document.requests += requests.for_global_statements(cells)
    in_order, late_reads = ImportOrder(document), LateReads(document)
    for cell in cells:
        in_order.visit(cell)
    late_reads.resolve_early()
    late_reads.resolve()
    if not document.requests:
        document.requests += requests.for_cycles(document, late_reads)
    _name_versions(document, quoted)
    plans = [CellPlan(notes=list(cell.notes), gives=in_order.given(cell)) for cell in cells]
    shown = shown_names(cells)
    for cell, plan in zip(cells, plans, strict=True):
        edit(cell, plan, shown)
    return Plan(plans, document.requests)


def _name_versions(document: Document, quoted: frozenset[str]) -> None:
    words = set().union(*(words_of(cell.given.source) for cell in document.cells))
    seen = {use.name for cell in document.cells for use in cell.names.occurrences if use.form == "quoted"}
    for cell in document.cells:
        for name in read_after_the_cell(cell.names) & cell.made.keys():
            cell.made[name].outlives = True
    name_versions(document.versions, words, seen | quoted)
