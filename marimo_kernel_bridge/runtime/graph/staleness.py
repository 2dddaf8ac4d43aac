"""Which cells are stale, and whether all that is below stale cells is stale too.

Nearly always it is: what marks a cell marks all below it. Then a run need not look below a stale cell for more to mark,
nor above a fresh one for one that must run first, which takes a walk through the whole chain in each run of a Run All. There are exceptions (below an import, a cell that the graph refuses, one whose state was set by itself), so
the fresh cells right below a stale one are kept beside the stale ones. Without any, nothing fresh is below a stale cell.
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
    """Whether a cell is stale, which the graph's set of stale cells says too."""

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
        self.fresh_below: set[CellId_t] = set()  # whose parents are some of them stale

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
        """Return them as they are now; the same object until that changes."""
        if self._frozen is None:
            self._frozen = frozenset(self._cells)
        return self._frozen

    def update(self, cell_ids: Iterable[CellId_t]) -> None:
        """Add cells."""
        for cell_id in cell_ids:
            self.add(cell_id)

    def become(self, cell_ids: set[CellId_t]) -> None:
        """Make these cells stale and all others fresh."""
        for cell_id in self._cells ^ cell_ids:
            self.add(cell_id) if cell_id in cell_ids else self.discard(cell_id)

    def edges_added(self, cell_id: CellId_t) -> None:
        """Note that a cell has new parents or children."""
        self._look_above(cell_id)
        if cell_id in self._cells:
            self.fresh_below |= self._topology.children[cell_id] - self._cells

    def left(self, cell_id: CellId_t) -> None:
        """Note that a cell, which is fresh, is not in the graph any more."""
        self.fresh_below.discard(cell_id)

    def _look_above(self, cell_id: CellId_t) -> None:
        if cell_id not in self._cells and not self._topology.parents[cell_id].isdisjoint(self._cells):
            self.fresh_below.add(cell_id)
        else:
            self.fresh_below.discard(cell_id)

    @property
    def are_closed(self) -> bool:
        """Whether all that is below stale cells is stale."""
        return not self.fresh_below
