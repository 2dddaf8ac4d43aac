"""Cells of requests without a cell id, and their eviction: each request of a terminal creates such a cell.

A cell that defines nothing, or that has been superseded, is needed only for reruns when its inputs change, and for
reads. The newest of these are kept. Knows cells by their ids; the graph knows the names that they define.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEPT: Final = 1000


class AnonymousCells:
    """The cells that have no id in a front end."""

    def __init__(self) -> None:
        self._cell_ids: set[str] = set()
        self._idle: OrderedDict[str, None] = OrderedDict()  # those that define no name, oldest first

    def add(self, cell_id: str) -> None:
        """Add the cell of a request without a cell id."""
        self._cell_ids.add(cell_id)

    def defines_nothing(self, cell_id: str) -> None:
        """Record that a cell defines no names, or no longer does."""
        if cell_id in self._cell_ids:
            self._idle[cell_id] = None
            self._idle.move_to_end(cell_id)

    def forget(self, cell_id: str) -> None:
        """Remove a cell."""
        self._cell_ids.discard(cell_id)
        self._idle.pop(cell_id, None)

    def evict(self) -> list[str]:
        """Remove and return the idle cells beyond the newest `KEPT`."""
        return [self._idle.popitem(last=False)[0] for _ in range(len(self._idle) - KEPT)]
