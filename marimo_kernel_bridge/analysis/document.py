"""The cells of one analysis, and the versions of their names as far as cells were visited.

What the passes of the analysis share. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.model import PYTHON, InForce, Version
from marimo_kernel_bridge.analysis.mutation import Known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.analysis.model import Cell
    from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join


class Document:
    """Cells in document order, and the versions that those visited so far have made.

    `frames` are the names that cells use as only pandas objects are used. `requests` are what must be done to cells
    before the versions hold.
    """

    def __init__(self, cells: Iterable[Cell] = (), frames: frozenset[str] = frozenset()) -> None:
        self.cells: list[Cell] = []
        self.versions: dict[str, list[Version]] = {}
        self.current: dict[str, Version] = {}
        self.known = Known(frames=frames)
        self.late_readers: dict[str, dict[int, None]] = {}  # name -> cells whose functions read it
        self.requests: list[Join | CopyDefinition] = []
        self._log: dict[str, list[tuple[int, Version]]] = {}  # what was current, with numbers for times
        self._time = 0
        for cell in cells:
            self.append(cell)

    def append(self, cell: Cell) -> None:
        """Put a cell, which is not visited yet, below the others."""
        self.cells.append(cell)
        for occurrence in cell.names.occurrences:
            if occurrence.late and occurrence.act == "load":
                self.late_readers.setdefault(occurrence.name, {})[cell.index] = None

    def in_force(self) -> InForce:
        """Return the versions that are the newest ones now."""
        return InForce(self._log, self._time)

    def add(self, cell: Cell, version: Version) -> None:
        """Add a version that a cell makes. That of a cell that fails counts only where there is no other."""
        self.versions.setdefault(version.name, []).append(version)
        cell.made[version.name] = version
        if not (cell.given.fails and version.name in self.current):
            self.current[version.name] = version
            self._log.setdefault(version.name, []).append((self._time, version))
            self._time += 1

    def add_builtin(self, name: str) -> None:
        """Add what Python itself has under a name, which a cell is about to define otherwise."""
        self.versions.setdefault(name, []).append(Version(name, PYTHON, readers={PYTHON - 1}))
