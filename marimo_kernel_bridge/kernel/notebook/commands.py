"""The commands of `%marimo` that change the notebook, carried out as soon as no cell runs, before dependents run.

Also answers what runs have shown of cells, which changes nothing.

Owns no state. `ipython.marimo_magic` parses the line and shows the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.protocol.notebook import CellObservations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.kernel.cells import Body, CellTable, Entry
    from marimo_kernel_bridge.kernel.notebook.execution import Execution


class NotebookCommands:
    """The commands of `%marimo` that change how the notebook runs."""

    def __init__(self, cells: CellTable, execution: Execution, prepare: Callable[[Entry, str], Body]) -> None:
        self._cells = cells
        self._execution = execution
        self._prepare = prepare

    @property
    def strict(self) -> bool:
        """Whether a cell that defines another cell's name is refused."""
        return self._execution.graph.strict

    def unforeseen(self) -> Mapping[str, frozenset[str]]:
        """Return, by cell, the names of objects that it has mutated although its text does not show that."""
        return self._execution.graph.redefinitions.unforeseen()

    def observations(self) -> list[CellObservations]:
        """Return what runs have shown of cells; any thread."""
        observed = self._execution.graph.redefinitions.observed
        return [
            CellObservations(entry.cell.cell_id, entry.cell.notebook_cell_id, text)
            for entry in list(self._cells)
            if not entry.deleted and (text := observed(entry.cell.cell_id))
        ]

    def switch_mode(self, mode: Literal["autorun", "lazy"]) -> None:
        """Run dependents by themselves, also those that wait by now, or leave them stale."""
        self._execution.later(lambda: self._execution.stale_cells.switch(mode))

    def switch_redefinitions(self, *, strict: bool) -> None:
        """Refuse cells that define a name again, or let cells define names again in the order of the document."""
        graph = self._execution.graph
        self._execution.later(lambda: graph.switch_redefinitions(self._prepare, strict=strict))

    def run_stale(self) -> None:
        """Run all stale cells once."""
        self._execution.later(self._execution.stale_cells.catch_up)

    def forget(self, cell_ids: Sequence[str]) -> None:
        """Drop cells and the names that they define."""
        self._execution.later(lambda: self._execution.forget(cell_ids))

    def reset(self, clear_namespace: Callable[[], None]) -> None:
        """Drop all cells and all names."""

        def reset() -> None:
            self._execution.forget(self._cells.ids())
            clear_namespace()

        self._execution.later(reset)

    def set_ui_value(self, target: str, value: object) -> None:
        """Set a UI element. Raises `BridgeError`: no_such_ui_element, ui_value_refused."""
        self._execution.graph.runtime.queue_ui_value(target, value)
        self._execution.later(lambda: None)  # the runtime sets it when no cell runs
