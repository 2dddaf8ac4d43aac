"""Checkpoints for agents: a kernel's replies as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.answers.checkpoints import (
    CheckpointLine,
    CheckpointList,
    RestoredCheckpoint,
    SavedCheckpoint,
    StaleLine,
)
from marimo_kernel_bridge.mcp_server.views.cells import time_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, LostName, Restored


async def checkpoint_list(attached: Attached, *, verify: bool = False) -> CheckpointList:
    """Return the checkpoints of a kernel's notebook, with `verify` whether their data is as it was saved. Raises `BridgeError`."""
    return CheckpointList(
        tuple(
            CheckpointLine(
                one.name,
                one.kind,
                (time_of_day(one.at) or "") if one.size else "",
                one.cells,
                one.size,
                _lost(one.lost),
                one.told,
                one.verified,
            )
            for one in await attached.client.checkpoints.summaries(verify=verify)
        )
    )


def saved_checkpoint(done: CheckpointSaved) -> SavedCheckpoint:
    return SavedCheckpoint(done.name, done.cells, done.bytes_written, done.seconds, _lost(done.lost))


def restored_checkpoint(done: Restored) -> RestoredCheckpoint:
    stale = tuple(StaleLine(cell.cell_id, cell.code, cell.why, cell.seconds) for cell in done.stale)
    return RestoredCheckpoint(
        done.name,
        time_of_day(done.at) or "",
        done.seconds,
        done.fresh,
        stale,
        _lost(done.lost),
        done.told,
        done.preview,
    )


def _lost(names: Iterable[LostName]) -> tuple[str, ...]:
    """Return a line for each name: its type, why no checkpoint has it and where in it, and the cell that makes it again."""
    return tuple(
        f"{name.name} ({name.type}): {name.reason}"
        + (f" at {name.path}" if name.path else "")
        + (f"; cell {name.cell_id} makes it" if name.cell_id else "")
        for name in names
    )
