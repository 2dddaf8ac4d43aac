"""The read-only tools: cells, search, dataflow, variables, errors, previews of runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import LISTS
from marimo_kernel_bridge.mcp_server.answers.cells import CellList, CellsRead, CellView
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
    CellsArg,
    Ctx,
    KernelArg,
    OffsetArg,
    attached_to,
)
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.edits import EditsArg, changes_of
from marimo_kernel_bridge.mcp_server.tools.given import (
    AsInOutline,
    CodeArg,
    CodeAsInOutline,
    StructureArg,
    given_of,
)
from marimo_kernel_bridge.mcp_server.views import cells as cell_views
from marimo_kernel_bridge.mcp_server.views import notebook as notebook_views
from marimo_kernel_bridge.mcp_server.views import search
from marimo_kernel_bridge.mcp_server.views.window import Window

SkipArg = Annotated[int, Field(ge=0, description="How many to skip.")]
LimitArg = Annotated[int, Field(ge=1, le=500, description="How many.")]
WhichArg = Annotated[Literal["stale", "all"] | None, Field(description="Instead of cell_ids.")]


@tool("Outline the notebook", needs="read", reads=True, brief=("structure_override",))
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
    """Outline the notebook as the person has it: id, version, first line, names defined <- used, Markdown; ok unless it says otherwise."""
    attached = attached_to(ctx, kernel)
    given = given_of(structure_override, code_override)
    view = await cell_views.cell_list(attached, offset, limit, given)
    return answer(replace(view, note=attached.news()), attached.redactor, budget=max_chars)


@tool("Read cell", needs="read", reads=True)
async def read_cell(
    ctx: Ctx,
    *,
    cell_id: Annotated[str | None, Field(description="From list_cells.")] = None,
    cell_ids: Annotated[list[str], Field(max_length=100, description="Or several cells.")] = [],  # noqa: B006  # never changed
    kernel: KernelArg = None,
    offset: OffsetArg = 0,
    code_override: CodeAsInOutline = None,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, CellView | CellsRead]:
    """Read a cell or several: the text that the person sees, version, outputs, pictures, place in the graph."""
    attached = attached_to(ctx, kernel)
    given = given_of(None, code_override)
    if (cell_id is None) == (not cell_ids) or (cell_ids and offset):
        raise BridgeError(
            "bad_request",
            "Give one of cell_id and cell_ids; offset is for one cell.",
            "list_cells has the ids.",
        )
    if cell_id is not None:
        view, images = await cell_views.cell_view(attached, cell_id, Window(max_chars, offset), given)
        return answer(view, attached.redactor, images, budget=max(max_chars, LISTS), full=view.full)
    several, images = await cell_views.cells_read(attached, cell_ids, Window(max_chars), given)
    return answer(several, attached.redactor, images)


@tool("Search code and outputs", needs="read", reads=True, brief=("structure_override",))
async def search_cells(
    ctx: Ctx,
    *,
    query: Annotated[str, Field(min_length=1, max_length=200, description="Text to find, in any case.")],
    regex: Annotated[bool, Field(description="query is a regular expression.")] = False,
    kernel: KernelArg = None,
    limit: LimitArg = 50,
    structure_override: AsInOutline = None,
    code_override: CodeAsInOutline = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, SearchResult]:
    """Find text in code, Markdown and outputs: which cell, which line."""
    attached = attached_to(ctx, kernel)
    given = given_of(structure_override, code_override)
    view = await search.search_result(attached, query, limit, given, regex=regex)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Read what depends on what", needs="read", reads=True)
async def read_dataflow(
    ctx: Ctx,
    *,
    cell_id: Annotated[str | None, Field(description="A cell; or give variable.")] = None,
    variable: Annotated[str | None, Field(description="A global name.")] = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, Dataflow]:
    """Follow what a cell or variable depends on and what depends on it, however far, with the names."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.dataflow(attached, cell_id, variable)
    return answer(view, attached.redactor, budget=max_chars)


@tool("List variables", needs="read", reads=True)
async def list_variables(
    ctx: Ctx,
    *,
    query: Annotated[str, Field(max_length=200, description="A part of the name.")] = "",
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: LimitArg = 100,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, VariableList]:
    """List variables: type, size or value, defining cell."""
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
    """List what set_ui_value can set: kind, value, values that it takes."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.ui_element_list(attached, offset, limit)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Read variable", needs="read", reads=True)
async def read_variable(
    ctx: Ctx,
    *,
    variable: Annotated[str, Field(description="A global name.")],
    kernel: KernelArg = None,
    offset: SkipArg = 0,
    limit: Annotated[int, Field(ge=1, le=100, description="How many rows or items (5).")] = 5,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, VariableView]:
    """Look into a variable: a table's columns (type, nulls, distinct, range, top values) and first rows, an array's range, items, attributes."""
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
    """List failed cells: line, error, what to do, which cells wait for them; packages that are missing."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.error_list(attached)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Preview a run or edits", needs="read", reads=True, brief=("edits",))
async def preview_run(
    ctx: Ctx,
    *,
    cell_ids: CellsArg = [],  # noqa: B006  # never changed
    which: WhichArg = None,
    edits: EditsArg = [],  # noqa: B006  # never changed
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, Preview]:
    """Say what running cells or making edits would run, how long that took, and what the graph would refuse. Changes nothing."""
    attached = attached_to(ctx, kernel)
    changes = await changes_of(attached, edits) if edits else ()
    view = await notebook_views.preview(attached, cell_ids, which, changes)
    return answer(view, attached.redactor, budget=max_chars)
