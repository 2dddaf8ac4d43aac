"""The indexes of `IndexedGraph`: which cells use a name, which names more than one cell defines.

Updated when cells are added and removed; the results are those that marimo finds by visiting all cells.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo._runtime.dataflow import edges
from marimo._runtime.dataflow.definitions import DefinitionRegistry
from marimo._runtime.dataflow.topology import MutableGraphTopology

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from marimo._ast.cell import CellImpl
    from marimo._ast.visitor import VariableData
    from marimo._types.ids import CellId_t

NONE: Final[frozenset[Any]] = frozenset()  # of cell ids or of names


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
        """Return the result of marimo's `get_referring_cells`; the caller must not modify it."""
        if language == "python":
            return self.users.get(name, NONE)
        return edges.get_referring_cells(name, "sql", MutableGraphTopology(self.sql_cells))

    def leads_to(self, sources: Iterable[CellId_t], targets: Iterable[CellId_t]) -> bool:
        """Return whether one of `targets` is, or is below, one of `sources`.

        Alternates between searching down and up, so that it takes about as long as the shorter search.
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
        """Yield the ancestors of a cell, nearest first."""
        return _reached(self.parents, (cell_id,), seen={cell_id})

    def below(self, cell_ids: Iterable[CellId_t]) -> set[CellId_t]:
        """Return all descendants of these cells."""
        return set(_reached(self.children, cell_ids, seen=set()))

    def above(self, cell_ids: Iterable[CellId_t]) -> set[CellId_t]:
        """Return all ancestors of these cells."""
        return set(_reached(self.parents, cell_ids, seen=set()))


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
    """marimo's definitions, with an index of the names that more than one cell defines."""

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
