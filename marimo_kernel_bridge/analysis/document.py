"""The state that the passes of an analysis share: the cells, and the versions of their names. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.model import PYTHON, InForce, Version
from marimo_kernel_bridge.analysis.name_facts import NameFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.analysis.model import Cell
    from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join


class Document:
    """Cells in document order, and the versions made by those that have been visited.

    `frames` are names that cells use in ways specific to pandas objects. `requests` are the changes of cells that the
    versions depend on.
    """

    def __init__(self, cells: Iterable[Cell] = (), frames: frozenset[str] = frozenset()) -> None:
        self.cells: list[Cell] = []
        self.versions: dict[str, list[Version]] = {}
        self.current: dict[str, Version] = {}
        self.facts = NameFacts(frames=frames)
        self.late_readers: dict[str, dict[int, None]] = {}  # name -> cells whose functions read it
        self.requests: list[Join | CopyDefinition] = []
        self._log: dict[str, list[tuple[int, Version]]] = {}  # the versions of each name, with logical times
        self._time = 0
        for cell in cells:
            self.append(cell)

    def append(self, cell: Cell) -> None:
        """Append a cell, which has not been visited."""
        self.cells.append(cell)
        for occurrence in cell.names.occurrences:
            if occurrence.late and occurrence.act == "load":
                self.late_readers.setdefault(occurrence.name, {})[cell.index] = None

    def in_force(self) -> InForce:
        """Return the current versions."""
        return InForce(self._log, self._time)

    def add(self, cell: Cell, version: Version) -> None:
        """Add a version that a cell makes. A version of a failing cell counts only if there is no other."""
        self.versions.setdefault(version.name, []).append(version)
        cell.made[version.name] = version
        if not (cell.given.fails and version.name in self.current):
            self._put_in_force(version)

    def _put_in_force(self, version: Version) -> None:
        self.current[version.name] = version
        self._log.setdefault(version.name, []).append((self._time, version))
        self._time += 1

    def add_builtin(self, name: str) -> None:
        """Add the version of a builtin whose name a cell is about to bind."""
        self.versions.setdefault(name, []).append(Version(name, PYTHON, readers={PYTHON - 1}))

    def restore_builtin(self, name: str) -> None:
        """Put a builtin in force again below a `del`."""
        versions = self.versions.setdefault(name, [])
        if all(version.cell != PYTHON for version in versions):
            versions.insert(0, Version(name, PYTHON, readers={PYTHON - 1}))  # the first one keeps its name
        self._put_in_force(next(version for version in versions if version.cell == PYTHON))
