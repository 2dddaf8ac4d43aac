"""The order of a run: by position in the document if cells have one, else by registration. Does not visit all cells."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from marimo._runtime import dataflow
from marimo._runtime.runner.cell_runner import Runner

from marimo_kernel_bridge.runtime.graph.indexed_graph import IndexedGraph

if TYPE_CHECKING:
    from collections.abc import Collection

    from marimo._config.config import OnCellChangeType
    from marimo._runtime.dataflow.topology import GraphTopology
    from marimo._types.ids import CellId_t

marimos_sort: Final = dataflow.topological_sort


def topological_sort(graph: GraphTopology, cell_ids: Collection[CellId_t]) -> list[CellId_t]:
    """Do what marimo's function does, without numbering all cells."""
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
    """Do what marimo's method does, without visiting all ancestors of each cell; for lazy runs of this graph."""
    if not isinstance(graph, IndexedGraph) or execution_mode != "lazy":
        return marimos_cells_to_run(cast("Any", graph), roots, excluded_cells, execution_mode)  # marimo's own
    return topological_sort(graph, (roots | graph.stale_above(roots)) - excluded_cells)
