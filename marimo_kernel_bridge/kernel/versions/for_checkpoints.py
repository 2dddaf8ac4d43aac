"""What outlives a kernel of the versions of names: what a checkpoint has of them, and their return in another kernel.

The states of libraries outlive it, too: `states_by_place` has them. Main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.runtime.interface import is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marimo_kernel_bridge.analysis.observations import Observations
    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.kernel.versions.observer import CellObserver
    from marimo_kernel_bridge.kernel.versions.swapping import VersionValues
    from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow


class VersionsForCheckpoints:
    """The versions of names as checkpoints have them."""

    def __init__(
        self,
        cells: CellTable,
        namespace: dict[str, Any],
        values: VersionValues,
        observer: CellObserver,
        flow: Callable[[], ValueFlow | None],
    ) -> None:
        """`flow` returns the flow of values, None before the first analysis."""
        self._cells = cells
        self._namespace = namespace
        self._values = values
        self._observer = observer
        self._flow = flow

    @property
    def several(self) -> Mapping[str, Sequence[str]]:
        """The names with several versions, each with the cells that make them, in document order."""
        return self._values.makers

    def reads(self, cell_id: str) -> frozenset[tuple[str, str]]:
        """Return the versions of names that a cell reads, each with the cell that makes it."""
        flow = self._flow()
        part = None if flow is None else flow.parts.get(cell_id)
        return frozenset() if part is None else part.reads

    def makes(self, cell_id: str) -> frozenset[str]:
        """Return the names that a cell makes versions of."""
        flow = self._flow()
        part = None if flow is None else flow.parts.get(cell_id)
        return frozenset() if part is None else frozenset(part.flow.makes)

    def makes_private(self, cell_id: str) -> frozenset[str]:
        """Return the `_names` that a cell makes and its functions may need."""
        return frozenset(filter(is_private, self.makes(cell_id)))

    def made_last(self, name: str) -> str | None:
        """Return the cell whose run has made the value of a `_name` without versions, None if that is unknown."""
        return self._values.made_last(name)

    @property
    def absent(self) -> frozenset[str]:
        """The versions without a value after their cell ran."""
        return self._values.absent

    def observations(self, cell_id: str) -> tuple[str, Observations] | None:
        """Return the code of a cell that ran and what was observed of it; None for nothing."""
        return self._observer.observations(cell_id)

    def bring_back_observations(self, observed: Mapping[str, tuple[str, Observations]]) -> None:
        """Note what was observed of cells in an earlier kernel. The next `Redefinitions.update` processes it."""
        for cell_id, (code, observations) in observed.items():
            self._observer.bring_back(cell_id, code, observations)
        for cell_id in list(self._cells.ids()) if observed else ():
            self._cells.touch(cell_id)  # what is observed of a file matters to others that use it

    def bring_back_runs(self, cell_ids: Iterable[str]) -> None:
        """Note the cells that ran in an earlier kernel, in the order of their runs: whose values `_names` have."""
        for cell_id in cell_ids:
            self._values.note_private(cell_id, self.makes(cell_id))

    def bring_back_values(
        self, values: Mapping[str, object], absent: Iterable[str], consumed: Iterable[str]
    ) -> None:
        """Set names of the graph, versions included, to values of an earlier kernel."""
        self._values.adopt()
        self._namespace.update(values)
        self._values.bring_back(absent, consumed)
        flow = self._flow()
        if flow is not None:
            self._values.show_last(flow)
