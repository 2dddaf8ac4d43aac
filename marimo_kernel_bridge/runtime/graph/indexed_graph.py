"""marimo's dataflow graph with indexes, so that what concerns one cell does not look at all cells.

The rules are marimo's: this answers the questions of `DirectedGraph` with the same answers. marimo scans the cells for
each name that a new one defines or uses, searches a path for each new edge, walks all ancestors of each cell of a run
to see whether one is stale or disabled, and sorts all definitions for each check. The tests compare the two on random
graphs. Knows nothing of runs or values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from marimo._ast.cell import CellStaleState
from marimo._runtime import dataflow
from marimo._runtime.dataflow import edges
from marimo._runtime.dataflow.definitions import DefinitionRegistry
from marimo._runtime.dataflow.graph import DirectedGraph
from marimo._runtime.dataflow.topology import MutableGraphTopology
from marimo._runtime.packages.module_registry import ModuleRegistry
from marimo._runtime.runner.cell_runner import Runner

from marimo_kernel_bridge.runtime.graph.staleness import StaleCells, StaleFlag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from marimo._ast.cell import CellImpl
    from marimo._ast.visitor import VariableData
    from marimo._config.config import OnCellChangeType
    from marimo._runtime.dataflow.topology import GraphTopology
    from marimo._types.ids import CellId_t

_NONE: Final[frozenset[Any]] = frozenset()  # of cell ids or of names


@dataclass
class IndexedTopology(MutableGraphTopology):
    """marimo's nodes and edges, and which cells use a name."""

    users: dict[str, set[CellId_t]] = field(default_factory=dict)
    deleters: dict[str, set[CellId_t]] = field(default_factory=dict)  # of a name that another cell defines
    sql_cells: dict[CellId_t, CellImpl] = field(default_factory=dict)
    namespaces: Counter[str] = field(default_factory=Counter)  # that cells import
    order: dict[CellId_t, int] = field(default_factory=dict)  # of registration
    places: Mapping[str, int] = field(
        default_factory=dict
    )  # of those that have one in a document: that counts
    _next: int = 0

    def add_node(self, cell_id: CellId_t, cell: CellImpl) -> None:
        super().add_node(cell_id, cell)
        for name in cell.refs:
            self.users.setdefault(name, set()).add(cell_id)
        for name in cell.deleted_refs & cell.refs:
            self.deleters.setdefault(name, set()).add(cell_id)
        if cell.language == "sql":
            self.sql_cells[cell_id] = cell
        self.namespaces.update(cell.imported_namespaces)
        self.order[cell_id] = self._next
        self._next += 1

    def remove_node(self, cell_id: CellId_t) -> None:
        cell = self.cells[cell_id]
        super().remove_node(cell_id)
        for index, names in ((self.users, cell.refs), (self.deleters, cell.deleted_refs & cell.refs)):
            for name in names:
                index[name].discard(cell_id)
                if not index[name]:
                    del index[name]
        self.sql_cells.pop(cell_id, None)
        self.namespaces.subtract(cell.imported_namespaces)
        for name in cell.imported_namespaces:
            if not self.namespaces[name]:
                del self.namespaces[name]
        del self.order[cell_id]

    def reorder_nodes(self, ordered_ids: list[CellId_t]) -> None:
        super().reorder_nodes(ordered_ids)
        self.order = {cell_id: number for number, cell_id in enumerate(self.cells)}
        self._next = len(self.order)

    def referring(self, name: str, language: Literal["python", "sql"]) -> Collection[CellId_t]:
        """Return what marimo's `get_referring_cells` does; not to be changed."""
        if language == "python":
            return self.users.get(name, _NONE)
        return edges.get_referring_cells(name, "sql", MutableGraphTopology(self.sql_cells))

    def leads_to(self, sources: Iterable[CellId_t], targets: Iterable[CellId_t]) -> bool:
        """Tell whether one of `targets` is, or is below, one of `sources`.

        Searches down and up by turns, so that it takes no longer than the shorter of the two takes.
        """
        below, above = set(sources), set(targets)
        if not below.isdisjoint(above):
            return True
        down, up = list(below), list(above)
        while down and up:
            for child in self.children[down.pop()]:
                if child in above:
                    return True
                if child not in below:
                    below.add(child)
                    down.append(child)
            for parent in self.parents[up.pop()]:
                if parent in below:
                    return True
                if parent not in above:
                    above.add(parent)
                    up.append(parent)
        return False

    def upstream(self, cell_id: CellId_t) -> Iterator[CellId_t]:
        """Yield the ancestors of a cell, the nearest first."""
        return _reached(self.parents, (cell_id,), seen={cell_id})

    def below(self, cell_ids: Iterable[CellId_t]) -> set[CellId_t]:
        """Return every cell that is below one of these."""
        return set(_reached(self.children, cell_ids, seen=set()))


def _reached(
    edges_of: Mapping[CellId_t, set[CellId_t]], sources: Iterable[CellId_t], seen: set[CellId_t]
) -> Iterator[CellId_t]:
    waiting = list(sources)
    for cell_id in waiting:
        for other in edges_of[cell_id]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
                yield other


@dataclass
class IndexedDefinitions(DefinitionRegistry):
    """marimo's definitions, and which names more than one cell defines."""

    conflicting: set[tuple[str, str]] = field(default_factory=set)

    def register_definition(
        self, cell_id: CellId_t, name: str, variable_data: list[VariableData]
    ) -> set[CellId_t]:
        others = super().register_definition(cell_id, name, variable_data)
        if others:
            self.conflicting.add(self._conflict_key(name, variable_data[-1]))
        return others

    def unregister_definitions(self, cell_id: CellId_t, variable_data: dict[str, list[VariableData]]) -> None:
        super().unregister_definitions(cell_id, variable_data)
        for name, data in variable_data.items():
            key = self._conflict_key(name, data[-1])
            if len(self.definition_conflicts.get(key, ())) <= 1:
                self.conflicting.discard(key)

    def get_multiply_defined(self) -> list[tuple[str, set[CellId_t]]]:
        keys = sorted(self.conflicting, key=lambda key: (self.conflict_names[key], key))
        return [(self.conflict_names[key], self.definition_conflicts[key]) for key in keys]


@dataclass(frozen=True)
class IndexedGraph(DirectedGraph):
    """See the module."""

    topology: IndexedTopology = field(default_factory=IndexedTopology)
    definition_registry: IndexedDefinitions = field(default_factory=IndexedDefinitions)
    stale_cells: StaleCells = field(init=False)
    disabled_cells: set[CellId_t] = field(default_factory=set)  # by their own configuration
    touched: set[CellId_t] = field(default_factory=set)  # cells whose place changed, for who clears it

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
            # Without a way back there is no cycle; where there is one, marimo says which cycles there are.
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
            children.update(self.topology.deleters.get(name, _NONE))
        for name in cell.deleted_refs:
            parents.update(self.topology.referring(name, "python"))
        return parents - {cell_id}, children - {cell_id}

    def delete_cell(self, cell_id: CellId_t) -> set[CellId_t]:
        cell = self.cells.get(cell_id)
        if cell is not None:
            self.touched.update(self.parents[cell_id], (cell_id,))
            own = CellStaleState(cell.stale)  # its id may be another cell's soon
            self.stale_cells.discard(cell_id)
        children = super().delete_cell(cell_id)
        assert cell is not None  # or marimo has raised
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
        closed = stale.are_closed  # then no fresh cell has a stale one above it
        found = set(cell_ids)
        waiting = list(found)
        for cell_id in waiting:
            new = self.parents[cell_id] - found
            if closed:
                new = {one for one in new if one in stale}
            found |= new
            waiting += new
        return {one for one in found if one in stale}

    def set_stale(self, cell_ids: set[CellId_t], prune_imports: bool = False) -> None:  # noqa: FBT001, FBT002  # marimo's signature
        self.stale_cells.update([*cell_ids, *self.fresh_below(cell_ids, prune_imports=prune_imports)])

    def fresh_below(self, cell_ids: Collection[CellId_t], *, prune_imports: bool) -> set[CellId_t]:
        """Return the fresh cells below these, and maybe stale ones.

        `prune_imports`: below a cell that only imports, those that use what it has not imported yet.
        """
        stale = self.stale_cells
        known = stale if stale.are_closed else _NONE  # all that is below these is stale
        relatives = dataflow.get_import_block_relatives(self)
        found = set(cell_ids)
        waiting = [cell_id for cell_id in found if cell_id not in known]
        for cell_id in waiting:
            pruned = prune_imports and self.cells[cell_id].import_workspace.is_import_block
            new = (relatives(cell_id, True) if pruned else self.children[cell_id]) - found  # noqa: FBT003  # marimo's positional flag
            found |= new
            waiting += [one for one in new if one not in known]
        return found.difference(cell_ids)

    def get_stale(self) -> set[CellId_t]:
        return set(self.stale_cells)


class IndexedModules(ModuleRegistry):
    """marimo's list of the modules that cells import."""

    def __init__(self, graph: IndexedGraph) -> None:
        super().__init__(graph)
        self._topology = graph.topology

    def modules(self) -> set[str]:
        return set(self._topology.namespaces)


marimos_sort: Final = dataflow.topological_sort


def topological_sort(graph: GraphTopology, cell_ids: Collection[CellId_t]) -> list[CellId_t]:
    """Do what marimo's function does, without counting all cells to know their order."""
    if not isinstance(graph, IndexedGraph):
        return marimos_sort(graph, cell_ids)
    order, places = graph.topology.order, graph.topology.places

    def place(cell_id: CellId_t) -> tuple[float, int, CellId_t]:
        return places.get(cell_id, inf), order[cell_id], cell_id

    parents, children = dataflow.induced_subgraph(graph, cell_ids)
    waits_for = {cell_id: len(above) for cell_id, above in parents.items()}
    ready = [place(cell_id) for cell_id, count in waits_for.items() if count == 0]
    heapify(ready)
    done: list[CellId_t] = []
    while ready:
        cell_id = heappop(ready)[-1]
        done.append(cell_id)
        for child in children[cell_id]:
            waits_for[child] -= 1
            if waits_for[child] == 0:
                heappush(ready, place(child))
    return done


marimos_cells_to_run: Final = Runner.compute_cells_to_run


def cells_to_run(
    graph: GraphTopology,
    roots: set[CellId_t],
    excluded_cells: set[CellId_t],
    execution_mode: OnCellChangeType,
) -> list[CellId_t]:
    """Do what marimo's method does, without looking at all ancestors of each cell; for lazy runs of this graph."""
    if not isinstance(graph, IndexedGraph) or execution_mode != "lazy":
        return marimos_cells_to_run(cast("Any", graph), roots, excluded_cells, execution_mode)  # marimo's own
    return topological_sort(graph, (roots | graph.stale_above(roots)) - excluded_cells)


def install() -> None:
    """Let marimo's runner find and sort cells by this graph's indexes."""
    setattr(dataflow, "topological_sort", topological_sort)  # noqa: B010  # marimo's own modules look it up there
    setattr(Runner, "compute_cells_to_run", staticmethod(cells_to_run))  # noqa: B010  # as above
