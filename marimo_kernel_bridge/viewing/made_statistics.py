"""The statistics of a view's columns: those that were made, and those that are made now. For the thread of one event loop."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.viewing.table import Cancellation

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.views import Statistics
    from marimo_kernel_bridge.viewing.table import Query

_KEPT: Final = 500
"""Of columns, under the filters that were looked at last."""


class MadeStatistics:
    """Statistics by column, and by the rows that a query leaves."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, int], Statistics] = OrderedDict()
        self._now: set[Cancellation] = set()
        self.forgotten = 0
        """How often they were forgotten: those that were begun before the last time are not kept."""

    def known(self, query: Query, column: int) -> Statistics | None:
        """Return the statistics of a column of the rows that a query leaves, if they were made."""
        key = (query.narrowing, column)
        if key in self._made:
            self._made.move_to_end(key)
        return self._made.get(key)

    def keep(self, query: Query, forgotten: int, statistics: Statistics) -> None:
        """Keep what was made, for pages that come back to these filters, or to none.

        `forgotten` is what it was when they were begun: newer data, or a run that began and ended meanwhile, may have other values.
        """
        if forgotten == self.forgotten:
            self._made[query.narrowing, statistics.column] = statistics
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)

    def forget(self) -> None:
        """Forget what was made: the data is newer, or a cell has run and may have changed values that no comparison looks at."""
        self._made.clear()
        self.forgotten += 1

    def begin(self) -> Cancellation:
        """Return what ends statistics under the present filters when those change."""
        cancellation = Cancellation()
        self._now.add(cancellation)
        return cancellation

    def end(self, cancellation: Cancellation) -> None:
        """Note that statistics are made."""
        self._now.discard(cancellation)

    def cancel(self) -> None:
        """Cancel all statistics that are made now."""
        for cancellation in self._now:
            cancellation.cancel()
        self._now.clear()
