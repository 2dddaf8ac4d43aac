"""The graph as it would be: problems of a changed set of cells, and what would run because of it. Pure.

Works on names alone, as marimo's graph does: a cell depends on those that define what it uses. The names may be those
of versions (`redefinitions.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.protocol.changes import ExpectedRun, GraphProblem
from marimo_kernel_bridge.runtime.interface import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.notebook import Cell
    from marimo_kernel_bridge.runtime.interface import Names


def definers(cells: Mapping[str, Names]) -> dict[str, list[str]]:
    """Return which cells define each name."""
    found: dict[str, list[str]] = {}
    for cell_id, names in cells.items():
        for name in names.defines:
            found.setdefault(name, []).append(cell_id)
    return found


def upstream(cells: Mapping[str, Names]) -> dict[str, frozenset[str]]:
    """Return the cells that each cell directly depends on."""
    defined = definers(cells)
    return {
        cell_id: frozenset(
            other for name in names.uses for other in defined.get(name, ()) if other != cell_id
        )
        for cell_id, names in cells.items()
    }


def below(cells: Mapping[str, Names], changed: Iterable[str]) -> set[str]:
    """Return cells with all that depend on them."""
    users: dict[str, set[str]] = {}
    for cell_id, above in upstream(cells).items():
        for other in above:
            users.setdefault(other, set()).add(cell_id)
    found: set[str] = set()
    waiting = list(changed)
    while waiting:
        cell_id = waiting.pop()
        if cell_id not in found:
            found.add(cell_id)
            waiting.extend(users.get(cell_id, ()))
    return found


def would_run(cells: Sequence[Cell], requested: Iterable[str], *, autorun: bool) -> tuple[ExpectedRun, ...]:
    """Return the cells that run with those requested: the stale ones above and, in autorun mode, all below.

    In the order of `cells`, which have their place in the graph.
    """
    by_id = {cell.cell_id: cell for cell in cells}
    reached = set(requested)
    waiting = list(reached)
    while waiting:
        for above in by_id[waiting.pop()].upstream:
            if above in by_id and above not in reached and by_id[above].stale:
                reached.add(above)
                waiting.append(above)
    waiting = list(reached) if autorun else []
    while waiting:
        for other in by_id[waiting.pop()].downstream:
            if other in by_id and other not in reached:
                reached.add(other)
                waiting.append(other)
    return tuple(ExpectedRun(cell.cell_id, cell.duration) for cell in cells if cell.cell_id in reached)


def problems(before: Mapping[str, Names], after: Mapping[str, Names]) -> list[GraphProblem]:
    """Return the problems that `after` has and `before` had not."""
    known = {(problem.kind, problem.names, problem.cells) for problem in _all_problems(before)}
    found = [
        problem
        for problem in _all_problems(after)
        if (problem.kind, problem.names, problem.cells) not in known
    ]
    lost = _plain(definers(before)) - _plain(definers(after))
    for cell_id, names in after.items():
        missing = tuple(sorted(_plain(names.uses) & lost))
        if missing:
            text = f"{cell_id} uses {', '.join(missing)}, which no cell would define any more."
            found.append(GraphProblem("undefined_name", text, (cell_id,), missing))
    return found


def _plain(names: Iterable[str]) -> set[str]:
    return set(map(plain_name, names))


def _all_problems(cells: Mapping[str, Names]) -> list[GraphProblem]:
    found = [
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
    number = {cell_id: index for index, cell_id in enumerate(ids)}
    above = upstream(cells)
    for group in cycles({number[one]: {number[other] for other in above[one]} for one in ids}):
        members = tuple(ids[index] for index in group)
        shared = {name for one in members for name in cells[one].uses} & {
            name for one in members for name in cells[one].defines
        }
        names = tuple(sorted(_plain(shared)))
        text = f"{', '.join(members)} would wait for each other through {', '.join(names)}. Merge them."
        found.append(GraphProblem("cycle", text, members, names))
    return found
