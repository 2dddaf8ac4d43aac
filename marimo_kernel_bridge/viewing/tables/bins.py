"""The edges of a histogram. A bin goes from its low edge up to its high one without it; the last includes both."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.views import Bin

if TYPE_CHECKING:
    from collections.abc import Sequence

from marimo_kernel_bridge.viewing.tables.cells import cell

BINS: Final = 20
TOP: Final = 10
"""How many of the most frequent values are listed."""


def edges(low: Any, high: Any) -> list[Any]:
    """Return the edges between the least and the greatest value: numbers, dates, datetimes or durations, as these are."""
    if low == high:
        return [low, high]
    if isinstance(low, int) and isinstance(high, int):
        step = max(1, -(-(high - low + 1) // BINS))
        return [*range(low, high, step), high] if high - low > BINS else [*range(low, high + 1), high]
    if isinstance(low, dt.date) and not isinstance(low, dt.datetime):
        days = (high - low).days
        step = max(1, -(-days // BINS))
        return [*(low + dt.timedelta(days=day) for day in range(0, days, step)), high]
    if isinstance(low, dt.datetime | dt.timedelta):
        return [*(low + (high - low) * number // BINS for number in range(BINS)), high]
    low, high = float(low), float(high)
    # The difference itself may be infinite
    inner = [low * (1 - number / BINS) + high * (number / BINS) for number in range(BINS)]
    # Rounding may make neighbours equal, if the range is a few steps of a float
    return [*dict.fromkeys(edge for edge in inner if edge < high), high]


def bins(edges: Sequence[Any], below: Sequence[int], total: int) -> tuple[Bin, ...]:
    """Return the bins, of how many values are below each inner edge, and of how many there are."""
    marks = [0, *below, total]
    return tuple(
        Bin(cell(low), cell(high), marks[number + 1] - marks[number])
        for number, (low, high) in enumerate(itertools.pairwise(edges))
    )
