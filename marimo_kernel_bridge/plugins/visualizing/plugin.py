"""The tool: which variable it is about, what it asks the kernel for, and the answer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.plugins import Kernel, Plugin, PluginTool, Refused, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.plugins.visualizing.options import Options

_MOST_IN_SPEC: Final = 40
"""Rows of data in the specification of an answer, unless all are asked for."""

Shape = Literal["auto", "chart", "table", "graph"]


class Visualized(msgspec.Struct, frozen=True, omit_defaults=True):
    """`spec` is Vega-Lite; without its rows, a data set of the variable's name stands for them."""

    variable: str
    type: Shape
    said: str
    spec: dict[str, Any]

    def __str__(self) -> str:
        return self.said


async def visualize(
    kernel: Kernel,
    *,
    data: Annotated[str, Field(max_length=1000, description="A variable, or a cell's id.")],
    type: Annotated[Shape, Field(description="What to draw.")] = "auto",  # noqa: A002  # the natural name for callers
    options: Annotated[
        dict[str, Any],
        Field(description="x, y, color (columns), mark, aggregate, title, rows."),
    ] = {},  # noqa: B006  # never changed
) -> Visualized:
    """Draw a table: a picture and its Vega-Lite spec. Large ones are aggregated or sampled."""
    from marimo_kernel_bridge.plugins.visualizing import charts, graphs, tables  # noqa: PLC0415  # a server starts without them
    from marimo_kernel_bridge.plugins.visualizing.options import parsed  # noqa: PLC0415

    wanted = parsed(options)
    name, seen = await _found(kernel, data, edges=type == "graph")
    shape = _shape(type, seen, wanted)
    if shape == "graph":
        table = await kernel.table(name, graphs.columns_of(seen, wanted), rows=graphs.MOST_EDGES, edges=True)
        spec, said = graphs.drawn(table, wanted)
    elif shape == "table":
        table = await kernel.table(name, wanted.columns, rows=wanted.rows or tables.ROWS)
        spec, said = tables.drawn(table, wanted)
    else:
        plan = charts.planned(seen, wanted)
        table = await kernel.table(
            name, plan.columns, rows=plan.rows, by=plan.by, how=plan.how, bins=plan.bins
        )
        spec, said = charts.drawn(plan, table, wanted)
    picture = await kernel.draw(spec)
    shown = f"{name}, {table.kind}: {said}"
    if not picture.picture:
        shown += f"\n{picture.text}"
    if not wanted.spec_data:
        spec = without_rows(spec, name)
    return Visualized(name, shape, shown, spec)


async def _found(kernel: Kernel, data: str, *, edges: bool) -> tuple[str, Table]:
    """Return the name of a table, and its columns without rows: of a variable, else of what a cell shows or defines."""
    try:
        return data, await kernel.table(data, rows=0, edges=edges)
    except BridgeError as refusal:
        if refusal.code != "no_such_variable":
            raise
        names = await _names_in(kernel, data)
        if names is None:
            raise
    for name in names:
        try:
            return name, await kernel.table(name, rows=0, edges=edges)
        except BridgeError as refusal:
            if refusal.code not in {"not_a_table", "no_such_variable"}:
                raise
    raise Refused(
        f"Cell {data} defines and shows no table by its name.",
        "Give a variable, or assign the value to a name in a cell.",
    )


async def _names_in(kernel: Kernel, cell_id: str) -> Sequence[str] | None:
    """Return the names that a cell may mean: the one in its last line, then those that it defines, the last one first; None for no cell."""
    cells = await kernel.outline()
    cell = next((one for one in cells if cell_id in {one.cell_id, one.notebook_cell_id}), None)
    if cell is None:
        return None
    names = list(reversed(cell.defines))
    try:
        body = ast.parse(cell.code).body
    except (SyntaxError, ValueError, RecursionError):  # magics
        body = []
    if body and isinstance(body[-1], ast.Expr) and isinstance(body[-1].value, ast.Name):
        names.insert(0, body[-1].value.id)
    return list(dict.fromkeys(names))


def _shape(wanted: Shape, seen: Table, options: Options) -> Shape:
    from marimo_kernel_bridge.plugins.visualizing import charts, graphs  # noqa: PLC0415  # a server starts without them

    if wanted != "auto":
        return wanted
    if options.chosen:
        return "chart"
    if graphs.are_ends([column.name for column in seen.columns]):
        return "graph"
    return "chart" if charts.is_chartable(seen) else "table"


def without_rows(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a specification with names of data sets in place of long ones."""
    if isinstance(spec.get("layer"), list):
        spec = spec | {"layer": [without_rows(layer, name) for layer in spec["layer"]]}
    data = spec.get("data")
    if isinstance(data, dict) and len(data.get("values") or ()) > _MOST_IN_SPEC:
        return spec | {"data": {"name": name}}
    return spec


def plugin() -> Plugin:
    """Return the plugin."""
    return Plugin(
        name="Visualizing",
        api=1,
        tools=[PluginTool(visualize, "Draw a table", tier="read")],
    )
