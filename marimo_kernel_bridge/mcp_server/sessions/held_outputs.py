"""Outputs of a session's cells that the server holds, so that it reads again only those of cells that have run or changed.

A cell that is listed as it was may have other outputs nevertheless (of threads, of UI elements): whoever wants those reads all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.output_log import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.client.reads import Reads
    from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs

_MOST: Final = 2_000_000
"""About how many characters of outputs of one session are held."""
_AT_WORK: Final = frozenset({"queued", "running"})
"""The state of a cell whose outputs may grow, and nothing else of it changes."""


@dataclass(frozen=True)
class _Held:
    listed: Cell
    read: CellWithOutputs
    size: int


class HeldOutputs:
    """The outputs of one session's cells, as they were last read."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def forget(self) -> None:
        self._held = {}

    def differ(self, listed: Iterable[Cell]) -> bool:
        """Return whether a cell of which anything is held has run or changed since, or is gone."""
        now = {cell.cell_id: cell for cell in listed}
        return any(now.get(cell_id) != held.listed for cell_id, held in self._held.items())

    async def read(self, listed: Sequence[Cell], reads: Reads, *, anew: bool) -> list[CellWithOutputs]:
        """Return cells with their outputs; `anew`: those of all are read."""
        known = {} if anew else self._held
        found: list[CellWithOutputs] = []
        holding: dict[str, _Held] = {}
        left = _MOST
        for cell in listed:
            held = known.get(cell.cell_id)
            if held is None or held.listed != cell or cell.status in _AT_WORK:
                read = await reads.read_cell(cell.cell_id)
                held = _Held(cell, read, size_of(list(read.outputs), left))
            found.append(held.read)
            if held.size <= left:
                left -= held.size
                holding[cell.cell_id] = held
        self._held = holding
        return found
