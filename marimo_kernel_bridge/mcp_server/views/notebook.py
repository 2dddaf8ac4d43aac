"""Answers about the whole notebook: dataflow, variables, errors, previews of runs.

They use the control channel, so that they are available while a cell runs, except for samples of variables and previews
of new code. The requests for one answer are sent together: a busy kernel answers all when it gets to the first.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.deaths import died
from marimo_kernel_bridge.mcp_server.answers.durations import took as in_words
from marimo_kernel_bridge.mcp_server.answers.notebook import (
    ColumnLine,
    Dataflow,
    ErrorList,
    ExpectedCell,
    FlowCell,
    Preview,
    UiElementLine,
    UiElementList,
    VariableLine,
    VariableList,
    VariableView,
)
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.views.errors import problems
from marimo_kernel_bridge.mcp_server.views.run_costs import hints
from marimo_kernel_bridge.protocol.changes import ChangeCell
from marimo_kernel_bridge.protocol.deaths import still_lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.changes import Change, EditReport, GraphProblem
    from marimo_kernel_bridge.protocol.document_edits import DocumentEdit
    from marimo_kernel_bridge.protocol.inspection import Column
    from marimo_kernel_bridge.protocol.notebook import Cell

Which = Literal["stale", "all"]


async def dataflow(attached: Attached, cell_id: str | None, variable: str | None) -> Dataflow:
    """Follow the graph from a cell or a variable. Raises `BridgeError`: no_such_cell, no_such_variable, bad_request."""
    cells = {cell.cell_id: cell for cell in await attached.client.reads.list_cells()}
    if (cell_id is None) == (variable is None):
        raise BridgeError("bad_request", "Give one of cell_id and variable.", "list_cells has both.")
    if cell_id is not None:
        start = find(cells.values(), cell_id)
        up = await asyncio.to_thread(_reach, cells, start, "upstream")
        down = await asyncio.to_thread(_reach, cells, start, "downstream")
        return Dataflow(f"cell {start.cell_id}", (start.cell_id,), up, down, attached.news())
    assert variable is not None
    start_cell = next((cell for cell in cells.values() if variable in cell.defines), None)
    if start_cell is None:
        users = [cell.cell_id for cell in cells.values() if variable in cell.uses]
        hint = (
            f"Cells that use it: {', '.join(users)}."
            if users
            else "list_cells shows the names that each cell defines."
        )
        raise BridgeError("no_such_variable", f"No cell defines {variable!r}.", hint)
    down = await asyncio.to_thread(_reach, cells, start_cell, "downstream", variable)
    up = await asyncio.to_thread(_reach, cells, start_cell, "upstream")
    return Dataflow(f"variable {variable}", (start_cell.cell_id,), up, down, attached.news())


def find(cells: Iterable[Cell], cell_id: str) -> Cell:
    """Return a cell by the kernel's id or the notebook's. Raises `BridgeError`: no_such_cell."""
    for cell in cells:
        if cell_id in {cell.cell_id, cell.notebook_cell_id}:
            return cell
    raise BridgeError("no_such_cell", f"The kernel has no cell {cell_id!r}.", "list_cells shows their ids.")


def _reach(
    cells: dict[str, Cell], start: Cell, way: Literal["upstream", "downstream"], only: str | None = None
) -> tuple[FlowCell, ...]:
    reached_cells: dict[str, FlowCell] = {}
    edge, distance = [start], 0
    while edge:
        distance += 1
        reached: list[Cell] = []
        for cell in edge:
            for other_id in getattr(cell, way):
                other = cells.get(other_id)
                if other is None or other_id in reached_cells or other_id == start.cell_id:
                    continue
                giver, taker = (other, cell) if way == "upstream" else (cell, other)
                names = tuple(sorted(set(giver.defines) & set(taker.uses)))
                if only is not None and distance == 1 and only not in names:
                    continue
                reached_cells[other_id] = FlowCell(
                    other_id, first_line(other.code), distance, names, other.status, other.stale
                )
                reached.append(other)
        edge = reached
    return tuple(reached_cells.values())


async def variable_list(attached: Attached, contains: str, offset: int, limit: int) -> VariableList:
    listed = await attached.client.reads.list_variables()
    matching = [variable for variable in listed if contains.casefold() in variable.name.casefold()]
    modules = tuple(variable.name for variable in matching if variable.type == "module")
    others = [variable for variable in matching if variable.type != "module"]
    lines = tuple(
        VariableLine(variable.name, variable.type, variable.summary, variable.defined_by, variable.ui_element)
        for variable in others[offset : offset + limit]
    )
    return VariableList(lines, len(others), modules, offset, attached.news())


async def ui_element_list(attached: Attached, offset: int, limit: int) -> UiElementList:
    elements = await attached.client.reads.list_ui_elements()
    lines = tuple(
        UiElementLine(
            element.element,
            element.kind,
            element.value,
            element.takes,
            element.label,
            element.defined_by,
            element.runs_readers,
        )
        for element in elements[offset : offset + limit]
    )
    return UiElementList(lines, len(elements), offset, attached.news())


async def variable_view(attached: Attached, name: str, rows: int, offset: int = 0) -> VariableView:
    content = await attached.client.reads.inspect_variable(name, rows, offset)
    variable = content.variable
    note = (
        "" if content.sampled else "The kernel runs a cell: what is in the variable is read when it is idle."
    )
    return VariableView(
        name=variable.name,
        type=variable.type,
        summary=variable.summary,
        cell_id=variable.defined_by,
        ui_element=variable.ui_element,
        columns=tuple(map(_column, content.columns)),
        total_columns=None if content.total_columns == len(content.columns) else content.total_columns,
        rows=content.rows,
        total_rows=content.total_rows,
        items=content.items,
        total_items=content.total_items,
        offset=offset,
        facts=content.facts,
        labels=content.labels,
        note=" ".join(filter(None, (attached.news(), note))),
    )


def _column(column: Column) -> ColumnLine:
    facts = [f"{column.nulls} null{'' if column.nulls == 1 else 's'}" if column.nulls else ""]
    if column.least:
        facts.append(f"{column.least} to {column.most}")
    if column.distinct is not None and not (column.top and column.distinct <= len(column.top)):
        facts.append(f"{column.distinct} distinct")
    facts.append(", ".join(f"{value} ({count})" for value, count in column.top))
    return ColumnLine(column.name, column.dtype, "; ".join(filter(None, facts)))


async def error_list(attached: Attached) -> ErrorList:
    reads = attached.client.reads
    cells, environment, kernel = await asyncio.gather(
        reads.list_cells(), reads.environment(), reads.describe()
    )
    missing = environment.missing
    stale = tuple(cell.cell_id for cell in cells if cell.stale)
    found = await asyncio.to_thread(problems, cells, missing)
    made = [name for cell in cells if cell.status == "ok" for name in cell.defines]
    death = kernel.died if kernel.died is not None and (not cells or still_lost(kernel.died, made)) else None
    return ErrorList(tuple(found), len(cells), missing, stale, attached.news(), died(death))


async def preview(
    attached: Attached, cell_ids: Sequence[str], which: Which | None, changes: Sequence[Change]
) -> Preview:
    """Return the cells that running cells, or applying changes, would run. Raises `BridgeError`."""
    listed, kernel = await asyncio.gather(
        attached.client.reads.list_cells(), attached.client.reads.describe()
    )
    cells, mode = {cell.cell_id: cell for cell in listed}, kernel.mode
    if changes:
        report = await _expected(attached, changes)
        texts = {change.cell_id: change.code for change in changes if isinstance(change, ChangeCell)}
        cells |= {  # the expected runs
            name: replace(cell, code=texts[named])
            for name, cell in cells.items()
            for named in (cell.notebook_cell_id, name)
            if named is not None and named in texts
        }
        seconds = {expected.cell_id: expected.last_seconds for expected in report.would_run}
        refused = [problem for problem in report.problems if problem.kind != "undefined_name"]
        message = "These edits would be refused: nothing would change." if refused else ""
        return _preview(cells, seconds, mode, attached.news(), message, report.problems)
    expected_runs = await attached.client.reads.preview_run(chosen(listed, cell_ids, which))
    seconds = {expected.cell_id: expected.last_seconds for expected in expected_runs}
    return _preview(cells, seconds, mode, attached.news())


async def _expected(attached: Attached, changes: Sequence[Change]) -> EditReport | DocumentEdit:
    """Return the effects that changes would have, in the document if one is open."""
    if await attached.client.document.read() is None:
        return await attached.client.reads.preview_edits(changes)
    return await attached.client.document.edit(changes, dry_run=True)


def chosen(cells: Iterable[Cell], cell_ids: Sequence[str], which: Which | None) -> list[str]:
    """Return the ids of the cells in a call's arguments. Raises `BridgeError`: no_such_cell, bad_request."""
    cells = list(cells)
    if bool(cell_ids) == (which is not None):
        raise BridgeError("bad_request", "Give one of cell_ids and which.", 'which is "stale" or "all".')
    if cell_ids:
        ids = {
            name: cell.cell_id
            for cell in reversed(cells)
            for name in (cell.notebook_cell_id, cell.cell_id)
            if name is not None
        }
        return [ids.get(cell_id) or find(cells, cell_id).cell_id for cell_id in cell_ids]
    return [cell.cell_id for cell in cells if which == "all" or cell.stale]


def _preview(  # noqa: PLR0917  # six facts, one answer
    cells: dict[str, Cell],
    seconds: dict[str, float | None],
    mode: str,
    note: str,
    message: str = "",
    problems: tuple[GraphProblem, ...] = (),
) -> Preview:
    expected = tuple(
        ExpectedCell(
            cell_id,
            first_line(cells[cell_id].code) if cell_id in cells else "(new)",
            last,
            stale=cell_id in cells and cells[cell_id].stale,
        )
        for cell_id, last in seconds.items()
    )
    total = sum(last for last in seconds.values() if last is not None)
    unknown = sum(last is None for last in seconds.values())
    count = f"{len(expected)} cell{'' if len(expected) == 1 else 's'} would run"
    took = f"; the last time they took {in_words(total)}" if expected else ""
    never = f", {unknown} never ran" if unknown else ""
    lazy = " Lazy mode: what depends on them becomes stale and waits." if mode == "lazy" else ""
    text = message or f"{count}{took}{never}.{lazy}"
    codes = {cell_id: cells[cell_id].code for cell_id in seconds if cell_id in cells}
    mo = any("mo" in cell.defines for cell in cells.values())
    return Preview(text, expected, total, unknown, problems, hints(codes, seconds, mo=mo), note)
