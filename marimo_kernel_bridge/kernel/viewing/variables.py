"""A notebook's variables as a view needs them: the value of a name, who made it and when, and whether a cell changes it now.

Any thread. The values are the notebook's own: nothing of them is copied or called here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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

    def cell(self, cell_id: str) -> Cell: ...


@dataclass(frozen=True, eq=False)
class Held:
    """The value of a name, and the runs of the cells that define it, or may change it unseen."""

    value: Any  # anything that a notebook holds
    runs: tuple[tuple[str, float | None], ...]

    def is_newer_than(self, other: Held) -> bool:
        """Return whether it was made again since, or changed in place by a cell that says so."""
        return self.value is not other.value or self.runs != other.runs


class Variables:
    """The names of a notebook."""

    def __init__(self, names: Mapping[str, Any], notebook: Notebook) -> None:
        self._names = names
        self._notebook = notebook

    def get(self, names: Collection[str]) -> dict[str, Held]:
        """Return what names hold now."""
        runs: dict[str, list[tuple[str, float | None]]] = {name: [] for name in names}
        for cell in self._notebook.view.snapshot():
            for name in runs.keys() & {*cell.defines, *cell.not_watched}:
                runs[name].append((cell.cell_id, cell.last_run_at))
        return {name: Held(self._names.get(name, GONE), tuple(runs[name])) for name in names}

    def is_unsettled(self, name: str) -> bool:
        """Return whether a cell runs that may change what a name holds."""
        running = self._notebook.running
        if running is None:
            return False
        try:
            cell = self._notebook.view.cell(running[0])
        except BridgeError:  # it has left the notebook meanwhile
            return True
        return name in cell.defines or name in cell.uses
