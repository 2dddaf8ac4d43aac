"""Which stale cells run by themselves: the mode, the cells that are held until requested, and a single catch-up.

Decides; `execution` runs. Main thread only.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.kernel.notebook.graph import NotebookGraph
    from marimo_kernel_bridge.kernel.outputs.router import OutputRouter
    from marimo_kernel_bridge.runtime.interface import SetFromOutside

_MOST_RUNS: Final = 5
"""How often a cell runs by itself before the notebook comes to rest.

A cell that uses up what it reads has the maker run again, and then all other readers of what that makes. Two such
cells, each with a reader of the other's maker, would make each other stale forever.
"""


class StaleCells:
    """The stale cells, and which of them are due."""

    def __init__(self, cells: CellTable, graph: NotebookGraph, router: OutputRouter) -> None:
        self.mode: Literal["autorun", "lazy"] = graph.runtime.mode
        self._cells = cells
        self._graph = graph
        self._router = router
        self._held: set[str] = set()  # cells that run only when a person or an agent requests it
        self._unrun: set[str] = set()  # cells with an agent's code that nobody has run
        self._catching_up = False  # they run once, also in lazy mode
        self._runs: Counter[str] = Counter()  # by themselves, since the notebook was at rest

    def switch(self, mode: Literal["autorun", "lazy"]) -> None:
        """Run dependents by themselves, also those that wait by now, or leave them stale."""
        self.mode = mode
        if mode == "autorun":
            self._held.clear()

    def catch_up(self) -> None:
        """Make all stale cells due once."""
        self._held.clear()
        self._unrun.clear()
        self._catching_up = True

    def caught_up(self) -> None:
        """Note that all stale cells that could run have run."""
        self._catching_up = False

    def note_runs(self, cell_ids: Iterable[str]) -> None:
        """Note that cells ran by themselves, and hold those that do so again and again."""
        self._runs.update(cell_ids)
        self.hold(cell_id for cell_id in cell_ids if self._runs[cell_id] >= _MOST_RUNS)

    def come_to_rest(self) -> None:
        """Note that no cell is left that would run by itself, or that a person or an agent runs one."""
        self._runs.clear()

    def hold(self, cell_ids: Iterable[str]) -> None:
        """Hold cells until a person or an agent runs them."""
        self._held.update(cell_ids)

    def hold_edited(self, cell_ids: Iterable[str], stale_before: frozenset[str]) -> None:
        """Hold cells whose new code is not to run until somebody runs these cells, and what became stale with them.

        No run of another cell releases them, whether it is above or below.
        """
        edited = set(cell_ids)
        self._unrun |= edited
        below = self._graph.runtime.descendants(*edited)
        self._graph.runtime.set_stale(below)
        self._graph.refresh_stale()
        self._held |= self._graph.stale - stale_before - edited - below

    def unrun_above(self, cell_ids: Collection[str]) -> dict[str, str]:
        """Return which of the cells cannot run, each with a cell above it that is held because of its new code."""
        held = self._unrun.difference(cell_ids)
        if not held:
            return {}
        above = {cell_id: held & self._graph.runtime.ancestors(cell_id) for cell_id in cell_ids}
        return {cell_id: min(cells) for cell_id, cells in above.items() if cells}

    def release(self, cell_ids: Iterable[str]) -> None:
        """Release cells that are about to run, or that are gone."""
        released = set(cell_ids)
        self._held -= released
        self._unrun -= released

    def release_below(self, cell_id: str) -> None:
        """Release the descendants of a cell."""
        if self._held:
            self._held -= self._graph.runtime.descendants(cell_id)

    def note_set(self, readers: SetFromOutside) -> None:
        """Note cells that read what was set from outside: as often as that happens, it is not the doing of cells.

        Releases those that were interrupted and read what a person has set since, and those below.
        """
        if readers.by_threads or readers.by_people:
            self._forgive(readers.by_threads | readers.by_people)
        if self._held and readers.by_people:
            reached = self._held & self._and_below(readers.by_people)
            self._held -= {each for each in reached if self._cells[each].cell.status == "interrupted"}

    def _forgive(self, cell_ids: frozenset[str]) -> None:
        if self._runs:
            for cell_id in self._and_below(cell_ids):
                self._runs.pop(cell_id, None)

    def _and_below(self, cell_ids: frozenset[str]) -> frozenset[str]:
        return cell_ids | self._graph.runtime.descendants(*cell_ids)

    @property
    def run_by_themselves(self) -> bool:
        """Whether stale cells run without a request."""
        return self.mode == "autorun" or self._catching_up

    @property
    def unsettled(self) -> bool:
        """Whether any stale cell would run by itself now."""
        return self.run_by_themselves and bool(self.due())

    @property
    def marked(self) -> frozenset[str]:
        """The cells whose outputs should end in a notice that they are stale."""
        return self._graph.stale if self.mode == "lazy" else frozenset()

    def due(self) -> set[str]:
        """Return the stale cells that may run by themselves: not those that wait, nor their descendants."""
        stale = self._graph.stale
        due = set(stale - self._held - self._unrun - self._graph.ahead)
        if self._router.vscode_is_busy:
            due = {cell_id for cell_id in due if not self._is_vscodes(cell_id)}
        return due - self._graph.runtime.descendants(*(stale - due)) if due else due

    def _is_vscodes(self, cell_id: str) -> bool:
        entry = self._cells.get(cell_id)
        return entry is not None and entry.address.dialect == "vscode"
