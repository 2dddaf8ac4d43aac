"""Which cells, in document order, read a name before any binds it again: one look at all cells, then look-ups."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.analysis.model import Cell


class ReadsBelow:
    """Where names are read and bound in cells that stay as they are."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._places: dict[str, list[int]] = {}  # the cells that read a name, or are sure to bind it
        self._reading: set[tuple[int, str]] = set()
        self._late: dict[str, int] = {}  # the first cell whose functions read it
        for place, cell in enumerate(cells):
            for name in cell.names.names:
                loads = [
                    use for use in cell.names.of(name) if use.act == "load" and (use.exposed or use.late)
                ]
                if loads:
                    self._reading.add((place, name))
                elif not (name in cell.names.bound_at_end and cell.names.stores(name)):
                    continue
                self._places.setdefault(name, []).append(place)
                if any(use.late for use in loads):
                    self._late.setdefault(name, place)

    def of(self, index: int, name: str) -> bool:
        """Return whether a cell below one, or a function when it is called, reads a name's value at the cell's end."""
        places = self._places.get(name, [])
        next_place = bisect_left(places, index + 1)
        if next_place < len(places):
            return (places[next_place], name) in self._reading
        return self._late.get(name, index + 1) <= index
