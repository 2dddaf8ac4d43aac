"""Requests of the analysis for what renaming cannot solve: functions that bind globals, and cells in a cycle."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.analysis.model import definition
from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.analysis.document import Document
    from marimo_kernel_bridge.analysis.late_reads import LateReads
    from marimo_kernel_bridge.analysis.model import Cell
    from marimo_kernel_bridge.analysis.occurrence import Occurrence


_MOST_COUNTING: Final = 4
"""The most cells of the notebook that become one because calls of a function bind a global again."""


def for_global_statements(cells: Sequence[Cell]) -> list[Join]:
    """Request to join the cells that bind, call and read, where a function with `global x` binds x when called.

    At most one request: the cells are analyzed again once it is met.
    """
    for cell in cells:
        for use in cell.names.occurrences:
            if use.late and use.act == "store":
                involved = _involved(use, cell, cells) or _counting(use, cell, cells)
                if involved:
                    return [Join(involved, involved[-1], f"`{use.owner}` binds the global `{use.name}`")]
    return []


def _involved(binding: Occurrence, cell: Cell, cells: Sequence[Cell]) -> tuple[int, ...]:
    """Return the cells that bind, call or read the name; none if only one binds it."""
    binders = {cell.index} | {
        other.index for other in cells if any(use.act == "store" for use in other.names.of(binding.name))
    }
    if len(binders) == 1:
        return ()
    others = {
        other.index
        for other in cells
        if other.index > min(binders)
        and any(use.name in {binding.name, binding.owner} for use in other.names.occurrences)
    }
    return tuple(sorted(binders | others))


def _counting(binding: Occurrence, cell: Cell, cells: Sequence[Cell]) -> tuple[int, ...]:
    """Return the cell that alone binds the name, and those up to the last call that call or read; none if they are many."""
    below = cells[cell.index + 1 :]
    calling = [
        other.index
        for other in below
        if any(use.called and not use.late for use in other.names.of(binding.owner or ""))
    ]
    if not calling or not cell.names.of(binding.name):
        return ()
    between = [
        other.index
        for other in below
        if other.index <= calling[-1] and {binding.name, binding.owner} & set(other.names.names)
    ]
    involved = (cell.index, *between)
    few = sum(cells[index].given.parts for index in involved) <= _MOST_COUNTING
    return involved if few and not any(cells[index].given.fails for index in involved) else ()


def for_cycles(document: Document, late_reads: LateReads) -> list[Join | CopyDefinition]:
    """Request what breaks each cycle: define a function that reads names of its only caller in the caller's cell."""
    upstream: dict[int, set[int]] = {cell.index: set() for cell in document.cells}
    for version in (version for versions in document.versions.values() for version in versions):
        for reader in version.readers:
            if version.cell >= 0 and reader >= 0 and reader != version.cell:
                upstream[reader].add(version.cell)
    return [_opened(cycle, document, late_reads) for cycle in cycles(upstream)]


def _opened(cycle: Sequence[int], document: Document, late_reads: LateReads) -> Join | CopyDefinition:
    inside = set(cycle)
    for index in cycle:
        cell = document.cells[index]
        for (owner, _), version in cell.late.items():
            if owner is None or version.cell not in inside or version.cell <= index:
                continue
            callers = [caller for caller in late_reads.callers(cell, owner) if caller != index]
            if len(callers) == 1 and callers[0] > index and _only_defines(cell):
                why = f"`{owner}` is used only there, and reads what is made there"
                return Join((index, callers[0]), callers[0], why)
            target = next((caller for caller in callers if caller in inside and caller >= version.cell), None)
            if target is not None and target == min(callers) and _only_defines(cell):
                why = f"`{owner}` is first used there, and reads what is made there"
                return Join((index, target), target, why)
            if target is not None and isinstance(definition(cell.names.tree, owner), ast.FunctionDef):
                why = f"it reads `{version.name}`, which is made there"
                return CopyDefinition(owner, index, target, why)
    return Join(tuple(sorted(cycle)), min(cycle), "they depend on each other")


def _only_defines(cell: Cell) -> bool:
    """Return whether a cell consists of one function or class."""
    definitions = ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef
    return len(cell.made) == 1 and all(isinstance(node, definitions) for node in cell.names.tree.body)
