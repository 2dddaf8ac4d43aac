"""A cache of cells compiled to find their names, kept until they are registered, so that no cell is compiled twice.

A compiled cell has mutable state (stale, running, its output), so each is returned once, to one graph.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from marimo._ast.compiler import compile_cell
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime.interface import Names, plain_name

if TYPE_CHECKING:
    from marimo._ast.cell import CellImpl

_KEPT: Final = 1000  # large enough for an agent that registers a whole notebook in one request


class CompiledCells:
    """Compiled cells by id and code, and the names of each. Holds the newest thousand. Any thread."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, str], Names | None] = OrderedDict()
        self._cells: OrderedDict[tuple[str, str], CellImpl] = OrderedDict()

    def names(self, cell_id: str, code: str) -> Names | None:
        """Return the names of a cell; None if the code is not a valid cell."""
        key = cell_id, code
        if (names := self._names.get(key)) is not None or key in self._names:
            return names
        try:
            cell = compile_cell(code, cell_id=CellId_t(cell_id))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            names = None
        else:
            names = names_of(cell)
            self._cells[key] = cell
        self._names[key] = names
        self._forget_oldest()
        return names

    def registered(self, cell_id: str, code: str, cell: CellImpl) -> None:
        """Record the names of a cell that the graph has compiled itself."""
        self._names[cell_id, code] = names_of(cell)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        for kept in (self._names, self._cells):
            if len(kept) > _KEPT:
                kept.popitem(last=False)

    def take(self, cell_id: str, code: str) -> CellImpl | None:
        """Remove and return the cell that was compiled with this id and code, if there is one."""
        return self._cells.pop((cell_id, code), None)


def names_of(cell: CellImpl) -> Names:
    """Return a compiled cell's names as in the user's code."""
    return Names(
        frozenset(map(plain_name, cell.defs)),
        frozenset(map(plain_name, cell.refs)),
        frozenset(cell.temporaries),
    )
