"""The cells that versions of names make stale: what they have read or made is another version now.

marimo marks the cells downstream of one that ran. A version changes its maker when cells are edited, moved and deleted, and
then nothing has run. Main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.kernel.versions.swapping import VersionValues
    from marimo_kernel_bridge.kernel.versions.value_flow import Changes, Part, ValueFlow


class StaleCells(Protocol):
    """The stale cells of the graph."""

    def descendants(self, *cell_ids: str) -> frozenset[str]:
        """Return the cells downstream of these."""
        ...

    def set_stale(self, cell_ids: Iterable[str]) -> None:
        """Mark cells as stale."""
        ...


class OutdatedCells:
    """The cells whose values are not those of a run from top to bottom any more: marks them, with all downstream of them.

    Cells that have not run are stale anyway, and a batch client runs each from top to bottom.
    """

    def __init__(
        self,
        cells: CellTable,
        graph: StaleCells,
        values: VersionValues,
        note: Callable[[Iterable[str]], None],
    ) -> None:
        """`note` is called with cells that must run again, whatever the names that they read are bound to."""
        self._cells = cells
        self._note = note
        self._graph = graph
        self._values = values

    def mark(self, cell_ids: Iterable[str]) -> None:
        """Mark cells as stale that would draw other numbers now, have other settings, or read another file."""
        outdated = {cell_id for cell_id in cell_ids if self._has_values(cell_id)}
        if outdated:
            self._set_stale(outdated)

    def mark_changed(self, changes: Changes, flow: ValueFlow, surprising: Container[str]) -> None:
        """Mark cells as stale that read a different version than before, or make a version without a value.

        `surprising`: cells whose part has changed because of what their own run has shown.
        """
        stale = {
            cell_id
            for cell_id, before in changes.parts.items()
            if before is not None
            and cell_id not in surprising
            and self._is_outdated(cell_id, before, changes, flow)
        }
        if stale:
            self._set_stale(stale)

    def _is_outdated(self, cell_id: str, before: Part, changes: Changes, flow: ValueFlow) -> bool:
        part = flow.parts.get(cell_id)
        if part is None or before.source.code != part.source.code or not self._has_values(cell_id):
            return False
        # A name with a single maker was read through marimo's own edges, and still is if that maker is left.
        makers = flow.makers
        gained = any(
            changes.makers.get(name, makers.get(name)) != [maker] for name, maker in part.reads - before.reads
        )
        lost = any(makers.get(name) != [maker] for name, maker in before.reads - part.reads)
        made = (part.flow.makes - before.flow.makes) & self._values.makers.keys()
        return gained or lost or not all(self._values.is_made(name, cell_id) for name in made)

    def mark_lost(self) -> None:
        """Mark cells as stale that lost their versions: marimo's own rule has no place for them."""
        lost = {
            maker
            for name, makers in self._values.makers.items()
            for maker in makers
            if not self._values.is_made(name, maker) and self._has_values(maker)
        }
        self._set_stale(lost)

    def _has_values(self, cell_id: str) -> bool:
        entry = self._cells[cell_id]
        return entry.cell.last_run_at is not None and entry.address.dialect != "batch"

    def _set_stale(self, cell_ids: set[str]) -> None:
        self._note(cell_ids)
        self._graph.set_stale(cell_ids | self._graph.descendants(*cell_ids))
