"""Cells of requests without a cell id, and which of them are evicted: a terminal makes a new one with each request.

A cell that defines nothing, or whose names other cells have taken over, is only good for being run again when what it
uses changes, or for being read. The newest of them stay. Knows cells by their ids; what they define is the graph's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEPT: Final = 1000


class AnonymousCells:
    """The cells that no front end has an id for."""

    def __init__(self) -> None:
        self._cell_ids: set[str] = set()
        self._idle: OrderedDict[str, None] = OrderedDict()  # those that define no name, oldest first

    def add(self, cell_id: str) -> None:
        """Note a cell that a request without a cell id made."""
        self._cell_ids.add(cell_id)

    def defines_nothing(self, cell_id: str) -> None:
        """Note that a cell defines no name, or does not any more."""
        if cell_id in self._cell_ids:
            self._idle[cell_id] = None
            self._idle.move_to_end(cell_id)

    def forget(self, cell_id: str) -> None:
        """Note that a cell is gone."""
        self._cell_ids.discard(cell_id)
        self._idle.pop(cell_id, None)

    def evict(self) -> list[str]:
        """Remove and return the idle cells beyond the newest `KEPT`."""
        return [self._idle.popitem(last=False)[0] for _ in range(len(self._idle) - KEPT)]
