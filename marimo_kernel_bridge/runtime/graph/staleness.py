"""The set of stale cells, and whether all descendants of stale cells are stale.

Nearly always they are: marking a cell marks its descendants. Then a run does not need to search below a stale cell for
more cells to mark, nor above a fresh one for cells that must run first; either would walk through the whole chain for
each cell of a Run All. There are exceptions (below an import, a refused cell, or a cell with a `mo.state` that was set
directly), so the fresh children of stale cells are recorded as well. If there are none, no fresh cell is below a stale one.
"""

from __future__ import annotations

from collections.abc import MutableSet
from typing import TYPE_CHECKING

from marimo._ast.cell import CellStaleState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marimo._runtime.dataflow.topology import GraphTopology
    from marimo._types.ids import CellId_t


class StaleFlag(CellStaleState):
    """A cell's stale flag, kept in sync with the graph's set of stale cells."""

    def __init__(self, cell_id: CellId_t, stale_cells: StaleCells, state: bool) -> None:  # noqa: FBT001  # marimo's field
        self._cell_id, self._stale_cells = cell_id, stale_cells
        self.state = state

    @property
    def state(self) -> bool:
        return self._cell_id in self._stale_cells

    @state.setter
    def state(self, stale: bool) -> None:
        if stale:
            self._stale_cells.add(self._cell_id)
        else:
            self._stale_cells.discard(self._cell_id)


class StaleCells(MutableSet["CellId_t"]):
    """The stale cells of a graph.

    The graph reports edges that it adds, and discards a cell before the cell leaves it.
    """

    def __init__(self, topology: GraphTopology) -> None:
        self._topology = topology
        self._cells: set[CellId_t] = set()
        self._frozen: frozenset[CellId_t] | None = None
        self.fresh_below: set[CellId_t] = set()  # fresh cells with a stale parent

    def __contains__(self, cell_id: object) -> bool:
        return cell_id in self._cells

    def __iter__(self) -> Iterator[CellId_t]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def add(self, value: CellId_t) -> None:
        if value not in self._cells:
            self._cells.add(value)
            self._frozen = None
            self.fresh_below.discard(value)
            self.fresh_below |= self._topology.children[value] - self._cells

    def discard(self, value: CellId_t) -> None:
        if value not in self._cells:
            return
        self._cells.remove(value)
        self._frozen = None
        self._look_above(value)
        if self.fresh_below:
            for child in self._topology.children[value] & self.fresh_below:
                self._look_above(child)

    def frozen(self) -> frozenset[CellId_t]:
        """Return a snapshot; the same object until the set changes."""
        if self._frozen is None:
            self._frozen = frozenset(self._cells)
        return self._frozen

    def update(self, cell_ids: Iterable[CellId_t]) -> None:
        """Add cells."""
        for cell_id in cell_ids:
            self.add(cell_id)

    def become(self, cell_ids: set[CellId_t]) -> None:
        """Make exactly these cells stale."""
        for cell_id in self._cells ^ cell_ids:
            self.add(cell_id) if cell_id in cell_ids else self.discard(cell_id)

    def edges_added(self, cell_id: CellId_t) -> None:
        """Update after a cell got new parents or children."""
        self._look_above(cell_id)
        if cell_id in self._cells:
            self.fresh_below |= self._topology.children[cell_id] - self._cells

    def left(self, cell_id: CellId_t) -> None:
        """Update after a cell, which must be fresh, left the graph."""
        self.fresh_below.discard(cell_id)

    def _look_above(self, cell_id: CellId_t) -> None:
        if cell_id not in self._cells and not self._topology.parents[cell_id].isdisjoint(self._cells):
            self.fresh_below.add(cell_id)
        else:
            self.fresh_below.discard(cell_id)

    @property
    def are_closed(self) -> bool:
        """Whether all descendants of stale cells are stale."""
        return not self.fresh_below
