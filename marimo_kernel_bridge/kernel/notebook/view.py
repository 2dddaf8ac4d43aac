"""Reads of the notebook for any thread: frozen values of cells with their place in the graph.

Owns what the graph has published: its nodes and which cells are stale. The main thread replaces those; readers see the
old value or the new one and take no lock. Changes no cell.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from marimo_kernel_bridge.analysis.observations import file_path, is_file_name
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs, Outline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.protocol.changes import ExpectedRun
    from marimo_kernel_bridge.protocol.notebook import Cell
    from marimo_kernel_bridge.runtime.interface import Node


class PublishedGraph:
    """The graph as published for readers, and the stale cells. Written on the main thread only."""

    def __init__(self) -> None:
        self.stale: frozenset[str] = frozenset()
        # Versions whose makers must run again before they are read.
        self.consumed: frozenset[str] = frozenset()
        # Names by cell: mutations of their objects are not seen.
        self.unwatched: Mapping[str, frozenset[str]] = {}
        self.vocabulary = object()
        """Replaced when a name is defined that was not, or is not any more."""
        self._nodes: dict[str, Node] = {}
        self._definers: Counter[str] = Counter()  # of each name that any cell defines: how many cells do

    def update(self, changed: Mapping[str, Node | None]) -> None:
        """Replace the nodes of cells; None: the cell left the graph."""
        old_nodes = [
            self._nodes.pop(cell_id) if node is None else self._nodes[cell_id]
            for cell_id, node in changed.items()
            if cell_id in self._nodes
        ]
        names = len(self._definers)
        for cell_id, node in changed.items():
            if node is not None:
                self._nodes[cell_id] = node
                self._definers.update(node.names.defines)
        same = len(self._definers) == names
        for old in old_nodes:
            for name in old.names.defines:
                self._definers[name] -= 1
                if not self._definers[name]:
                    del self._definers[name]
                    same = False
        if not same:
            self.vocabulary = object()

    def nodes(self) -> dict[str, Node]:
        """Return the graph."""
        return dict(self._nodes)

    def node(self, cell_id: str) -> Node | None:
        """Return a cell's place in the graph, None if it has none."""
        return self._nodes.get(cell_id)

    def is_unusable(self, node: Node, maker: str) -> bool:
        """Return whether a cell must run again before another one reads what it has made."""
        from marimo_kernel_bridge.kernel.versions.graph_names import is_gone  # noqa: PLC0415  # only agents ask
        from marimo_kernel_bridge.runtime.interface import version_name  # noqa: PLC0415  # likewise

        made = self._nodes.get(maker)
        defines = frozenset() if made is None else made.names.defines
        return any(
            version_name(name, maker) in self.consumed or is_gone(name, defines)
            for name in node.names.uses & defines
        )

    def is_defined(self, name: str) -> bool:
        """Return whether any cell defines a name."""
        return name in self._definers


class _Place(NamedTuple):
    """What the graph says of a cell. `vocabulary` are the names that any cell defines, as an identity."""

    node: Node | None
    stale: bool
    unwatched: frozenset[str]
    vocabulary: object


class NotebookView:
    """The notebook for readers on any thread, also while the main thread runs a cell."""

    def __init__(self, cells: CellTable, graph: PublishedGraph) -> None:
        self._cells = cells
        self._graph = graph
        self._known: dict[
            str, tuple[Cell, _Place, Cell]
        ] = {}  # placed cells, each with what it was made from

    def snapshot(self) -> list[Cell]:
        """Return all cells with their place in the graph."""
        if len(self._known) > 2 * len(self._cells) + 100:
            self._known = {}  # of cells that are gone
        return [self._placed(entry.cell) for entry in self._cells if not entry.deleted]

    def outline(self, offset: int, limit: int) -> Outline:
        """Return some of the cells with their place in the graph."""
        cells = [entry.cell for entry in self._cells if not entry.deleted]
        return Outline(tuple(self._placed(cell) for cell in cells[offset : offset + limit]), len(cells))

    def cell(self, cell_id: str) -> Cell:
        """Return a cell with its place in the graph. Raises `BridgeError`: no_such_cell."""
        return self._placed(self._cells.find(cell_id).cell)

    def read(self, cell_id: str) -> CellWithOutputs:
        """Return a cell and its outputs. Raises `BridgeError`: no_such_cell."""
        entry = self._cells.find(cell_id)
        return CellWithOutputs(self._placed(entry.cell), entry.log.outputs())

    def defined_by(self, cell_id: str) -> frozenset[str]:
        """Return the names that a cell defines."""
        node = self._graph.node(cell_id)
        return frozenset() if node is None else node.names.defines

    @property
    def stale(self) -> tuple[str, ...]:
        """Ids of the stale cells."""
        return tuple(sorted(self._graph.stale))

    def would_run(self, cell_ids: Iterable[str], *, autorun: bool) -> tuple[ExpectedRun, ...]:
        """Return the cells that running some would run. Raises `BridgeError`: no_such_cell."""
        from marimo_kernel_bridge.kernel.notebook.preview import Edges, would_run  # noqa: PLC0415  # only agents ask

        requested = [self._cells.find(cell_id).cell.cell_id for cell_id in cell_ids]
        cells = self.snapshot()
        stale = {cell.cell_id for cell in cells if cell.stale}
        return would_run(
            Edges.of_cells(cells), requested, cells, stale=stale, autorun=autorun, needed=self._makers_needed
        )

    def _makers_needed(self, cell_ids: Iterable[str]) -> set[str]:
        """Return the cells that must run again before these: their objects were mutated since, or their files removed."""
        makers: set[str] = set()
        waiting = list(cell_ids)
        while waiting:
            node = self._graph.node(waiting.pop())
            for maker in node.upstream - makers if node is not None else ():
                if node is not None and self._graph.is_unusable(node, maker):
                    makers.add(maker)
                    waiting.append(maker)
        return makers

    def _placed(self, cell: Cell) -> Cell:
        """Return a cell with its place in the graph."""
        graph, cell_id = self._graph, cell.cell_id
        unwatched = graph.unwatched.get(cell_id, frozenset())
        place = _Place(graph.node(cell_id), cell_id in graph.stale, unwatched, graph.vocabulary)
        known = self._known.get(cell_id)
        if known is not None and known[0] is cell and known[1] == place:
            return known[2]
        placed = self._place(cell, place)
        node = place.node
        if node is None or not any(
            map(is_file_name, (*node.names.defines, *node.names.uses))
        ):  # shown from the working directory
            self._known[cell_id] = cell, place, placed
        return placed

    def _place(self, cell: Cell, place: _Place) -> Cell:
        node = place.node
        if node is None:
            return replace(cell, stale=place.stale)
        return replace(
            cell,
            stale=place.stale,
            defines=tuple(sorted(map(_shown, node.names.defines))),
            uses=tuple(sorted(_shown(name) for name in node.names.uses if self._graph.is_defined(name))),
            upstream=tuple(sorted(node.upstream)),
            downstream=tuple(sorted(node.downstream)),
            not_watched=tuple(sorted(place.unwatched)),
        )


def _shown(name: str) -> str:
    """Return a name as people and agents see it: that of a file is its path, from the working directory if there is one."""
    if not is_file_name(name):
        return name
    from marimo_kernel_bridge.startup.working_directory import working_directory  # noqa: PLC0415  # not used before a cell has run

    path, folder = file_path(name), working_directory()
    if not os.path.isabs(path):  # noqa: PTH117  # what a module has under a name
        return path
    entries = os.sep if path.endswith(os.sep) else ""  # of a folder
    return f"{os.path.relpath(path, folder)}{entries}" if folder else path
