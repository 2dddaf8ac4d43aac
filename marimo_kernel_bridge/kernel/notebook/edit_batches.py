"""Plans for batches of edits: checked against the present cells and the names of the graph, and ready to be applied.

Changes nothing; `agent_edits` applies a plan that the graph accepts.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.cells import Entry
from marimo_kernel_bridge.kernel.notebook import preview
from marimo_kernel_bridge.kernel.versions.graph_names import names_in_graph, reads_change
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    ChangeCell,
    DeleteCell,
    GraphProblem,
    MoveCell,
)
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK, Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable
    from marimo_kernel_bridge.kernel.versions.redefinitions import Redefinitions
    from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow
    from marimo_kernel_bridge.protocol.changes import Change, ExpectedRun
    from marimo_kernel_bridge.runtime.interface import Names, Node, Runtime


@dataclass(frozen=True)
class Plan:
    """A batch that fits the present cells. `changes` name cells by the kernel's ids.

    `prepared` are the new bodies, by the id that the cell will have and its code.
    """

    changes: tuple[Change, ...]
    problems: tuple[GraphProblem, ...]
    would_run: tuple[ExpectedRun, ...]
    prepared: Mapping[tuple[str, str], Body]

    @property
    def fits(self) -> bool:
        """Whether the graph accepts the batch."""
        return all(problem.kind == "undefined_name" for problem in self.problems)


@dataclass(frozen=True)
class Graph:
    """The graph that a batch is planned for: its nodes, the parser of cells, and the versions of names.

    `kept` are flows of values that this thread has kept from earlier plans.
    """

    nodes: Mapping[str, Node]
    runtime: Runtime
    redefinitions: Redefinitions
    kept: list[ValueFlow] | None = None
    stale: frozenset[str] = frozenset()


def plan(  # noqa: PLR0917  # its independent inputs
    changes: Sequence[Change],
    cells: CellTable,
    graph: Graph,
    prepare: Callable[[Entry, str], Body],
    address: Address,
    requested: Sequence[str] = (),
) -> Plan:
    """Check a batch and preview its effects. `requested` are cells that run as they are.

    Raises `BridgeError`: no_such_cell, stale_version, bad_request.
    """
    runtime, redefinitions = graph.runtime, graph.redefinitions
    resolved = _resolved(changes, cells) if changes or not requested else ()
    before = {cell_id: node.names for cell_id, node in graph.nodes.items()}
    after = dict(before)
    bodies = {entry.cell.cell_id: entry.body for entry in cells if entry.body is not None}
    flow_before = redefinitions.expected_flow(_among(bodies, before), graph.kept)
    in_graph_before = names_in_graph(flow_before, before)
    problems: list[GraphProblem] = []
    changed: list[str] = []
    prepared: dict[tuple[str, str], Body] = {}
    coming = iter(cells.new_ids.coming(sum(isinstance(change, AddCell) for change in resolved)))
    added = 0
    for change in resolved:
        match change:
            case DeleteCell(cell_id=cell_id):
                after.pop(cell_id, None)
                bodies.pop(cell_id, None)
            case AddCell(code=code, after=behind, first=first):
                added += 1
                cell_id = f"new{added}"
                own_id = next(
                    coming
                )  # the id that the cell will have, so that what is cached by id stays valid
                body = prepared[own_id, code] = prepare(Entry(_draft(own_id, code), address), code)
                bodies[cell_id] = _try(cell_id, own_id, body, runtime, after, problems)
                if behind is not None or first:
                    bodies = _placed(bodies, cell_id, behind)
                changed.append(cell_id)
            case ChangeCell(cell_id=cell_id, code=code):
                body = prepared[cell_id, code] = prepare(cells[cell_id], code)
                bodies[cell_id] = _try(cell_id, cell_id, body, runtime, after, problems)
                changed.append(cell_id)
            case MoveCell(cell_id=cell_id, after=behind):
                bodies = _placed(bodies, cell_id, behind)
    flow = redefinitions.expected_flow(_among(bodies, after), graph.kept)
    after = names_in_graph(flow, after)
    broken = {problem.cells[0] for problem in problems}
    problems += preview.problems(in_graph_before, after, broken)
    orphans = [problem.cells[0] for problem in problems if problem.kind == "undefined_name"]
    would_run = preview.would_run(
        preview.Edges.of_names(after),
        [*requested, *changed, *orphans, *sorted(reads_change(flow_before, flow))],
        [entry.cell for entry in cells],
        stale=graph.stale,
        autorun=True,
        needed=lambda running: redefinitions.makers_needed(running, flow),
    )
    return Plan(resolved, tuple(problems), would_run, prepared)


def _resolved(changes: Sequence[Change], cells: CellTable) -> tuple[Change, ...]:
    """Return the changes with the kernel's own ids. Raises as `plan` does."""
    if not changes:
        raise BridgeError("bad_request", "The batch is empty.", "Give at least one change.")
    resolved: list[Change] = []
    touched: set[str] = set()
    added: set[str] = set()
    conflicts: list[str] = []
    for change in changes:
        if isinstance(change, AddCell | MoveCell) and change.after is not None and change.after not in added:
            change = msgspec.structs.replace(change, after=cells.find(change.after).cell.cell_id)  # noqa: PLW2901  # the same change
        if isinstance(change, AddCell):
            added.add(f"new{len(added) + 1}")
        else:
            cell = cells.find(change.cell_id).cell
            if cell.version != change.version:
                who = "the person" if cell.edited_by == NOTEBOOK else cell.edited_by
                conflicts.append(
                    f"{cell.cell_id} is at version {cell.version}, not {change.version}, by {who}. Its text now:\n{cell.code}"
                )
            if cell.cell_id in touched:
                raise BridgeError(
                    "bad_request", f"The batch changes cell {cell.cell_id} twice.", "Make it one change."
                )
            touched.add(cell.cell_id)
            change = msgspec.structs.replace(change, cell_id=cell.cell_id)  # noqa: PLW2901  # the same change
        resolved.append(change)
    if conflicts:
        raise BridgeError(
            "stale_version",
            "Nothing was changed: " + "\n".join(conflicts),
            "Make the batch again for these texts and versions.",
        )
    return tuple(resolved)


def _try(  # noqa: PLR0917  # its independent inputs
    cell_id: str,
    own_id: str,
    body: Body,
    runtime: Runtime,
    after: dict[str, Names],
    problems: list[GraphProblem],
) -> Body:
    names = runtime.parse(own_id, body.code)
    if names is not None and not body.fault:
        after[cell_id] = names
    else:
        after.pop(cell_id, None)
        problems.append(
            GraphProblem("syntax", f"{cell_id}: {body.fault or _why_no_cell(body.code)}", (cell_id,))
        )
    return body


def _among(bodies: Mapping[str, Body], names: Mapping[str, Names]) -> dict[str, Body]:
    """Return the bodies of cells that are in the graph."""
    return {cell_id: body for cell_id, body in bodies.items() if cell_id in names}


def _placed(bodies: dict[str, Body], cell_id: str, behind: str | None) -> dict[str, Body]:
    order = [other for other in bodies if other != cell_id]
    order.insert(0 if behind not in bodies else order.index(behind) + 1, cell_id)
    return {placed: bodies[placed] for placed in order if placed in bodies}


def _why_no_cell(code: str) -> str:
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except ValueError as error:
        return str(error)
    except (RecursionError, MemoryError):  # which the parser raises where its own stack ends
        return "it is nested too deeply."
    return "it cannot be a cell: `import *` hides which names it defines; import the names that are used."


def _draft(cell_id: str, code: str) -> Cell:
    return Cell(cell_id, None, code, 1, "new", stale=False, execution_count=None, edited_by="", last_run_by=None,
                last_run_at=None, duration=None, error=None)  # fmt: skip
