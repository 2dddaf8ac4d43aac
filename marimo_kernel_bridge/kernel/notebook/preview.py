"""A preview of the graph: the problems of a changed set of cells, and the cells that a run would run. Pure.

Works on names alone, as marimo's graph does: a cell depends on those that define what it uses. The names may be those
of versions (`versions.redefinitions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.protocol.changes import ExpectedRun, GraphProblem
from marimo_kernel_bridge.runtime.interface import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.notebook import Cell
    from marimo_kernel_bridge.runtime.interface import Names


@dataclass(frozen=True)
class Edges:
    """The edges of a graph of cells. A cell without a place in the graph has no entry."""

    upstream: Mapping[str, Collection[str]]
    downstream: Mapping[str, Collection[str]]

    @classmethod
    def of_cells(cls, cells: Sequence[Cell]) -> Edges:
        """Return the edges of cells that have their place in the graph."""
        return cls(
            {cell.cell_id: cell.upstream for cell in cells}, {cell.cell_id: cell.downstream for cell in cells}
        )

    @classmethod
    def of_names(cls, cells: Mapping[str, Names]) -> Edges:
        """Return the edges of a graph in which cells have these names."""
        cells_by_name = definers(cells)
        upstream = {
            cell_id: {other for name in names.uses for other in cells_by_name.get(name, ())} - {cell_id}
            for cell_id, names in cells.items()
        }
        downstream: dict[str, set[str]] = {cell_id: set() for cell_id in cells}
        for cell_id, parents in upstream.items():
            for parent in parents:
                downstream[parent].add(cell_id)
        return cls(upstream, downstream)


def definers(cells: Mapping[str, Names]) -> dict[str, list[str]]:
    """Return the cells that define each name."""
    cells_by_name: dict[str, list[str]] = {}
    for cell_id, names in cells.items():
        for name in names.defines:
            cells_by_name.setdefault(name, []).append(cell_id)
    return cells_by_name


def would_run(
    edges: Edges,
    requested: Sequence[str],
    cells: Sequence[Cell],
    *,
    stale: Container[str],
    autorun: bool,
    needed: Callable[[Iterable[str]], Iterable[str]] = lambda _: (),
) -> tuple[ExpectedRun, ...]:
    """Return the cells that run with those requested: their stale ancestors and, in autorun mode, all descendants.

    `needed` returns the cells that must run again before others. In the order of `cells`, which need not have all cells
    of the graph, then in the order of the graph.
    """
    running: set[str] = set()
    added = set(requested)
    while added:
        running |= added
        _extend(running, lambda cell_id: [up for up in edges.upstream.get(cell_id, ()) if up in stale])
        if autorun:
            _extend(running, lambda cell_id: edges.downstream.get(cell_id, ()))
        added = set(needed(running)) - running
    durations = {cell.cell_id: cell.duration for cell in cells}
    in_order = dict.fromkeys([*durations, *edges.upstream, *requested])
    return tuple(ExpectedRun(cell_id, durations.get(cell_id)) for cell_id in in_order if cell_id in running)


def _extend(reached: set[str], following: Callable[[str], Iterable[str]]) -> None:
    """Add to a set of cells all that follow from them."""
    waiting = list(reached)
    while waiting:
        new = set(following(waiting.pop())) - reached
        reached |= new
        waiting += new


def problems(
    before: Mapping[str, Names], after: Mapping[str, Names], broken: Collection[str] = ()
) -> list[GraphProblem]:
    """Return the problems of the graph `after` that the graph `before` does not have.

    `broken` are cells that are in no graph because of their new code. Who uses what they defined is not told.
    """
    existing = {(problem.kind, problem.names, problem.cells) for problem in _all_problems(before)}
    new = [
        problem
        for problem in _all_problems(after)
        if (problem.kind, problem.names, problem.cells) not in existing
    ]
    unknown = {name for cell_id in broken if cell_id in before for name in before[cell_id].defines}
    lost = _plain(definers(before)) - _plain(definers(after)) - _plain(unknown)
    for cell_id, names in after.items():
        missing = tuple(sorted(_plain(names.uses) & lost))
        if missing:
            text = f"{cell_id} uses {', '.join(missing)}, which no cell would define any more."
            new.append(GraphProblem("undefined_name", text, (cell_id,), missing))
    return new


def _plain(names: Iterable[str]) -> set[str]:
    return set(map(plain_name, names))


def _all_problems(cells: Mapping[str, Names]) -> list[GraphProblem]:
    graph_problems = [
        GraphProblem(
            "multiple_definition",
            f"`{name}` would be defined by {' and '.join(ids)}. One cell defines a name: rename it in one of them, "
            f"or call it `_{name}` to keep it local.",
            tuple(ids),
            (name,),
        )
        for name, ids in sorted(definers(cells).items())
        if len(ids) > 1
    ]
    ids = list(cells)
    index = {cell_id: number for number, cell_id in enumerate(ids)}
    upstream = Edges.of_names(cells).upstream
    for cycle in cycles({index[cell_id]: {index[up] for up in upstream[cell_id]} for cell_id in ids}):
        members = tuple(ids[number] for number in cycle)
        used = {name for cell_id in members for name in cells[cell_id].uses}
        shared = used & {name for cell_id in members for name in cells[cell_id].defines}
        names = tuple(sorted(_plain(shared)))
        text = f"{', '.join(members)} would wait for each other through {', '.join(names)}. Merge them."
        graph_problems.append(GraphProblem("cycle", text, members, names))
    return graph_problems
