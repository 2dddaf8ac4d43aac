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
from marimo_kernel_bridge.mcp_server.tools.edits import EditsArg, changes_of
from marimo_kernel_bridge.mcp_server.tools.reading import WhichArg  # noqa: TC001  # the SDK looks at annotations
from marimo_kernel_bridge.mcp_server.tools.run_waiting import INTERRUPT_GRACE, finish, run_answer, wait
from marimo_kernel_bridge.mcp_server.views.notebook import chosen
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.protocol.environment import installs_packages

_QUICK: Final = 100_000
"""Characters of code that are searched in this process."""

CodeRun = Annotated[CallToolResult, RunView, Without(("added", "packages", "problems", "to_run"))]
CellRun = Annotated[CallToolResult, RunView, Without(("added", "packages", "problems"))]
EditRun = Annotated[CallToolResult, RunView, Without(("packages", "to_run"))]


def _of_code(arguments: Arguments) -> Tier:
    return "scratch" if arguments.get("scratch") else "run"


@tool("Execute code", needs=_of_code, runs_code=True)
async def execute_code(
    ctx: Ctx,
    *,
    code: Annotated[str, Field(description="Python for the kernel's shared namespace.")],
    scratch: Annotated[
        bool,
        Field(
            description="Keep the code out of the notebook's graph: for looking at values. Nothing re-runs because of it."
        ),
    ] = False,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> CodeRun:
    """Run code in the kernel and return its output.

    In a reactive kernel the code becomes a new cell, and the cells that use the names it defines run again; the
    answer lists them. To change an existing cell use edit_cells; to only look at values pass scratch=true.
    """
    await _require_no_installing(ctx, code)
    attached = await to_run_in(ctx, kernel)
    run = await attached.client.execute(code, store_history=not scratch)
    return await finish(ctx, attached, run, timeout, Window(max_chars))


@tool("Read a run", needs="read", reads=True)
async def read_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="From the answer of a tool that ran something.")],
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    offset: OffsetArg = 0,
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, RunView]:
    """Wait for a run that was not over, or read on in its output."""
    attached = attached_to(ctx, kernel)
    run = attached.client.runs.find(run_id)
    await wait(ctx, attached, run, timeout)
    return await run_answer(attached, run, Window(max_chars, offset))


@tool("Interrupt a run", needs="scratch", idempotent=True, while_paused=True)
async def interrupt_run(
    ctx: Ctx,
    *,
    run_id: Annotated[str, Field(description="The run to stop.")],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, RunView]:
    """Stop a run of yours, as the stop button does (KeyboardInterrupt). One that waits never starts."""
    attached = attached_to(ctx, kernel)
    run = attached.client.runs.find(run_id)
    await attached.client.abandon(run)
    if not run.unwanted:
        await attached.client.runs.wait(run, INTERRUPT_GRACE)
    return await run_answer(attached, run, Window(BUDGET))


def _of_edit(arguments: Arguments) -> Tier:
    return "run" if arguments.get("run", True) else "edit"


@tool("Edit cells", needs=_of_edit, runs_code=True)
async def edit_cells(
    ctx: Ctx,
    *,
    edits: EditsArg,
    run: Annotated[
        bool, Field(description="Run what changed and its dependents. Otherwise they become stale.")
    ] = True,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = BUDGET,
) -> EditRun:
    """Change, add, delete and move cells, one or several, and run them with all that depends on them, each once.

    All or nothing: with one version that is not the newest (stale_version: the person changed it, read it again), or an
    invalid graph (a cycle, a syntax error, in strict mode a name defined twice), nothing changes and the answer says why.
    preview_run with the same edits is the dry run. The person sees the fresh outputs under their own cells, but still
    their own code there: tell them what you changed.
    """
    for edit in edits:
        await _require_no_installing(ctx, edit.code or "")
    attached = await to_run_in(ctx, kernel)
    started = await attached.client.edit_cells(changes_of(edits), run=run)
    return await finish(ctx, attached, started, timeout, Window(max_chars))


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
    """Run one cell or several as they are, all stale ones, or all, in the order of the graph; then what depends on them.

    preview_run says beforehand which cells these are and how long they took.
    """
    attached = await to_run_in(ctx, kernel)
    if which == "stale" and not cell_ids:
        started = await attached.client.run_stale()
    else:
        chosen_ids = chosen(await attached.client.reads.list_cells(), cell_ids, which)
        started = await attached.client.run_cells(chosen_ids)
    return await finish(ctx, attached, started, timeout, Window(max_chars))


@tool("Set a UI element or widget", needs="run", runs_code=True)
async def set_ui_value(
    ctx: Ctx,
    *,
    element: Annotated[
        str,
        Field(description="From list_ui_elements: the variable that holds it, or its id where none does."),
    ],
    value: Annotated[
        Any,
        Field(
            description="Its new .value, as list_ui_elements describes it: a number, text, an option, an ISO date, a list or an object of those; true clicks a button."
        ),
    ],
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109
    max_chars: BudgetArg = BUDGET,
) -> CellRun:
    """Set a marimo UI element (mo.ui.slider, ...) or an ipywidget as a person would; the page shows it.

    The cells that read a marimo element run. An ipywidget is no part of the graph: its callbacks run, and the answer
    names the cells that read it, for run_cells.
    """
    attached = await to_run_in(ctx, kernel)
    started = await attached.client.set_ui_value(element, value)
    return await finish(ctx, attached, started, timeout, Window(max_chars))


async def _require_no_installing(ctx: Ctx, code: str) -> None:
    """Refuse the magics that install packages: install_packages asks the person. Raises `BridgeError` not_allowed."""
    if not kernels_of(ctx).may_install and await _installs(ctx, code):
        raise BridgeError(
            "not_allowed",
            "This code installs packages, for which the person must be asked; nothing was run.",
            "install_packages asks them. Do not work around it.",
        )


async def _installs(ctx: Ctx, code: str) -> bool:
    if len(code) <= _QUICK:
        return installs_packages(code)
    return bool(await kernels_of(ctx).presenter.do("installs_packages", code=code))
