"""What the person is told about checkpoints, as text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel import notices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.errors import BridgeError
    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.protocol.checkpoints import (
        CheckpointSaved,
        CheckpointSummary,
        LostName,
        Restored,
    )

_MOST: Final = 20


def saved(result: CheckpointSaved) -> str:
    """Return the answer to a save."""
    size = _size(result.bytes_written)
    lines = [f"saved {_cells(result.cells)} as {result.name!r} in {result.seconds:.1f} s, {size} written"]
    return "\n".join([*lines, *map(_lost, result.lost[:_MOST]), *result.told])


def restored(result: Restored, cells: CellTable) -> str:
    """Return the answer to a restore."""
    total = len(result.fresh) + len(result.stale)
    lines = [
        f"restored {len(result.fresh)} of {_cells(total)} of {_time(result.at)} in {result.seconds:.1f} s"
    ]
    if result.stale:
        lines.append("stale: run them, or `%marimo run stale`")
    for stale in result.stale[:_MOST]:
        entry = cells.get(stale.cell_id)
        name = f"`{stale.code}`" if entry is None else notices.label(entry.cell)
        last = "" if stale.seconds is None else f"; {stale.seconds:.1f} s last time"
        lines.append(f"  {name}: {stale.why}{last}")
    if len(result.stale) > _MOST:
        lines.append(f"  and {len(result.stale) - _MOST} more")
    return "\n".join([*lines, *result.told])


def listed(checkpoints: Sequence[CheckpointSummary]) -> str:
    """Return the list of checkpoints."""
    if not checkpoints:
        return "no checkpoint of this notebook; `%marimo save` makes one"
    return "\n".join(
        f"{each.name:<12} {_time(each.at)}  {_cells(each.cells):>9}  {_size(each.size):>9}"
        + (f"  without {', '.join(lost.name for lost in each.lost[:5])}" if each.lost else "")
        for each in checkpoints
    )


def verified(states: Mapping[str, BridgeError | None]) -> str:
    """Return which checkpoints are as they were saved."""
    if not states:
        return listed(())
    return "\n".join(f"{name:<12} {state(why)}" for name, why in states.items())


def state(why_not: BridgeError | None) -> str:
    """Return whether a checkpoint is as it was saved."""
    return "whole" if why_not is None else f"[{why_not.code}] {why_not}"


def offer(at: float, kept: int, total: int) -> str:
    """Return the sentence of a new kernel that there is a checkpoint."""
    return f"There is a checkpoint of {_time(at)}: {kept} of {_cells(total)} can be restored with `%marimo restore`."


def _lost(lost: LostName) -> str:
    where = f" (at {lost.path})" if lost.path else ""
    kind = f" ({lost.type})" if lost.type else ""
    return f"without `{lost.name}`{kind}: {lost.reason}{where}"


def _time(at: float) -> str:
    then, now = time.localtime(at), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)


def _size(size: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:  # noqa: PLR2004  # the next unit
            return f"{size:.0f} {unit}"
        size //= 1000
    return f"{size} GB"


def _cells(number: int) -> str:
    return f"{number} cell{'' if number == 1 else 's'}"
