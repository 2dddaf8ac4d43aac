"""What flows between cells that run as they are, in document order: who makes each version of a name, who reads it.

The same analysis as for imported cells, with two differences. Cells may still come below, so no version is left out
because nobody reads it yet. And a function reads a global where it is called, not where it is written: whoever runs
the cells gives each of them the versions that are in force at its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import Cell, Given, Version
from marimo_kernel_bridge.analysis.name_uses import CellNames, read_cell
from marimo_kernel_bridge.analysis.plan import CellPlan
from marimo_kernel_bridge.analysis.versions import Analysis, frames_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HISTORY: Final = re.compile(r"_+|_i*\d*|_i{1,3}|_[iod]h|_exit_code")
"""IPython's own names: the last values, inputs and outputs."""


@dataclass
class Flow:
    """One cell's part. Cells are numbers in the document order of those that are analysed together.

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
    mentions: frozenset[str] = frozenset()  # all global names that it has
    late: set[str] = field(default_factory=set)  # names that its functions read when they are called


class GroupFlows:
    """The flows of a group (`groups.py`) whose cells come one after the other: what is known of those above stays."""

    def __init__(self) -> None:
        self._sources: list[str] = []
        self._known = _Flows([])

    def of(self, sources: Sequence[str]) -> list[Flow]:
        """Return what flows between the cells. A cell that is not Python has no part."""
        count = len(self._sources)
        if list(sources[:count]) != self._sources or self._known.is_outdated_by(sources[count:]):
            self._known, count = _Flows(sources), 0
        for source in sources[count:]:
            self._known.add(source)
        self._sources = list(sources)
        return self._known.flows()


def flows(sources: Sequence[str]) -> list[Flow]:
    """Return what flows between cells in document order."""
    return GroupFlows().of(sources)


SMALL: Final = 16  # cells of a group whose analysis is kept by their texts


@lru_cache(maxsize=8000)
def flows_of_small(sources: tuple[str, ...]) -> list[Flow]:
    """Do as `flows` does; the same objects each time."""
    return flows(sources)


@lru_cache(maxsize=5000)
def _read(source: str) -> CellNames | None:
    """Read a cell's text; None if it cannot be analysed."""
    try:
        return read_cell(source)
    except (SyntaxError, ValueError, AssertionError, IndexError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=5000)
def _frames(source: str) -> frozenset[str]:
    names = _read(source)
    return frozenset() if names is None else frames_of(names.tree)


class _Readers(set[int]):
    """The cells that read a version. New ones are noted."""

    def __init__(self, version: Version, noted: list[tuple[Version, int]]) -> None:
        super().__init__(version.readers)
        self._version, self._noted = version, noted

    def add(self, reader: int) -> None:
        if reader not in self:
            self._noted.append((self._version, reader))
        super().add(reader)


class _Flows(Analysis):
    """`sources` are all cells that will be added, as far as they are known."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._used_as_frames = frozenset[str]().union(*map(_frames, sources))
        super().__init__([])
        self._new_readers: list[tuple[Version, int]] = []  # since the flows were asked for
        self._parts: list[Flow] = []
        self._unresolved: dict[str, list[Cell]] = {}  # names that cells read and none above defines
        self._carriers: set[str] = set()  # names that may stand for functions that read globals
        self._matters: dict[
            int, set[str]
        ] = {}  # names of which it matters who calls, by the cell that reads them

    def is_outdated_by(self, sources: Iterable[str]) -> bool:
        """Tell whether what is known of cells would be otherwise with these below them."""
        return not all(_frames(source) <= self._used_as_frames for source in sources)

    def add(self, source: str) -> None:
        """Add a cell below the others."""
        cell = self._cell(len(self.cells), Given(source))
        self.cells.append(cell)
        self.plans.append(CellPlan())
        self._parts.append(Flow())
        self._visit(cell)
        self._draw_on_views(cell)
        self._resolve_early(cell)
        self._resolve_calls(cell)
        self._note(cell)
        self._note_redefinitions(cell)

    def flows(self) -> list[Flow]:
        """Return the parts; one that is as before is the same object."""
        news: dict[int, set[tuple[str, int]]] = {}
        for version, reader in self._new_readers:
            if min(reader, version.cell) >= 0 and reader != version.cell:
                news.setdefault(reader, set()).add((version.name, version.cell))
        self._new_readers.clear()
        for index, new in news.items():
            flow = self._parts[index]
            reads = flow.reads | {each for each in new if not HISTORY.fullmatch(each[0])}
            if flow.reads != reads:
                early = {name: maker for name, maker in reads if maker > index}
                self._parts[index] = replace(flow, reads=reads, early=early)
        return list(self._parts)

    def _add(self, cell: Cell, version: Version) -> None:
        version.readers = _Readers(version, self._new_readers)
        super()._add(cell, version)

    def _note(self, cell: Cell) -> None:
        self._parts[cell.index] = replace(
            self._parts[cell.index],
            makes={name for name in cell.made if not HISTORY.fullmatch(name)},
            keeps={name: how for name, how in cell.seeded.items() if name in cell.incoming},
            together=[names for names, _ in cell.together],
            mentions=frozenset(cell.names.names),
            repeats={each.name for each in cell.repeated_imports},
            late={each.name for each in cell.names.occurrences if each.late and each.act == "load"},
        )

    # Differences from imported cells

    def _frames(self) -> frozenset[str]:
        return self._used_as_frames

    def _cell(self, index: int, given: Given) -> Cell:
        names = _read(given.source)
        return Cell(index, given, names) if names is not None else Cell(index, Given(""), read_cell(""))

    def _read_below(self, index: int, names: set[str]) -> bool:  # noqa: ARG002  # cells may still come
        return True

    def _visit_name(self, cell: Cell, name: str) -> None:
        before = self.current.get(name)
        super()._visit_name(cell, name)
        made = cell.made.get(name)
        if made is not None and made.derived and before is not None and before.cell != cell.index:
            before.readers.add(cell.index)  # also by a function with `global`, which may never be called
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
            self._parts[cell.index].draws_on.add(other)

    def _draw_on_views(self, cell: Cell) -> None:
        """Let who changes an array by a view of it come after its makers: no copy keeps a view and its array one."""
        for name in cell.seeded:
            if name in cell.incoming and any(each.viewed for each in cell.changed.get(name, ())):
                self._parts[cell.index].draws_on.add(name)

    def _note_redefinitions(self, cell: Cell) -> None:
        for name in cell.made:
            before = cell.incoming.get(name)
            if (
                before is not None
                and before.cell >= 0
                and cell.names.stores(name)
                and before.readers - {before.cell}
                and not name.startswith("_")
            ):
                self._parts[cell.index].redefines[name] = before.cell

    def _resolve_early(self, cell: Cell) -> None:
        """Let cells above that read what this cell is the first to define read it here."""
        for occurrence in cell.names.occurrences:
            name = occurrence.name
            if occurrence.exposed and name not in cell.incoming and name not in cell.made:
                self._unresolved.setdefault(name, []).append(cell)
        for name, made in cell.made.items():
            if self.versions[name][0] is made and not name.startswith("_"):
                for other in self._unresolved.pop(name, []):
                    made.readers.add(other.index)
                    other.incoming[name] = made

    def _resolve_calls(self, cell: Cell) -> None:
        """Let those who call a function read what it reads, of names for which it matters who calls."""
        loaded = {each.name for each in cell.names.occurrences if each.act == "load" and not each.late}
        self._note_late(cell)
        self._carriers |= {
            each.owner for each in cell.names.occurrences if each.late and each.act == "load" and each.owner
        }
        if not loaded.isdisjoint(self._carriers):
            self._carriers |= cell.made.keys()
            for index, names in self._matters.items():
                self._read_by_callers(self.cells[index], names)
        for name in cell.made.keys() | {each.name for each in cell.names.occurrences if each.late}:
            versions = self.versions.get(name)
            for index in self._late.get(name, ()) if versions else ():
                if versions and (len(versions) > 1 or versions[0].cell > index):
                    self._matters.setdefault(index, set()).add(name)
                    self._read_by_callers(self.cells[index], {name})

    def _read_by_callers(self, cell: Cell, names: set[str]) -> None:
        wanted = dict.fromkeys(
            (each.owner, each.name)
            for name in names
            for each in cell.names.of(name)
            if each.late and each.act == "load"
        )
        callers: dict[str | None, dict[int, set[str]]] = {}
        for owner, name in wanted:
            if owner not in callers:
                callers[owner] = {cell.index: set()} if owner is None else self._callers(cell, owner)
            for index, called in callers[owner].items():
                version = self._in_force(self.cells[index], name, called)
                if version is not None and version.cell not in {-1, index}:
                    version.readers.add(index)
                    self._note(self.cells[index])
