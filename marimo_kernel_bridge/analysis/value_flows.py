"""The flow of values between cells of a running notebook, in document order: which cells make and read each version.

The same analysis as for imported cells, with two differences. Cells may still be added below, so a version that nothing
reads yet is kept. And a function reads a global where it is called, not where it is defined, because the kernel
supplies each cell with the versions that are in force at its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.late_reads import LateReads
from marimo_kernel_bridge.analysis.live_document import LiveDocument, LiveOrder
from marimo_kernel_bridge.analysis.model import PYTHON, TEXTS_REMEMBERED, Cell, Given
from marimo_kernel_bridge.analysis.name_uses import CellNames, read_cell
from marimo_kernel_bridge.analysis.object_kinds import frames_in
from marimo_kernel_bridge.analysis.observations import is_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HISTORY: Final = re.compile(r"_+|_i*\d*|_i{1,3}|_[iod]h|_exit_code")
"""Names that IPython binds: the last values, inputs and outputs."""


@dataclass
class Flow:
    """The flow of one cell. Cells are numbers in document order among those that are analyzed together.

    `makes` are the names of which it makes a version: it binds, mutates or deletes them. `reads` are pairs of a name
    and the cell that makes the version read, also through functions that the cell calls; `early` are those made by a
    cell below. `keeps` says how objects that the cell mutates are preserved for the cells above, as
    `model.Cell.seeded` does: with "{}" the object itself is mutated. `together` are names whose objects are copied as
    one. `draws_on` are names of objects that cannot be copied, and are mutated in each run. `redefines` maps a name to
    the cell that made the previous version, if other cells read that.
    """

    makes: set[str] = field(default_factory=set)
    reads: set[tuple[str, int]] = field(default_factory=set)
    early: dict[str, int] = field(default_factory=dict)
    keeps: dict[str, str] = field(default_factory=dict)
    together: list[tuple[str, ...]] = field(default_factory=list)
    draws_on: set[str] = field(default_factory=set)
    redefines: dict[str, int] = field(default_factory=dict)
    repeats: set[str] = field(default_factory=set)  # names already imported by a cell above
    mentions: frozenset[str] = frozenset()  # all global names in it
    late: set[str] = field(default_factory=set)  # names that its functions read when called


class GroupFlows:
    """The flows of a group of connected cells. Adding a cell at the end does not analyze the others again."""

    def __init__(self) -> None:
        self._sources: list[str] = []
        self._flows = _Flows([])

    def of(self, sources: Sequence[str]) -> list[Flow]:
        """Return the flow of each cell; that of a cell that is not Python is empty."""
        count = len(self._sources)
        if list(sources[:count]) != self._sources or self._flows.is_outdated_by(sources[count:]):
            self._flows, count = _Flows(sources), 0
        for source in sources[count:]:
            self._flows.add(source)
        self._sources = list(sources)
        return self._flows.flows()


def flows(sources: Sequence[str]) -> list[Flow]:
    """Return the flow of each cell, for cells in document order."""
    return GroupFlows().of(sources)


SMALL: Final = 16  # cells; the flows of smaller groups are cached by the cells' texts


@lru_cache(maxsize=TEXTS_REMEMBERED)
def flows_of_small(sources: tuple[str, ...]) -> list[Flow]:
    """Return the flow of each cell, for cells in document order. Cached: the same objects each time."""
    return flows(sources)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _read(source: str) -> CellNames | None:
    """Read a cell's text; None if it cannot be analyzed."""
    try:
        return read_cell(source)
    except (SyntaxError, ValueError, AssertionError, IndexError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _frames(source: str) -> frozenset[str]:
    names = _read(source)
    return frozenset() if names is None else frames_in(names.tree)


class _Flows:
    """The flows of cells that are added one below the other.

    `sources` are all cells that will be added, as far as they are known.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._used_as_frames = frozenset[str]().union(*map(_frames, sources))
        self._document = LiveDocument(self._used_as_frames)
        self._order = LiveOrder(self._document)
        self._late_reads = LateReads(self._document)
        self._parts: list[Flow] = []
        self._unresolved: dict[str, list[Cell]] = {}  # names that cells read and no cell above them defines
        self._carriers: set[str] = set()  # names that may refer to functions that read globals
        self._by_callers: dict[
            int, set[str]
        ] = {}  # by reading cell: names whose version depends on the caller

    def is_outdated_by(self, sources: Iterable[str]) -> bool:
        """Return whether new cells below invalidate the analysis of those above."""
        return not all(_frames(source) <= self._used_as_frames for source in sources)

    def add(self, source: str) -> None:
        """Add a cell below the others."""
        cell = _cell(len(self._parts), source)
        self._document.append(cell)
        self._parts.append(Flow())
        self._order.visit(cell)
        self._resolve_early(cell)
        self._resolve_calls(cell)
        self._note(cell)
        self._parts[cell.index].draws_on |= self._order.draws_on.get(cell.index, set())
        self._parts[cell.index].redefines |= _redefined(cell)

    def flows(self) -> list[Flow]:
        """Return the flow of each cell; an unchanged one is the same object as before."""
        additions: dict[int, set[tuple[str, int]]] = {}
        for version, reader in self._document.new_readers:
            if min(reader, version.cell) >= 0 and reader != version.cell:
                makers = {version.cell}
                if is_file_name(version.name):  # a file also holds what cells above have added to it
                    above = (each.cell for each in self._document.versions[version.name])
                    makers.update(cell for cell in above if cell < version.cell)
                additions.setdefault(reader, set()).update((version.name, cell) for cell in makers)
        self._document.new_readers.clear()
        for index, added in additions.items():
            flow = self._parts[index]
            reads = flow.reads | {read for read in added if not HISTORY.fullmatch(read[0])}
            if flow.reads != reads:
                early = {name: maker for name, maker in reads if maker > index}
                self._parts[index] = replace(flow, reads=reads, early=early)
        return list(self._parts)

    def _note(self, cell: Cell) -> None:
        self._parts[cell.index] = replace(
            self._parts[cell.index],
            makes={name for name in cell.made if not HISTORY.fullmatch(name)},
            keeps={name: how for name, how in cell.seeded.items() if name in cell.incoming},
            together=[names for names, _ in cell.together],
            mentions=frozenset(cell.names.names),
            repeats={use.name for use in cell.repeated_imports},
            late={use.name for use in cell.names.occurrences if use.late and use.act == "load"},
        )

    def _resolve_early(self, cell: Cell) -> None:
        """Resolve reads by cells above of names that this cell is the first to define."""
        for use in cell.names.occurrences:
            if use.exposed and use.name not in cell.incoming and use.name not in cell.made:
                self._unresolved.setdefault(use.name, []).append(cell)
        for name, made in cell.made.items():
            if self._document.versions[name][0] is made and not name.startswith("_"):
                for other in self._unresolved.pop(name, []):
                    made.readers.add(other.index)
                    other.incoming[name] = made

    def _resolve_calls(self, cell: Cell) -> None:
        """Add the reads of functions to the cells that call them, for names whose version depends on the caller."""
        uses, cells = cell.names.occurrences, self._document.cells
        loaded = {use.name for use in uses if use.act == "load" and not use.late}
        self._carriers |= {use.owner for use in uses if use.late and use.act == "load" and use.owner}
        if not loaded.isdisjoint(self._carriers):
            self._carriers |= cell.made.keys()
            for index, names in self._by_callers.items():
                self._read_by_callers(cells[index], names)
        for name in cell.made.keys() | {use.name for use in uses if use.late}:
            versions = self._document.versions.get(name)
            for index in self._document.late_readers.get(name, ()) if versions else ():
                if versions and (len(versions) > 1 or versions[0].cell > index):
                    self._by_callers.setdefault(index, set()).add(name)
                    self._read_by_callers(cells[index], {name})

    def _read_by_callers(self, cell: Cell, names: set[str]) -> None:
        late = dict.fromkeys(
            (use.owner, use.name)
            for name in names
            for use in cell.names.of(name)
            if use.late and use.act == "load"
        )
        callers: dict[str | None, dict[int, set[str]]] = {None: {cell.index: set()}}
        for owner, name in late:
            if owner not in callers:
                assert owner is not None
                callers[owner] = self._late_reads.callers(cell, owner)
            for index, called in callers[owner].items():
                version = self._late_reads.in_force(self._document.cells[index], name, called)
                if version is not None and version.cell not in {PYTHON, index}:
                    version.readers.add(index)
                    self._note(self._document.cells[index])


def _cell(index: int, source: str) -> Cell:
    """Return a cell; an empty one if it cannot be analyzed."""
    names = _read(source)
    return Cell(index, Given(source), names) if names is not None else Cell(index, Given(""), read_cell(""))


def _redefined(cell: Cell) -> dict[str, int]:
    """Return the names that a cell redefines, with the cell of the previous version, if other cells read that."""
    redefined = {}
    for name in cell.made:
        before = cell.incoming.get(name)
        if (
            before is not None
            and before.cell >= 0
            and cell.names.stores(name)
            and before.readers - {before.cell}
            and not name.startswith("_")
        ):
            redefined[name] = before.cell
    return redefined
