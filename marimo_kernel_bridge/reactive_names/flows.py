"""What flows between cells that run as they are, in document order: who makes each version of a name, who reads it.

The same analysis as for imported cells, with two differences. Cells may still come below, so no version is left out
because nobody reads it yet. And a function reads a global where it is called, not where it is written: whoever runs
the cells gives each of them the versions that are in force at its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.reactive_names.model import Cell, Given, Version
from marimo_kernel_bridge.reactive_names.occurrences import read_cell
from marimo_kernel_bridge.reactive_names.versions import Analysis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HISTORY: Final = re.compile(r"_+|_i*\d*|_i{1,3}|_[iod]h|_exit_code")
"""IPython's own names: the last values, inputs and outputs."""


@dataclass
class Flow:
    """One cell's part. Cells are numbers in document order.

    `makes` are the names that it makes a version of: binds, changes or deletes. `reads` are (name, cell that makes
    what is read), also through functions that the cell calls; `early` those of them that a cell below makes.
    `keeps` tells for objects that the cell changes how to keep them for the cells above, as `model.Cell.seeded` does:
    "{}" changes the object itself. `together` are names whose objects are copied as one. `draws_on` are names of
    objects that cannot be copied, and are changed each time. `redefines` names the cell that made the version before,
    where others read that.
    """

    makes: set[str] = field(default_factory=set)
    reads: set[tuple[str, int]] = field(default_factory=set)
    early: dict[str, int] = field(default_factory=dict)
    keeps: dict[str, str] = field(default_factory=dict)
    together: list[tuple[str, ...]] = field(default_factory=list)
    draws_on: set[str] = field(default_factory=set)
    redefines: dict[str, int] = field(default_factory=dict)
    repeats: set[str] = field(default_factory=set)  # imports that a cell above has made
    late: set[str] = field(default_factory=set)  # names that its functions read when they are called


def flows(sources: Sequence[str]) -> list[Flow]:
    """Return what flows between cells in document order. A cell that is not Python has no part."""
    return _Flows([Given(source) for source in sources]).flows()


@lru_cache(maxsize=2000)
def is_readable(source: str) -> bool:
    """Tell whether a cell's text can be analysed."""
    try:
        _read(source)
    except (SyntaxError, ValueError, AssertionError, IndexError, RecursionError, MemoryError):
        return False
    return True


_read = lru_cache(maxsize=2000)(read_cell)


class _Flows(Analysis):
    def __init__(self, given: Sequence[Given]) -> None:
        self._flows = [Flow() for _ in given]
        super().__init__([each if is_readable(each.source) else Given("") for each in given])

    def flows(self) -> list[Flow]:
        for cell in self.cells:
            self._visit(cell)
        self._note_redefinitions()
        self._resolve_early_reads()
        self._resolve_calls()
        for version in (each for versions in self.versions.values() for each in versions):
            if version.cell < 0 or HISTORY.fullmatch(version.name):
                continue
            for reader in version.readers:
                if reader >= 0 and reader != version.cell:
                    self._flows[reader].reads.add((version.name, version.cell))
                    if reader < version.cell:
                        self._flows[reader].early[version.name] = version.cell
        for cell, flow in zip(self.cells, self._flows, strict=True):
            flow.makes |= {name for name in cell.made if not HISTORY.fullmatch(name)}
            flow.keeps |= {name: how for name, how in cell.seeded.items() if name in cell.incoming}
            flow.together += [names for names, _ in cell.together]
            flow.repeats |= {each.name for each in cell.repeated_imports}
            flow.late |= {each.name for each in cell.names.occurrences if each.late and each.act == "load"}
        return self._flows

    # Differences from imported cells

    def _cell(self, index: int, given: Given) -> Cell:
        return Cell(index, given, _read(given.source))

    def _read_below(self, index: int, names: set[str]) -> bool:  # noqa: ARG002  # cells may still come
        return True

    def _visit_name(self, cell: Cell, name: str) -> None:
        before = self.current.get(name)
        super()._visit_name(cell, name)
        if before is None or before.cell in {-1, cell.index} or name in cell.made:
            return
        deleted = any(each.act == "delete" and each.exposed for each in cell.names.of(name))
        rebound = any(
            each.name == name and each.how == "call" and each.at.id != name
            for each in cell.changed.get(name, ())
        )
        if deleted or (rebound and before.origin is None):
            before.readers.add(cell.index)
            self._add(cell, Version(name, cell.index, derived=True, temporary=False))
            cell.seeded.setdefault(name, "{}")

    def _join_with_maker(self, cell: Cell, name: str, before: Version, why: str) -> None:  # noqa: ARG002  # as the importer's
        """Let a cell that draws on what others made come after them: it cannot become one with them."""
        for other in sorted(self._known.group(name)):
            drawn = self.current.get(other)
            if (
                drawn is None
                or drawn.cell in {-1, cell.index}
                or drawn.origin is not None
                or other in cell.made
            ):
                continue
            drawn.readers.add(cell.index)
            self._add(cell, Version(other, cell.index, derived=True, temporary=False))
            cell.seeded[other] = "{}"
            self._flows[cell.index].draws_on.add(other)

    def _note_redefinitions(self) -> None:
        for cell in self.cells:
            for name in cell.made:
                before = cell.incoming.get(name)
                if (
                    before is not None
                    and before.cell >= 0
                    and cell.names.stores(name)
                    and before.readers - {before.cell}
                    and not name.startswith("_")
                ):
                    self._flows[cell.index].redefines[name] = before.cell

    def _resolve_calls(self) -> None:
        """Let those who call a function read what it reads."""
        for cell in self.cells:
            wanted = dict.fromkeys(
                (each.owner, each.name) for each in cell.names.occurrences if each.late and each.act == "load"
            )
            called: dict[str | None, dict[int, set[str]]] = {}
            for owner, name in wanted:
                if not self.versions.get(name):
                    continue
                if owner not in called:
                    called[owner] = {cell.index: set()} if owner is None else self._callers(cell, owner)
                self._read_by(called[owner].items(), name)

    def _read_by(self, callers: Iterable[tuple[int, set[str]]], name: str) -> None:
        for index, called in callers:
            version = self._in_force(self.cells[index], name, called)
            if version is not None and version.cell not in {-1, index}:
                version.readers.add(index)
