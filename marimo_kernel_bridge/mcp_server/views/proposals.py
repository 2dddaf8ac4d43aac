"""The state of a proposal, and the person's decisions on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.answers.document import DecisionLine, ProposalState
from marimo_kernel_bridge.mcp_server.views.runs import ran_cells

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.document_edits import Proposal


def is_open(proposal: Proposal) -> bool:
    """Whether a decision is missing."""
    return not proposal.withdrawn and any(one.decision == "open" for one in proposal.decisions)


def run_of(attached: Attached, proposal: Proposal) -> Run | None:
    """Return the run of what the person has accepted so far, None if there is none."""
    if not proposal.runs:
        return None
    run_id = f"{proposal.op_id}.{len(proposal.runs)}"
    known = next((run for run in attached.client.runs.ours if run.run_id == run_id), None)
    return known or attached.client.document_runs.follow(run_id, proposal.runs)


async def proposal_state(attached: Attached, proposal: Proposal, run: Run | None) -> ProposalState:
    """Return the state of a proposal. Raises `BridgeError`."""
    undecided = "withdrawn" if proposal.withdrawn else "open"
    decisions = tuple(
        DecisionLine(
            one.change + 1, undecided if one.decision == "open" else one.decision, one.cell, one.code
        )
        for one in proposal.decisions
    )
    waits = is_open(proposal)
    if proposal.withdrawn:
        status, message = "withdrawn", "it was taken back."
    elif not waits:
        counts = {
            word: sum(one.decision == word for one in proposal.decisions)
            for word in ("accepted", "rejected", "gone")
        }
        status, message = (
            "decided",
            ", ".join(f"{count} {word}" for word, count in counts.items() if count) + ".",
        )
    elif proposal.shown_in is None:
        status, message = "open", "no front end shows it now; it is shown when the person opens the notebook."
    else:
        status, message = "open", f"{proposal.shown_in} shows it; the person has not decided yet."
    return ProposalState(
        op_id=proposal.op_id,
        status=status,
        message=message,
        decisions=decisions,
        front_end=proposal.shown_in,
        run_id=None if run is None else run.run_id,
        ran=() if run is None else await ran_cells(attached, run),
        note=attached.news(),
    )
