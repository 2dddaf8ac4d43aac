"""The flow of values between the cells of a live notebook: which cells make and read each version of a name.

Applies `analysis.value_flows` to cells identified by id. When cells change, only the groups of cells that share names
with them are analyzed again, and only differences are reported, so that an edit costs the same in a large notebook as
in a small one. Independent of the graph and of values.
"""

from __future__ import annotations

import ast
import re
from bisect import insort
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.components import Groups
from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.value_flows import SMALL, GroupFlows, flows_of_small
from marimo_kernel_bridge.runtime.interface import is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.analysis.components import Group
    from marimo_kernel_bridge.analysis.value_flows import Flow

_LARGE_KEPT: Final = 64  # large groups with a cached analysis

# Most edits change only such a number; the caches of the analysis then have the text already.
_ASSIGNED_NUMBER: Final = re.compile(
    r"^([^\W\d]\w*[ \t]*=[ \t]*)(?:0|[1-9]\d*)(?:\.\d+)?(?=[ \t]*(?:#.*)?$)", re.MULTILINE
)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _imported_names(code: str) -> tuple[str, ...]:
    if not code.lstrip().startswith(("import", "from")):
        return ()
    try:
        body = parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    imports = [each for each in body if isinstance(each, ast.Import | ast.ImportFrom)]
    if len(imports) < len(body):
        return ()
    aliases = [alias for each in imports for alias in each.names]
    return tuple(alias.asname or alias.name.partition(".")[0] for alias in aliases)


@dataclass(frozen=True)
class Source:
    """The analyzed source of a cell: its code for the graph, the names of its star imports, the observations of its run."""

    code: str
    imports: str = ""
    observed: str = ""

    @property
    def text(self) -> str:
        """The complete source as one text. Assigned numbers are 0, because no flow depends on their values."""
        code = _ASSIGNED_NUMBER.sub(r"\g<1>0", self.code)
        return f"{self.imports}{code}{self.observed}"


@dataclass(frozen=True)
class Part:
    """One cell's part in the flow of values: its `Flow`, which numbers the cells of its group, with cells by their ids."""

    source: Source
    flow: Flow
    reads: frozenset[tuple[str, str]] = frozenset()
    early: Mapping[str, str] = field(default_factory=dict)
    redefines: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()  # all names that it makes, reads or mentions
    circular: frozenset[str] = (
        frozenset()
    )  # made by a later cell from this one's version: not a read in the graph
    private: frozenset[str] = frozenset()  # `_names` of which it reads versions

    def ends(self, name: str) -> bool:
        """Return whether the cell binds a name anew or deletes it, so that its object may end."""
        binds = rf"\bdel\b[^\n;]{{0,300}}\b{name}\b|^[ \t]*{name}[ \t]*=(?!=)"
        return name in self.flow.makes and (
            name not in self.flow.keeps or re.search(binds, self.source.code, re.MULTILINE) is not None
        )


@dataclass
class Changes:
    """The changes of an update. `sources` are the new ones.

    `parts` are the earlier parts of cells with a changed part, None for new cells; `makers` are the earlier makers of
    names; `names` are those that may be governed differently now, including those of `makers`.
    """

    sources: Mapping[str, Source | None]
    parts: dict[str, Part | None] = field(default_factory=dict)
    makers: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class ValueFlow:
    """The flow of values between the cells of a notebook, updated when cells change. Public attributes are read-only."""

    def __init__(self, is_batch: Callable[[str], bool], base: ValueFlow | None = None) -> None:
        """Reuse the analyses of `base`, another flow of the same notebook, for groups with the same beginning."""
        self._is_batch = is_batch
        self.sources: dict[str, Source] = {}
        self._texts: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        self.place: dict[str, int] = {}
        self.makers: dict[str, list[str]] = {}  # the makers of versions of each name, in document order
        self._having: dict[str, set[str]] = {}  # cells by the names of their parts
        self._groups: Groups[str] = Groups()
        self._results: dict[Group[str], _GroupResult] = {}
        self._private: Counter[str] = Counter()  # `_names` of which versions are read: by how many groups
        self._closing: Counter[str] = Counter()  # names that close cycles: of how many groups
        # By the text of the first cell of a large group.
        self.large: OrderedDict[str, GroupFlows] = OrderedDict() if base is None else base.large

    def update(
        self, sources: Mapping[str, Source | None], places: Mapping[str, int], *, moved: bool
    ) -> Changes:
        """Apply new sources of cells, None for removed cells. `moved`: the places of cells may have changed."""
        changes = Changes(sources)
        for cell_id, source in sources.items():
            if source is None:
                self.sources.pop(cell_id, None)
                self.place.pop(cell_id, None)
                self._texts.pop(cell_id, None)
            else:
                self.sources[cell_id], self.place[cell_id] = source, places[cell_id]
                self._texts[cell_id] = source.text
        if moved:
            self._move(places, changes)
        gone, new = self._groups.change({cell_id: self._texts.get(cell_id) for cell_id in sources})
        if moved:
            turned = [group for group in self._groups.all() if group not in new and self._ordered(group) != self._results[group].cells]  # fmt: skip
            gone, new = [*gone, *turned], [*new, *turned]
        before = [self._results.pop(group) for group in gone]
        for result in before:
            self._private.subtract(result.private)
            self._closing.subtract(result.closing)
            changes.names |= result.private | result.closing
        for cell_id in sources.keys() - self.sources.keys():
            if cell_id in self.parts:
                self._put(cell_id, None, changes)
        largest = max((result.cells for result in before), key=len, default=[])
        analyzed = {group: self._analyze(group, largest if len(new) == 1 else [], changes) for group in new}
        for group, (ids, flows) in analyzed.items():  # when all makers are known
            private = set[str]().union(*[self.parts[cell_id].private for cell_id in group.own])
            closing = self._closing_cycles(ids, flows, group)
            self._results[group] = _GroupResult(ids, private, closing)
            self._private.update(private)
            self._closing.update(closing)
            changes.names |= private | closing
        self._private, self._closing = +self._private, +self._closing
        changes.names |= changes.makers.keys()
        return changes

    def _move(self, places: Mapping[str, int], changes: Changes) -> None:
        self.place = {cell_id: places[cell_id] for cell_id in self.sources}
        for name, makers in self.makers.items():
            ordered = sorted((maker for maker in makers if maker in self.place), key=self.place.__getitem__)
            if len(makers) > 1 and ordered != [maker for maker in makers if maker in self.place]:
                changes.makers[name] = makers
                self.makers[name] = sorted(makers, key=lambda maker: places.get(maker, -1))

    def _ordered(self, group: Group[str], before: Sequence[str] = ()) -> list[str]:
        """Return a group's cells in document order; fast if they extend `before`."""
        ordered = [cell_id for cell_id in before if cell_id in group.cells]
        return sorted([*ordered, *group.cells.difference(ordered)], key=self.place.__getitem__)

    def _analyze(
        self, group: Group[str], before: Sequence[str], changes: Changes
    ) -> tuple[list[str], Sequence[Flow]]:
        """Analyze a group; `before` are the cells of a previous group, in document order. Return cells and flows."""
        ids = self._ordered(group, before)
        flows = self._flows(tuple(map(self._texts.__getitem__, ids)))
        circular = _read_in_cycles(flows)
        same = len(before) if ids[: len(before)] == before else 0  # so many cells keep their numbers
        parts = self.parts
        for number, (cell_id, flow) in enumerate(zip(ids, flows, strict=True)):
            as_before = number < same and number not in circular and cell_id not in changes.sources
            if as_before and (was := parts.get(cell_id)) and was.flow is flow and not was.circular:
                continue
            if cell_id in group.own:
                part = self._part(cell_id, flow, ids, circular.get(number, frozenset()))
                if part is not parts.get(cell_id):
                    self._put(cell_id, part, changes)
        return ids, flows

    def _flows(self, texts: tuple[str, ...]) -> Sequence[Flow]:
        if len(texts) <= SMALL:
            return flows_of_small(texts)
        flows = self.large.setdefault(texts[0], GroupFlows())
        self.large.move_to_end(texts[0])
        while len(self.large) > _LARGE_KEPT:
            self.large.popitem(last=False)
        return flows.of(texts)

    def _part(self, cell_id: str, flow: Flow, ids: Sequence[str], circular: frozenset[str]) -> Part:
        """Return the part of a cell for its flow; the same object if it is unchanged."""
        early = {
            name: ids[maker]
            for name, maker in flow.early.items()
            if name not in circular and not self._is_batch(cell_id)
        }
        reads = frozenset(
            (name, ids[maker]) for name, maker in flow.reads if name not in flow.early or name in early
        )
        redefines = {name: ids[maker] for name, maker in flow.redefines.items()}
        was = self.parts.get(cell_id)
        if (
            was is not None
            and was.flow is flow
            and was.source == self.sources[cell_id]
            and (was.reads, was.early, was.redefines, was.circular) == (reads, early, redefines, circular)
        ):
            return was
        names = flow.mentions | flow.makes | {name for name, _ in flow.reads}
        private = frozenset(name for name, _ in reads if is_private(name))
        return Part(self.sources[cell_id], flow, reads, early, redefines, names, circular, private)

    def _put(self, cell_id: str, part: Part | None, changes: Changes) -> None:
        was = self.parts.pop(cell_id, None)
        changes.parts[cell_id] = was
        if part is not None:
            self.parts[cell_id] = part
        before, after = (set() if side is None else side.names for side in (was, part))
        for name in before - after:
            self._having[name].discard(cell_id)
            if not self._having[name]:
                del self._having[name]
        for name in after - before:
            self._having.setdefault(name, set()).add(cell_id)
        before, after = (set() if side is None else side.flow.makes for side in (was, part))
        for name in before ^ after:
            makers = self.makers.get(name, [])
            changes.makers.setdefault(name, makers)
            left = [maker for maker in makers if maker != cell_id]
            if name in after:
                insort(left, cell_id, key=lambda maker: self.place.get(maker, -1))
            if left:
                self.makers[name] = left
            else:
                del self.makers[name]

    def _closing_cycles(self, ids: Sequence[str], flows: Sequence[Flow], group: Group[str]) -> set[str]:
        """Return names that functions read and later cells define, in a cycle: the callers of the functions read them.

        `ids` and `flows` are the group's, in document order. Only cells of one group can make a cycle.
        """
        if not any(flow.late for flow in flows):
            return set()
        late = {
            cell_id: {
                (name, self.makers[name][0]) for name in flow.late if len(self.makers.get(name, ())) == 1
            }
            for cell_id, flow in zip(ids, flows, strict=True)
            if flow.late
        }
        upward = {
            (cell_id, maker, name)
            for cell_id, names in late.items()
            for name, maker in names
            if self.place[maker] > self.place[cell_id]
        }
        if not upward:
            return set()
        number = {cell_id: number for number, cell_id in enumerate(ids)}
        upstream: dict[int, set[int]] = {number[cell_id]: set() for cell_id in ids}
        for cell_id in group.own:
            above = {maker for _, maker in self.parts[cell_id].reads}
            above |= {maker for _, maker in late.get(cell_id, ()) if maker != cell_id}
            upstream[number[cell_id]] = {number[maker] for maker in above if maker in number}
        groups = [set(group) for group in cycles(upstream)]
        return {
            name
            for low, high, name in upward
            if high in number and any({number[low], number[high]} <= group for group in groups)
        }

    def reads_of(self, cell_id: str, followed: set[str] | None = None) -> set[tuple[str, str]]:
        """Return the reads of a cell, by name and maker. With `followed`, also what functions read that it may call.

        A function reads names with one maker through marimo's own edges, which are not in `Part.reads`. `followed` are the cells
        whose functions the caller knows already; those that are followed now are added.
        """
        part = self.parts.get(cell_id)
        reads = set() if part is None else set(part.reads)
        if followed is None:
            return reads
        waiting = {cell_id, *(maker for _, maker in reads)} - followed
        while waiting:
            followed |= waiting
            parts = [self.parts[each] for each in waiting if each in self.parts]
            late = {name for part in parts for name in part.flow.late if len(self.makers.get(name, ())) == 1}
            found = {(name, self.makers[name][0]) for name in late}
            reads |= found
            waiting = {maker for _, maker in found} - followed
        return reads

    def imported_by(self, cell_id: str) -> tuple[str, ...]:
        """Return the names that a cell of imports alone binds; () for another cell."""
        return _imported_names(self.sources[cell_id].code) if cell_id in self.sources else ()

    def having(self, name: str) -> frozenset[str]:
        """Return the cells that have a name in their parts."""
        return frozenset(self._having.get(name, ()))

    def has_versions(self, name: str) -> bool:
        """Return whether cells that make a name make different versions of it."""
        if is_private(name):  # marimo makes it local to its cell
            return name in self._private
        return len(self.makers.get(name, ())) > 1

    def closes_cycle(self, name: str) -> bool:
        """Return whether functions read a name of a later cell in a cycle, so that their callers read it."""
        return name in self._closing

    def governed(self) -> set[str]:
        """Return the names with edges that come from the flow, not from the names in the code."""
        return {name for name in self.makers if self.has_versions(name)} | self._closing.keys()


@dataclass(frozen=True)
class _GroupResult:
    """The analysis of a group: cells in document order, `_names` with versions that are read, names that close cycles."""

    cells: list[str]
    private: set[str]
    closing: set[str]


def _read_in_cycles(flows: Sequence[Flow]) -> dict[int, frozenset[str]]:
    """Return, by cell, names that it reads from later cells that depend on a version that it makes.

    The cell reads the current values when it runs. The graph refuses a cycle of names with one definition each.
    """
    if not any(flow.early for flow in flows):
        return {}
    times = Counter(name for flow in flows for name in flow.makes)
    upstream = {number: {maker for _, maker in flow.reads} for number, flow in enumerate(flows)}
    circular: dict[int, frozenset[str]] = {}
    for group in map(set, cycles(upstream)):
        inside = {name for number in group for name, maker in flows[number].reads if maker in group}
        if any(times[name] > 1 for name in inside):
            for number in group:
                circular[number] = frozenset(
                    name for name, maker in flows[number].early.items() if maker in group
                )
    return {number: names for number, names in circular.items() if names}
