"""A notebook's variables as a view needs them: the value of a name, who made it and when, and whether a cell changes it now.

Any thread. The values are the notebook's own: nothing is copied, and nothing of them is called here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.protocol.notebook import Cell

GONE: Final = object()
"""The value of a name that is not defined."""


class Notebook(Protocol):
    """The notebook, as far as its names are concerned."""

    @property
    def view(self) -> View: ...

    @property
    def running(self) -> tuple[str, float] | None: ...


class View(Protocol):
    """The cells for readers on any thread."""

    def snapshot(self) -> list[Cell]: ...


@dataclass(frozen=True, eq=False)
class Held:
    """The value of a name, and the runs of the cells that define it."""

    value: Any  # anything that a notebook holds
    runs: tuple[tuple[str, float | None], ...]

    def is_newer_than(self, other: Held) -> bool:
        """Return whether it was made anew since, or changed in place by a cell that says so."""
        return self.value is not other.value or self.runs != other.runs


class Variables:
    """The names of a notebook."""

    def __init__(self, names: Mapping[str, Any], notebook: Notebook) -> None:
        self._names = names
        self._notebook = notebook

    def get(self, name: str) -> Held:
        """Return what a name holds now."""
        runs = tuple(
            (cell.cell_id, cell.last_run_at)
            for cell in self._notebook.view.snapshot()
            if name in cell.defines
        )
        return Held(self._names.get(name, GONE), runs)

    def is_unsettled(self, name: str) -> bool:
        """Return whether a cell runs that may change what a name holds."""
        running = self._notebook.running
        if running is None:
            return False
        cells = (cell for cell in self._notebook.view.snapshot() if cell.cell_id == running[0])
        return any(name in cell.defines or name in cell.uses for cell in cells)
