"""marimo's dataflow graph with indexes, so that operations on one cell do not visit all cells.

The results are those of marimo's `DirectedGraph`, which scans the cells for each name that a new one defines or uses,
searches for a path for each new edge, walks all ancestors of each cell of a run to check whether one is stale or
disabled, and sorts all definitions for each check. The tests compare the two on random graphs. Independent of runs and
values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from marimo._ast.cell import CellStaleState
from marimo._runtime import dataflow
from marimo._runtime.dataflow import edges
from marimo._runtime.dataflow.graph import DirectedGraph
from marimo._runtime.packages.module_registry import ModuleRegistry

from marimo_kernel_bridge.runtime.graph.indexes import NONE, IndexedDefinitions, IndexedTopology
from marimo_kernel_bridge.runtime.graph.staleness import StaleCells, StaleFlag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from marimo._ast.cell import CellImpl
    from marimo._types.ids import CellId_t


@dataclass(frozen=True)
class IndexedGraph(DirectedGraph):
    """A `DirectedGraph` that uses indexes where marimo visits all cells."""

    topology: IndexedTopology = field(default_factory=IndexedTopology)
    definition_registry: IndexedDefinitions = field(default_factory=IndexedDefinitions)
    stale_cells: StaleCells = field(init=False)
    disabled_cells: set[CellId_t] = field(default_factory=set)  # by their own configuration
    touched: set[CellId_t] = field(
        default_factory=set
    )  # cells whose place changed since the set was last cleared
    marked: set[CellId_t] = field(
        default_factory=set
    )  # cells that marimo marked as stale, again or not, since the set was last cleared

    def __post_init__(self) -> None:
        object.__setattr__(self, "stale_cells", StaleCells(self.topology))

    def get_referring_cells(self, name: str, language: Literal["python", "sql"]) -> set[CellId_t]:
        return set(self.topology.referring(name, language))

    def register_cell(self, cell_id: CellId_t, cell: CellImpl) -> None:
        with self.lock:
            self.topology.add_node(cell_id, cell)
            for name, variable_data in cell.variable_data.items():
                self.definition_registry.register_definition(cell_id, name, variable_data)
            parents, children = self._edges(cell_id, cell)
            # Without a path back there is no cycle; otherwise marimo's method finds the cycles.
            closes = self.topology.leads_to(children, parents)
            pairs = [(parent, cell_id) for parent in parents] + [(cell_id, child) for child in children]
            for edge in pairs:
                self.topology.add_edge(*edge)
                if closes:
                    self.cycle_tracker.detect_cycle_for_edge(edge, self.topology)
            # marimo's cells are frozen but for their states, of which this is one.
            object.__setattr__(cell, "_stale", StaleFlag(cell_id, self.stale_cells, cell.stale))
            self.stale_cells.edges_added(cell_id)
            self.touched.update(parents, children, (cell_id,))
            self._note_configuration(cell_id)
        if self.is_any_ancestor_stale(cell_id):
            self.set_stale({cell_id})
        if self.is_any_ancestor_disabled(cell_id):
            cell.set_runtime_state(status="disabled-transitively")

    def _edges(self, cell_id: CellId_t, cell: CellImpl) -> tuple[set[CellId_t], set[CellId_t]]:
        """Return what marimo's `compute_edges_for_cell` does: the parents and children of a cell."""
        parents: set[CellId_t] = set()
        children: set[CellId_t] = set()
        for name, variable_data in cell.variable_data.items():
            children.update(self.topology.referring(name, variable_data[-1].language))
        resolved = edges.resolve_cell_references(cell_id, cell, self.topology, self.definition_registry)
        parents.update(*resolved.values())
        # A cell that deletes a name comes after all that use it.
        for name in cell.refs:
            children.update(self.topology.deleters.get(name, NONE))
        for name in cell.deleted_refs:
            parents.update(self.topology.referring(name, "python"))
        return parents - {cell_id}, children - {cell_id}

    def delete_cell(self, cell_id: CellId_t) -> set[CellId_t]:
        cell = self.cells.get(cell_id)
        if cell is not None:
            self.touched.update(self.parents[cell_id], (cell_id,))
            own = CellStaleState(cell.stale)  # its id may be reused for another cell
            self.stale_cells.discard(cell_id)
        children = super().delete_cell(cell_id)
        assert cell is not None  # otherwise marimo has raised
        self.touched.update(children)
        object.__setattr__(cell, "_stale", own)
        self.stale_cells.left(cell_id)
        self.disabled_cells.discard(cell_id)
        return children

    def disable_cell(self, cell_id: CellId_t) -> None:
        self._note_configuration(cell_id)
        super().disable_cell(cell_id)

    def enable_cell(self, cell_id: CellId_t) -> set[CellId_t]:
        self._note_configuration(cell_id)
        return super().enable_cell(cell_id)

    def _note_configuration(self, cell_id: CellId_t) -> None:
        if self.cells[cell_id].config.disabled:
            self.disabled_cells.add(cell_id)
        else:
            self.disabled_cells.discard(cell_id)

    def is_disabled(self, cell_id: CellId_t) -> bool:
        if not self.disabled_cells and cell_id in self.cells:
            return False
        return super().is_disabled(cell_id)

    def is_any_ancestor_disabled(self, cell_id: CellId_t) -> bool:
        return bool(self.disabled_cells) and super().is_any_ancestor_disabled(cell_id)

    def is_any_ancestor_stale(self, cell_id: CellId_t) -> bool:
        stale = self.stale_cells
        if not stale:
            return False
        if any(parent in stale for parent in self.parents[cell_id]):
            return True
        return not stale.are_closed and any(ancestor in stale for ancestor in self.topology.upstream(cell_id))

    def stale_above(self, cell_ids: Iterable[CellId_t]) -> set[CellId_t]:
        """Return the stale cells among these and their ancestors."""
        stale = self.stale_cells
        closed = stale.are_closed  # then no fresh cell has a stale ancestor
        reached = set(cell_ids)
        waiting = list(reached)
        for cell_id in waiting:
            new = self.parents[cell_id] - reached
            if closed:
                new = {ancestor for ancestor in new if ancestor in stale}
            reached |= new
            waiting += new
        return {ancestor for ancestor in reached if ancestor in stale}

    def set_stale(self, cell_ids: set[CellId_t], prune_imports: bool = False) -> None:  # noqa: FBT001, FBT002  # marimo's signature
        self.marked.update(cell_ids)
        self.stale_cells.update([*cell_ids, *self.fresh_below(cell_ids, prune_imports=prune_imports)])

    def fresh_below(self, cell_ids: Collection[CellId_t], *, prune_imports: bool) -> set[CellId_t]:
        """Return the fresh cells downstream of these; may include stale ones.

        `prune_imports`: downstream of a cell that only imports, those that use names it has not imported yet.
        """
        stale = self.stale_cells
        barrier = stale if stale.are_closed else NONE  # all descendants of these are stale
        relatives = dataflow.get_import_block_relatives(self)
        reached = set(cell_ids)
        waiting = [cell_id for cell_id in reached if cell_id not in barrier]
        for cell_id in waiting:
            pruned = prune_imports and self.cells[cell_id].import_workspace.is_import_block
            new = (relatives(cell_id, True) if pruned else self.children[cell_id]) - reached  # noqa: FBT003  # marimo's positional flag
            reached |= new
            waiting += [child for child in new if child not in barrier]
        return reached.difference(cell_ids)

    def get_stale(self) -> set[CellId_t]:
        return set(self.stale_cells)


class IndexedModules(ModuleRegistry):
    """A replacement for marimo's list of the modules that cells import."""

    def __init__(self, graph: IndexedGraph) -> None:
        super().__init__(graph)
        self._topology = graph.topology

    def modules(self) -> set[str]:
        return set(self._topology.namespaces)
