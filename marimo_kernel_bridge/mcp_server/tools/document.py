"""The tools for the notebook that the person has open: proposals, keeping kernel and document in step, saving."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from mcp.types import CallToolResult  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.document import (
    ChangesSince,
    DocumentSaved,
    ProposalState,
    SyncState,
)
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.arguments import (
    BUDGET,
    LIST_BUDGET,
    WAIT,
    BudgetArg,
    Ctx,
    KernelArg,
    TimeoutArg,
    attached_to,
    to_run_in,
)
from marimo_kernel_bridge.mcp_server.sdk.schemas import Without
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.edits import EditsArg, changes_of, texts_of
from marimo_kernel_bridge.mcp_server.tools.given import AsInOutline, CodeAsInOutline, given_of
from marimo_kernel_bridge.mcp_server.tools.installing_code import require_no_installing
from marimo_kernel_bridge.mcp_server.tools.run_waiting import finish_edit, wait
from marimo_kernel_bridge.mcp_server.views import proposals
from marimo_kernel_bridge.mcp_server.views.changes import changes_since
from marimo_kernel_bridge.mcp_server.views.document_edits import in_document, proposed
from marimo_kernel_bridge.mcp_server.views.saving import saved
from marimo_kernel_bridge.mcp_server.views.sync import sync_state, would_sync
from marimo_kernel_bridge.mcp_server.views.window import Window

_PROGRESS_EVERY: Final = 5.0  # seconds

OpArg = Annotated[str, Field(max_length=1000, description="op_id of its answer, else run_id.")]


ProposedEdit = Annotated[
    CallToolResult,
    RunView,
    Without(
        (
            *(
                "outputs",
                "images",
                "cell_id",
                "version",
                "seconds",
                "ran",
                "reran",
                "added",
            ),
            *("packages", "to_run", "still_stale", "full"),
        )
    ),
]
SyncRun = Annotated[CallToolResult, RunView, Without(("packages", "added", "problems", "conflicts"))]


@tool("Propose edit", needs="propose", brief=("edits",))
async def propose_edit(
    ctx: Ctx,
    *,
    edits: EditsArg,
    note: Annotated[str, Field(max_length=2000, description="Why, for the person.")] = "",
    kernel: KernelArg = None,
) -> ProposedEdit:
    """Show edits to the person, to accept, edit or reject each; accepted code runs. Returns at once."""
    await require_no_installing(ctx, texts_of(edits))
    attached = attached_to(ctx, kernel)
    view = await proposed(attached, await changes_of(attached, edits), note)
    return answer(view, attached.redactor, budget=BUDGET)


@tool("Wait for decision", needs="read", reads=True, listed_from="propose")
async def wait_for_decision(
    ctx: Ctx,
    *,
    op_id: OpArg,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the proposal outlives it
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, ProposalState]:
    """Wait for the person's decisions on a proposal; with the text where they edited it."""
    attached = attached_to(ctx, kernel)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        left = began + timeout - loop.time()
        proposal = await attached.client.document.proposal(op_id, min(max(0.0, left), _PROGRESS_EVERY))
        if left <= 0 or not proposals.is_open(proposal):
            break
        await ctx.report_progress(loop.time() - began, timeout, "the person has not decided yet")
    run = proposals.run_of(attached, proposal)
    if run is not None:
        await wait(ctx, attached, run, began + timeout - loop.time())
    view = await proposals.proposal_state(attached, proposal, run)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Withdraw proposal", needs="propose", idempotent=True, while_paused=True)
async def withdraw_proposal(
    ctx: Ctx, *, op_id: OpArg, kernel: KernelArg = None
) -> Annotated[CallToolResult, ProposalState]:
    """Take back what is not decided yet of a proposal of yours."""
    attached = attached_to(ctx, kernel)
    proposal = await attached.client.document.withdraw(op_id)
    run = proposals.run_of(attached, proposal)
    return answer(await proposals.proposal_state(attached, proposal, run), attached.redactor)


@tool("Compare notebook and kernel", needs="read", reads=True, brief=("structure_override",))
async def detect_sync_needed(
    ctx: Ctx,
    *,
    structure_override: AsInOutline = None,
    code_override: CodeAsInOutline = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, SyncState]:
    """Say which cells of the notebook are not as they ran: changed, never run, stale, failed, in the kernel only; what sync would run."""
    attached = attached_to(ctx, kernel)
    view = await sync_state(attached, given_of(structure_override, code_override))
    return answer(view, attached.redactor, budget=max_chars)


def _of_sync(arguments: Arguments) -> Tier:
    return "read" if arguments.get("dry_run") else "run"


@tool("Run what is not in step", needs=_of_sync, runs_code=True, listed_from="run")
async def sync(
    ctx: Ctx,
    *,
    dry_run: Annotated[bool, Field(description="Only say what would run.")] = False,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> SyncRun:
    """Run what is changed, never run or stale in the person's open notebook, and what depends on it, each once."""
    if dry_run:
        attached = attached_to(ctx, kernel)
        return answer(await would_sync(attached), attached.redactor, budget=max_chars)
    attached = await to_run_in(ctx, kernel)
    await attached.client.document.read()  # tells of an older kernel
    started = await in_document(attached, await attached.client.document.sync(), changed=False)
    return await finish_edit(ctx, attached, started, timeout, Window(max_chars))


@tool("Read what changed", needs="read", reads=True)
async def diff_since(
    ctx: Ctx,
    *,
    point: Annotated[
        int | None, Field(description="From an earlier answer; else since you last asked.")
    ] = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, ChangesSince]:
    """Show what changed in the notebook: diffs by cell and author."""
    attached = attached_to(ctx, kernel)
    return answer(await changes_since(attached, point), attached.redactor, budget=max_chars)


@tool("Undo edit", needs="run", runs_code=True)
async def undo_edit(
    ctx: Ctx,
    *,
    op_id: OpArg,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> SyncRun:
    """Take back an edit in the person's notebook, unless it was changed since, and run the earlier text."""
    attached = await to_run_in(ctx, kernel)
    await attached.client.document.read()  # tells of an older kernel
    started = await in_document(attached, await attached.client.document.undo(op_id))
    return await finish_edit(ctx, attached, started, timeout, Window(max_chars))


@tool("Save notebook", needs="edit", destroys=True, idempotent=True)
async def save_notebook(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, DocumentSaved]:
    """Have the front end save the open notebook, with the person's unsaved text."""
    attached = attached_to(ctx, kernel)
    return answer(await saved(attached, None), attached.redactor)


@tool("Rename notebook", needs="edit", destroys=True)
async def rename_notebook(
    ctx: Ctx,
    *,
    new_name: Annotated[str, Field(max_length=200, description="The new name, with .ipynb.")],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, DocumentSaved]:
    """Have the front end rename the open notebook. Only where the person asked."""
    attached = attached_to(ctx, kernel)
    return answer(await saved(attached, new_name), attached.redactor)
