"""The read-only tools: cells, search, dataflow, variables, errors, previews of runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.bounds import LISTS
from marimo_kernel_bridge.mcp_server.answers.cells import CellList, CellView
from marimo_kernel_bridge.mcp_server.answers.notebook import (
    Dataflow,
    ErrorList,
    Preview,
    SearchResult,
    UiElementList,
    VariableList,
    VariableView,
)
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    LIST_BUDGET,
    BudgetArg,
    CellArg,
    CellsArg,
    Ctx,
    KernelArg,
    OffsetArg,
    attached_to,
)
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.edits import EditsArg, changes_of
from marimo_kernel_bridge.mcp_server.tools.given import CodeArg, StructureArg, given_of
from marimo_kernel_bridge.mcp_server.views import cells as cell_views
from marimo_kernel_bridge.mcp_server.views import notebook as notebook_views
from marimo_kernel_bridge.mcp_server.views import search
from marimo_kernel_bridge.mcp_server.views.window import Window

SkipArg = Annotated[int, Field(ge=0, description="How many to skip, to read on.")]
LimitArg = Annotated[int, Field(ge=1, le=500, description="How many.")]
WhichArg = Annotated[
    Literal["stale", "all"] | None, Field(description="All stale cells, or all cells, instead of cell_ids.")
]


@tool("Outline the notebook", needs="read", reads=True)
async def list_cells(
    ctx: Ctx,
    *,
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: LimitArg = 100,
    structure_override: StructureArg = None,
    code_override: CodeArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, CellList]:
    """Outline the notebook: each cell's kind, first line, names it defines and uses, status, stale or not, last run.

    As the person sees it now, with unsaved text and Markdown, if their front end has the extension; else from the saved
    file, else from the kernel: the answer says which.
    """
    attached = attached_to(ctx, kernel)
    given = given_of(structure_override, code_override)
    view = await cell_views.cell_list(attached, offset, limit, given)
    return answer(replace(view, note=attached.news()), attached.redactor, budget=max_chars)


@tool("Read a cell", needs="read", reads=True)
async def read_cell(
    ctx: Ctx,
    *,
    cell_id: CellArg,
    kernel: KernelArg = None,
    offset: OffsetArg = 0,
    code_override: CodeArg = None,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, CellView]:
    """Read one cell's text, version, place in the graph and outputs, with images.

    The text is what the person sees now; it says where that is not what ran.
    """
    attached = attached_to(ctx, kernel)
    window, given = Window(max_chars, offset), given_of(None, code_override)
    view, images = await cell_views.cell_view(attached, cell_id, window, given)
    return answer(view, attached.redactor, images, budget=max(max_chars, LISTS), full=view.full)


@tool("Search code and outputs", needs="read", reads=True)
async def search_cells(
    ctx: Ctx,
    *,
    query: Annotated[
        str, Field(min_length=1, max_length=200, description="Plain text; case does not matter.")
    ],
    regex: Annotated[bool, Field(description="query is a Python regular expression, for each line.")] = False,
    kernel: KernelArg = None,
    limit: LimitArg = 50,
    structure_override: StructureArg = None,
    code_override: CodeArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, SearchResult]:
    """Find text in all cells, Markdown too, and in text outputs: which cell, which line."""
    attached = attached_to(ctx, kernel)
    given = given_of(structure_override, code_override)
    view = await search.search_result(attached, query, limit, given, regex=regex)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Read what depends on what", needs="read", reads=True)
async def read_dataflow(
    ctx: Ctx,
    *,
    cell_id: Annotated[
        str | None, Field(description="Id from list_cells, or the notebook's own. Give this or variable.")
    ] = None,
    variable: Annotated[str | None, Field(description="A global name. Give this or cell_id.")] = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, Dataflow]:
    """Return what a cell or a variable depends on and what depends on it, however far, and through which names.

    That is what a change would reach; preview_run says how long it takes.
    """
    attached = attached_to(ctx, kernel)
    view = await notebook_views.dataflow(attached, cell_id, variable)
    return answer(view, attached.redactor, budget=max_chars)


@tool("List variables", needs="read", reads=True)
async def list_variables(
    ctx: Ctx,
    *,
    query: Annotated[
        str, Field(max_length=200, description="Only names that contain this; case does not matter.")
    ] = "",
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: LimitArg = 100,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, VariableList]:
    """List the variables: type, size or value, the cell that defines each, and which are marimo UI elements.

    Runs no code of the values.
    """
    attached = attached_to(ctx, kernel)
    view = await notebook_views.variable_list(attached, query, offset, limit)
    return answer(view, attached.redactor, budget=max_chars)


@tool("List UI elements and widgets", needs="read", reads=True)
async def list_ui_elements(
    ctx: Ctx,
    *,
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: LimitArg = 100,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, UiElementList]:
    """List the marimo UI elements and ipywidgets that set_ui_value can set: kind, value, which values each takes."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.ui_element_list(attached, offset, limit)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Read a variable", needs="read", reads=True)
async def read_variable(
    ctx: Ctx,
    *,
    variable: Annotated[str, Field(description="A global name, from list_variables.")],
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: Annotated[int, Field(ge=1, le=100, description="How many rows or items to sample.")] = 5,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, VariableView]:
    """Look into a variable: a table's columns, types and first rows, an array's shape and range, a container's items.

    Knows pandas, Polars, Arrow, NumPy and Python's own containers; shows other objects' attributes. Never calls an
    object's str or repr. While a cell runs it returns types and sizes only.
    """
    attached = attached_to(ctx, kernel)
    view = await notebook_views.variable_view(attached, variable, limit, offset)
    return answer(view, attached.redactor, budget=max_chars)


@tool("List errors", needs="read", reads=True)
async def list_errors(
    ctx: Ctx,
    *,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, ErrorList]:
    """List what is wrong in the notebook: cell, line, kind, message, what to do, and which cells did not run due to it."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.error_list(attached)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Preview a run or edits", needs="read", reads=True)
async def preview_run(
    ctx: Ctx,
    *,
    cell_ids: CellsArg = [],  # noqa: B006  # never changed
    which: WhichArg = None,
    edits: EditsArg = [],  # noqa: B006  # never changed
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, Preview]:
    """Before running or editing: which cells would run, how long each took the last time, and, for edits, what the
    graph would say (cycles, syntax, names that no cell defines any more). Changes nothing.

    Give one of cell_ids, which and edits (as for edit_cells).
    """  # noqa: D205  # a single sentence
    attached = attached_to(ctx, kernel)
    changes = await changes_of(attached, edits) if edits else ()
    view = await notebook_views.preview(attached, cell_ids, which, changes)
    return answer(view, attached.redactor, budget=max_chars)
