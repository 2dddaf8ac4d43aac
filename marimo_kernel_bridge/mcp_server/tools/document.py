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
from marimo_kernel_bridge.mcp_server.tools.given import CodeArg, StructureArg, given_of
from marimo_kernel_bridge.mcp_server.tools.installing_code import require_no_installing
from marimo_kernel_bridge.mcp_server.tools.run_waiting import finish_edit, wait
from marimo_kernel_bridge.mcp_server.views import proposals
from marimo_kernel_bridge.mcp_server.views.changes import changes_since
from marimo_kernel_bridge.mcp_server.views.document_edits import in_document, proposed
from marimo_kernel_bridge.mcp_server.views.saving import saved
from marimo_kernel_bridge.mcp_server.views.sync import sync_state, would_sync
from marimo_kernel_bridge.mcp_server.views.window import Window

_PROGRESS_EVERY: Final = 5.0  # seconds

OpArg = Annotated[str, Field(max_length=1000, description="op_id from the answer of the change or proposal.")]


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
                "execution_count",
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


@tool("Propose edits", needs="propose")
async def propose_edit(
    ctx: Ctx,
    *,
    edits: EditsArg,
    note: Annotated[str, Field(max_length=2000, description="The reason, for the person.")] = "",
    kernel: KernelArg = None,
    max_chars: BudgetArg = BUDGET,
) -> ProposedEdit:
    """Show edits (as for edit_cells) to the person in their notebook, to accept, edit or reject each; change nothing.

    Returns at once with an op_id; wait_for_decision waits for what the person decides. Accepted code runs.
    """
    await require_no_installing(ctx, texts_of(edits))
    attached = attached_to(ctx, kernel)
    view = await proposed(attached, await changes_of(attached, edits), note)
    return answer(view, attached.redactor, budget=max_chars)


@tool("Wait for a decision", needs="read", reads=True)
async def wait_for_decision(
    ctx: Ctx,
    *,
    op_id: OpArg,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the proposal outlives it
    max_chars: BudgetArg = BUDGET,
) -> Annotated[CallToolResult, ProposalState]:
    """Wait until the person has decided on a proposal; return each decision, and the accepted text where they edited it."""
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


@tool("Withdraw a proposal", needs="propose", idempotent=True, while_paused=True)
async def withdraw_proposal(
    ctx: Ctx, *, op_id: OpArg, kernel: KernelArg = None
) -> Annotated[CallToolResult, ProposalState]:
    """Take back what the person has not decided yet of a proposal of yours."""
    attached = attached_to(ctx, kernel)
    proposal = await attached.client.document.withdraw(op_id)
    run = proposals.run_of(attached, proposal)
    return answer(await proposals.proposal_state(attached, proposal, run), attached.redactor)


@tool("Compare notebook and kernel", needs="read", reads=True)
async def detect_sync_needed(
    ctx: Ctx,
    *,
    structure_override: StructureArg = None,
    code_override: CodeArg = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, SyncState]:
    """Say whether the person's notebook is as it ran: cells changed since, never run, stale, failed, in the kernel only.

    And which cells sync would run. Without the extension it compares the saved file, or the given texts.
    """
    attached = attached_to(ctx, kernel)
    view = await sync_state(attached, given_of(structure_override, code_override))
    return answer(view, attached.redactor, budget=max_chars)


def _of_sync(arguments: Arguments) -> Tier:
    return "read" if arguments.get("dry_run") else "run"


@tool("Run what is not in step", needs=_of_sync, runs_code=True)
async def sync(
    ctx: Ctx,
    *,
    dry_run: Annotated[bool, Field(description="Only say what would run, and how long that took.")] = False,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> SyncRun:
    """Run what the person's open notebook has otherwise than it ran, each cell once: changed, never run, stale, and what
    depends on them.
    """  # noqa: D205  # a single sentence
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
        int | None, Field(description="From an earlier answer. Without: since you last asked.")
    ] = None,
    kernel: KernelArg = None,
    max_chars: BudgetArg = LIST_BUDGET,
) -> Annotated[CallToolResult, ChangesSince]:
    """Show what changed in the notebook, cell by cell as diffs, the person's changes and each agent's apart."""
    attached = attached_to(ctx, kernel)
    return answer(await changes_since(attached, point), attached.redactor, budget=max_chars)


@tool("Undo an edit", needs="run", runs_code=True)
async def undo_edit(
    ctx: Ctx,
    *,
    op_id: OpArg,
    kernel: KernelArg = None,
    timeout: TimeoutArg = WAIT,  # noqa: ASYNC109  # the run outlives it
    max_chars: BudgetArg = BUDGET,
) -> SyncRun:
    """Take back an edit in the person's notebook, and run the earlier text. Refused if a cell has been changed since."""
    attached = await to_run_in(ctx, kernel)
    await attached.client.document.read()  # tells of an older kernel
    started = await in_document(attached, await attached.client.document.undo(op_id))
    return await finish_edit(ctx, attached, started, timeout, Window(max_chars))


@tool("Save the notebook", needs="edit", destroys=True, idempotent=True)
async def save_notebook(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, DocumentSaved]:
    """Let the front end save the notebook that the person has open, with their unsaved text. export_notebook writes copies."""
    attached = attached_to(ctx, kernel)
    return answer(await saved(attached, None), attached.redactor)


@tool("Rename the notebook", needs="edit", destroys=True)
async def rename_notebook(
    ctx: Ctx,
    *,
    new_name: Annotated[
        str, Field(max_length=200, description="The file's new name in its folder, with .ipynb.")
    ],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, DocumentSaved]:
    """Let the front end rename the file of the notebook that the person has open. Only where the person asked for it."""
    attached = attached_to(ctx, kernel)
    return answer(await saved(attached, new_name), attached.redactor)
