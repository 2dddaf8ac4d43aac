"""Which cells may be dropped of those that no notebook shows: a terminal makes a new one with each request.

One that defines nothing, or whose names other cells have taken over, is only good for being run again when what it
uses changes, or for being read. The newest of them stay. Knows cells by their ids; what they define is the session's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEPT: Final = 1000


class PassingCells:
    """See the module."""

    def __init__(self) -> None:
        self._made: set[str] = set()  # by requests that name no cell
        self._idle: OrderedDict[str, None] = (
            OrderedDict()
        )  # of those, the ones that hold no name, oldest first

    def made(self, cell_id: str) -> None:
        """Note a cell that a request made which names none."""
        self._made.add(cell_id)

    def holds_nothing(self, cell_id: str) -> None:
        """Note that a cell defines no name, or does not any more."""
        if cell_id in self._made:
            self._idle[cell_id] = None
            self._idle.move_to_end(cell_id)

    def forget(self, cell_id: str) -> None:
        """Note that a cell is gone."""
        self._made.discard(cell_id)
        self._idle.pop(cell_id, None)

    def surplus(self) -> list[str]:
        """Return those beyond the newest, and take them for gone."""
        return [self._idle.popitem(last=False)[0] for _ in range(len(self._idle) - KEPT)]
