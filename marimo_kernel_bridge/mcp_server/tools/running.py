"""The tools that run code and change cells."""

from __future__ import annotations

from typing import Annotated, Any, Final

from mcp.types import CallToolResult  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    WAIT,
    BudgetArg,
    CellsArg,
    Ctx,
    KernelArg,
    OffsetArg,
    TimeoutArg,
    attached_to,
    kernels_of,
    to_run_in,
)
from marimo_kernel_bridge.mcp_server.sdk.schemas import Without
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.edits import WholeEditsArg, changes_of, texts_of
from marimo_kernel_bridge.mcp_server.tools.installing_code import require_no_installing
from marimo_kernel_bridge.mcp_server.tools.reading import WhichArg  # noqa: TC001  # the SDK looks at annotations
from marimo_kernel_bridge.mcp_server.tools.run_waiting import (
    INTERRUPT_GRACE,
    finish,
    finish_edit,
    run_answer,
    wait,
)
from marimo_kernel_bridge.mcp_server.views.document_edits import (
    edited,
    not_as_shown,
    of_new_kernel,
    place_of_code,
    proposed,
)
from marimo_kernel_bridge.mcp_server.views.notebook import chosen
from marimo_kernel_bridge.mcp_server.views.runs import run_called
from marimo_kernel_bridge.mcp_server.views.ui_values import meant
from marimo_kernel_bridge.mcp_server.views.window import Window

_OF_EDITS: Final = ("added", "problems", "op_id", "front_end", "conflicts")
CodeRun = Annotated[CallToolResult, RunView, Without((*_OF_EDITS, "packages", "to_run"))]
CellRun = Annotated[CallToolResult, RunView, Without((*_OF_EDITS, "packages", "where"))]
StoppedRun = Annotated[CallToolResult, RunView, Without(("problems", "conflicts"))]
EditRun = Annotated[CallToolResult, RunView, Without(("packages", "to_run"))]


def _of_code(arguments: Arguments) -> Tier:
    return "scratch" if arguments.get("scratch") else "run"


@tool("Execute code", needs=_of_code, runs_code=True, listed_from="scratch")
async def execute_code(
    ctx: Ctx,
    *,
    code: Annotated[str, Field(description="Python code.")],
    scratch: Annotated[
        bool,
        Field(description="Only look: nothing joins the graph or re-runs."),
    ] = False,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> CodeRun:
    """Run code. It becomes a cell that no notebook shows, and what uses its names re-runs; for the person's notebook use edit_cells."""
    await require_no_installing(ctx, [code])
    attached = await to_run_in(ctx, kernel)
    run = await attached.client.execute(code, store_history=not scratch)
    place = place_of_code(attached) if attached.reactive and not scratch else None
    return await finish(ctx, attached, run, timeout, Window(max_chars), place=place)


@tool("Read run", needs="read", reads=True)
async def read_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="From its answer.")],
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    offset: OffsetArg = 0,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Wait for a run that is not over, or read on in its output."""
    attached = attached_to(ctx, kernel)
    run = await run_called(attached, run_id)
    await wait(ctx, attached, run, timeout)
    return await run_answer(attached, run, Window(max_chars, offset))


@tool("Interrupt run", needs="scratch", idempotent=True, while_paused=True)
async def interrupt_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="From its answer.")],
    kernel: KernelArg = None,
) -> StoppedRun:
    """Stop a run of yours (KeyboardInterrupt); one that waits never starts."""
    attached = attached_to(ctx, kernel)
    run = attached.client.runs.find(run_id)
    if run.foreign:
        raise BridgeError(
            "no_such_run",
            f"The run {run_id!r} was begun by another client, or in an earlier session; nothing was stopped.",
            "control_kernel interrupts whatever runs, if the person asked for it. They can do it, too.",
        )
    await attached.client.abandon(run)
    if not run.unwanted:
        await attached.client.runs.wait(run, INTERRUPT_GRACE)
    return await run_answer(attached, run, Window(BUDGET))


def _of_edit(arguments: Arguments) -> Tier:
    return "run" if arguments.get("run", True) else "edit"


@tool("Edit cells", needs=_of_edit, runs_code=True, proposes=True, listed_from="edit")
async def edit_cells(
    ctx: Ctx,
    *,
    edits: WholeEditsArg,
    run: Annotated[bool, Field(description="Run them; else they become stale.")] = True,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = BUDGET,
) -> EditRun:
    """Change, add, delete, move cells in the person's notebook, all or nothing, and run them and what depends on them, each once.

    The answer has the outputs that changed. What the person has changed meanwhile becomes a proposal or is refused, with its new text.
    """
    await require_no_installing(ctx, texts_of(edits))
    if not kernels_of(ctx).may_edit:
        attached = attached_to(ctx, kernel)
        proposal = await proposed(attached, await changes_of(attached, edits), "")
        return answer(proposal, attached.redactor, budget=max_chars)
    attached = await to_run_in(ctx, kernel)
    started = await edited(attached, await changes_of(attached, edits), run=run)
    return await finish_edit(ctx, attached, started, timeout, Window(max_chars))


@tool("Run cells", needs="run", runs_code=True)
async def run_cells(
    ctx: Ctx,
    *,
    cell_ids: CellsArg = [],  # noqa: B006  # never changed
    which: WhichArg = None,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = BUDGET,
) -> CodeRun:
    """Run cells as they are, and what depends on them. which="all" also runs the notebook again in a new kernel."""
    attached = await to_run_in(ctx, kernel)
    if which is not None and not cell_ids and attached.reactive:
        again = await of_new_kernel(attached, await attached.client.reads.list_cells())
        if again is not None:
            return await finish_edit(ctx, attached, again, timeout, Window(max_chars))
    if which == "stale" and not cell_ids:
        started = await attached.client.run_stale()
    else:
        chosen_ids = chosen(await attached.client.reads.list_cells(), cell_ids, which)
        if not chosen_ids:
            raise BridgeError(
                "no_such_cell",
                "The kernel knows no cell; nothing was run.",
                "list_cells shows the notebook's.",
            )
        attached.remark = await not_as_shown(attached, chosen_ids, everything=which == "all")
        started = await attached.client.run_cells(chosen_ids)
    return await finish(ctx, attached, started, timeout, Window(max_chars))


@tool("Set a UI element or widget", needs="run", runs_code=True)
async def set_ui_value(
    ctx: Ctx,
    *,
    element: Annotated[
        str,
        Field(description="From list_ui_elements."),
    ],
    value: Annotated[
        Any,
        Field(description="As list_ui_elements says; true clicks a button."),
    ],
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = BUDGET,
) -> CellRun:
    """Set a UI element (mo.ui.slider) or ipywidget as a person would; cells that read it run, of an ipywidget only its callbacks."""
    attached = await to_run_in(ctx, kernel)
    started = await attached.client.set_ui_value(element, await meant(attached, element, value))
    return await finish(ctx, attached, started, timeout, Window(max_chars))
