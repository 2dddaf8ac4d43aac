"""Names that several cells define or change: whose version of a value each cell sees, and which one people see.

What an ordinary notebook means is its run from top to bottom. The analysis (`reactive_names/flows.py`) says who makes
which version of a name and who reads it; the graph gets a name of its own for each version, so that nothing is
defined twice. Code runs as it is written: before a cell's body the plain names are given the values that they would
have at its place in the document, and after it those of the last definition. What a cell changes is kept as it was
for the cells above, by a copy; where there can be none, its maker runs again before the next who needs it.
What binds a plain name where no analysis sees it (a callback, a thread, `exec`) binds the version that stands there.

Main thread only. Knows neither marimo nor messages; why so: docs/decisions/0005-versions-of-names-live.md.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.dataflow import Names, Versions, version_name
from marimo_kernel_bridge.keeping import Kept, kept, shares
from marimo_kernel_bridge.reactive_names.cycles import cycles
from marimo_kernel_bridge.star_imports import written_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.cells import CellTable
    from marimo_kernel_bridge.dataflow import Runtime
    from marimo_kernel_bridge.reactive_names.flows import Flow, Flows


T = TypeVar("T")

_NOTHING: Final = object()


@dataclass(frozen=True)
class Source:
    """What is analysed of a cell: its code for the graph, and what its star imports stand for."""

    code: str
    imports: str = ""


@dataclass(frozen=True)
class Part:
    """One cell's part in the flow of values, with cells by their ids. See `Flow`."""

    source: Source
    flow: Flow
    reads: frozenset[tuple[str, str]] = frozenset()
    early: Mapping[str, str] = field(default_factory=dict)
    redefines: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()  # all that it makes, reads or mentions
    circular: frozenset[str] = (
        frozenset()
    )  # what a cell below makes out of this one's: no read, for the graph


class Redefinitions:
    """See the module."""

    def __init__(self, cells: CellTable) -> None:
        self.strict = False
        self._cells = cells
        self._runtime: Runtime | None = None
        self._interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
        self._flows: Flows | None = None
        self._seen: dict[str, Source] = {}  # in document order
        self._parts: dict[str, Part] = {}  # in document order
        self._place: dict[str, int] = {}
        self._governed: set[str] = set()  # names that the graph knows by what the analysis says of them
        self._several: set[str] = set()  # those of them that have several versions
        self._versions: dict[str, Versions] = {}
        self._makers: dict[str, list[str]] = {}  # of names with several versions, in document order
        self._outside: dict[str, object] = {}  # values that such a name had before any cell defined it
        self._absent: set[str] = set()  # versions whose cell ran and left the name without a value
        self._spent: set[str] = set()  # versions whose object a cell below has changed
        self._sizes: dict[str, int] = {}  # of versions that are copies, in bytes
        self._put_there: dict[str, tuple[str | None, object]] = {}  # by plain name: which version, its value
        self._told: set[tuple[str, str, str]] = set()

    def attach(self, runtime: Runtime, interruptible: Callable[[], AbstractContextManager[None]]) -> None:
        """Connect the graph; once. `interruptible` surrounds copies, which may run user code."""
        self._runtime = runtime
        self._interruptible = interruptible

    @property
    def _graph(self) -> Runtime:
        assert self._runtime is not None, "attach() comes first"
        return self._runtime

    @property
    def _values(self) -> dict[str, Any]:
        return self._graph.values

    # -- what flows where ------------------------------------------------------------------------------------------

    def update(self) -> None:
        """Look at the cells anew: tell the graph who defines and reads which version, and move values accordingly.

        Cells that now read another version become stale.
        """
        self._adopt()
        sources = {} if self.strict else self._sources()
        if sources == self._seen and list(sources) == list(self._seen):
            return
        self._seen = sources
        if self._flows is None:
            self._flows = analysis()
        before, self._parts = self._parts, parts_of(sources, self._is_batch, self._flows, self._parts)
        parts = self._parts
        if not before.keys() <= parts.keys():
            self._told = {each for each in self._told if each[0] in self._cells}
        self._place = {cell_id: place for place, cell_id in enumerate(parts)}
        makers = makers_of(parts)
        several = {name: ids for name, ids in makers.items() if _is_versioned(name, ids, parts)}
        self._move_values(several, makers)
        governed = several.keys() | _closing_cycles(parts, makers)
        changed = (governed ^ self._governed) | (several.keys() ^ self._several)
        self._governed, self._several = governed, set(several)
        self._versions = {
            cell_id: self._versions[cell_id]
            if before.get(cell_id) is part and changed.isdisjoint(part.names)
            else _versions(cell_id, part, several, governed, only_above=self._is_batch(cell_id))
            for cell_id, part in parts.items()
        }
        self._graph.assign(self._versions, self._cells.ids())
        self.show_last()
        self._mark_stale(before)

    def _sources(self) -> dict[str, Source]:
        bodies = {
            entry.cell.cell_id: entry.body
            for entry in self._cells
            if entry.body is not None
            and entry.body.interactivity != "none"
            and not entry.deleted
            and entry.cell.status != "superseded"
        }
        wanted: set[str] = set()
        if any(body.stars for body in bodies.values()):
            wanted = set().union(*(_words(body.code) for body in bodies.values()))
        return {
            cell_id: Source(body.code, written_out(body.stars, wanted)) for cell_id, body in bodies.items()
        }

    def _is_batch(self, cell_id: str) -> bool:
        return self._cells[cell_id].address.dialect == "batch"

    def _move_values(self, several: dict[str, list[str]], makers: Mapping[str, list[str]]) -> None:
        values, graph = self._values, self._graph
        for name, ids in several.items():
            if name not in self._makers and name in values:
                holders = graph.definers(name)
                holder = next((one for one in ids if one in holders), None)
                if holder is not None:
                    values[version_name(name, holder)] = values[name]
                elif not holders:
                    self._outside[name] = values[name]
        for name, ids in self._makers.items():
            left = several.get(name)
            if left is None:
                self._make_plain(name, makers.get(name, []))
            for gone in ids if left is None else set(ids) - set(left):
                self._forget_version(version_name(name, gone))
        self._makers = several

    def _make_plain(self, name: str, makers: Sequence[str]) -> None:
        values = self._values
        values.pop(name, None)
        self._put_there.pop(name, None)
        if name in self._outside:
            values[name] = self._outside.pop(name)
        for maker in makers:
            if (version := version_name(name, maker)) in values:
                values[name] = values[version]

    def _forget_version(self, version: str) -> None:
        self._values.pop(version, None)
        self._absent.discard(version)
        self._spent.discard(version)
        self._sizes.pop(version, None)

    def _mark_stale(self, before: Mapping[str, Part]) -> None:
        """Let cells run again that read another version than they did, or make one that has no value."""
        stale: set[str] = set()
        others = {cell_id for cell_id, part in self._parts.items() if before.get(cell_id, part) is not part}
        made_before, made = (makers_of(before), makers_of(self._parts)) if others else ({}, {})
        for cell_id in others:
            part, was = self._parts[cell_id], before.get(cell_id)
            if (
                was is None
                or was is part
                or was.source.code != part.source.code
                or self._cells[cell_id].cell.last_run_at is None
            ):
                continue
            # What one cell alone made was read through marimo's own edges, and still is if that is left.
            gained = {each for each in part.reads - was.reads if made_before.get(each[0]) != [each[1]]}
            lost = {each for each in was.reads - part.reads if made.get(each[0]) != [each[1]]}
            if gained or lost:
                stale.add(cell_id)
            for name in (part.flow.makes - was.flow.makes) & self._makers.keys():
                version = version_name(name, cell_id)
                if version not in self._values and version not in self._absent:
                    stale.add(cell_id)
        stale = {cell_id for cell_id in stale if not self._is_batch(cell_id)}
        self._graph.set_stale(stale | self._graph.descendants(*stale))

    def mark_lost(self) -> None:
        """Let cells run again whose versions are gone: under marimo's own rule there was no place for them."""
        lost = {
            maker
            for name, makers in self._makers.items()
            for maker in makers
            if (version := version_name(name, maker)) not in self._values
            and version not in self._absent
            and self._cells[maker].cell.last_run_at is not None
            and not self._is_batch(maker)
        }
        self._graph.set_stale(lost | self._graph.descendants(*lost))

    def as_in_graph(self, codes: Mapping[str, str], names: Mapping[str, Names]) -> dict[str, Names]:
        """Return the names of cells as the graph would know them; `codes` are in document order."""
        if self.strict:
            return dict(names)
        parts = parts_of(
            {one: Source(code) for one, code in codes.items() if one in names}, lambda _: False, analysis()
        )
        makers = makers_of(parts)
        several = {name: ids for name, ids in makers.items() if _is_versioned(name, ids, parts)}
        governed = several.keys() | _closing_cycles(parts, makers)
        known = {
            cell_id: _versions(cell_id, part, several, governed, only_above=False)
            for cell_id, part in parts.items()
        }
        return {
            cell_id: Names(
                (each.defines - known[cell_id].names) | known[cell_id].defines,
                (each.uses - known[cell_id].names) | known[cell_id].uses,
            )
            if cell_id in known
            else each
            for cell_id, each in names.items()
        }

    # -- around a cell's body ----------------------------------------------------------------------------------------

    def enter(self, cell_id: str) -> None:
        """Give the plain names the values that they have at a cell's place."""
        if not self._makers:
            return
        self._adopt()
        part = self._parts.get(cell_id)
        sources = {name: self._source(name, cell_id, part) for name in self._makers}
        for name, source in sources.items():
            if source is None and (part is None or name not in part.names or name in part.circular):
                self._put(name, self._source(name))  # others may read it meanwhile: threads, callbacks
            else:
                self._put(name, source)
        if part is not None:
            self._keep(part.flow, {name: source for name, source in sources.items() if source is not None})

    def leave(self, cell_id: str) -> None:
        """Take what a cell made, and give the plain names back to the last definitions."""
        if not self._makers:
            return
        part = self._parts.get(cell_id)
        values = self._values
        for name in part.flow.makes if part is not None else ():
            if name not in self._makers:
                continue
            version = version_name(name, cell_id)
            self._forget_version(version)
            self._put_there.pop(name, None)
            if name in values:
                values[version] = values[name]
            else:
                self._absent.add(version)
        self.show_last()

    def show_last(self) -> None:
        """Let people see the last definition of each name."""
        self._adopt()
        for name in self._makers:
            self._put(name, self._source(name))

    def _source(self, name: str, cell_id: str | None = None, part: Part | None = None) -> str | None:
        """Return the version that a name stands for at a cell's place, or at the end; "" for one from outside."""
        place = len(self._place) if cell_id is None else self._place.get(cell_id, len(self._place))
        for maker in reversed(self._makers[name]):
            if self._place[maker] < place:
                version = version_name(name, maker)
                if version in self._values or version in self._absent:
                    return version
        if name in self._outside:
            return ""
        below = part.early.get(name) if part is not None else None
        return None if below is None else version_name(name, below)

    def _put(self, name: str, source: str | None) -> None:
        values = self._values
        if source == "":
            values[name] = self._outside[name]
        elif source is not None and source in values:
            values[name] = values[source]
        else:
            values.pop(name, None)
        self._put_there[name] = source, values.get(name, _NOTHING)

    def _adopt(self) -> None:
        """Take other values that plain names were given meanwhile, as the versions that stood there."""
        values = self._values
        for name, (source, value) in self._put_there.items():
            now = values.get(name, _NOTHING)
            if now is value or now is _NOTHING:
                continue
            if source and (source in values or source in self._absent):
                self._forget_version(source)
                values[source] = now
            else:
                self._outside[name] = now
            self._put_there[name] = source, now

    def _keep(self, flow: Flow, sources: Mapping[str, str]) -> None:
        """Keep what a cell changes as it was, for others and for when it runs again."""
        values = self._values
        done: set[str] = set()
        for names in flow.together:
            versions = [sources[name] for name in names if values.get(sources.get(name, "")) is not None]
            objects = tuple(values[version] for version in versions)
            copies = self._copied(objects, deepcopy)
            done.update(names)
            for number, original in enumerate(objects):
                self._set_apart(original, None if copies is None else Kept(copies.copy[number], 0))
            if copies is not None and versions:
                self._sizes[versions[0]] = copies.size
        for name, how in flow.keeps.items():
            version = sources.get(name, "")
            if name in done or version not in values:
                continue
            if name in flow.draws_on:
                self._set_apart(values[version], None)
            elif how != "{}":
                self._set_apart(values[version], self._copied(values[version], _COPYING.get(how, deepcopy)))

    def _copied(self, value: T, copied: Callable[[T], T]) -> Kept[T] | None:
        try:
            with self._interruptible():
                if shares(value, self._others()):
                    return None
                return kept(value, copied, sum(self._sizes.values()))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # whatever user code's classes raise, also `SystemExit`
            return None

    def _others(self) -> Iterator[object]:
        for name, makers in makers_of(self._parts).items():
            for each in [version_name(name, maker) for maker in makers] if name in self._makers else [name]:
                if each in self._values:
                    yield self._values[each]

    def _set_apart(self, original: object, copied: Kept[Any] | None) -> None:  # of whatever class
        """Let the versions that are an object be its copy from now on; without one, they are spent."""
        size = 0 if copied is None else copied.size
        for name, makers in self._makers.items():
            for maker in makers:
                version = version_name(name, maker)
                if version in self._values and self._values[version] is original:
                    if copied is None:
                        self._spent.add(version)
                    else:
                        self._values[version] = copied.copy
                        self._sizes[version], size = size, 0  # one copy for all of them

    def makers_needed(self, cell_ids: Iterable[str]) -> set[str]:
        """Return the cells that must run again before others, because what they made was changed since."""
        found: set[str] = set()
        waiting = list(cell_ids)
        while waiting:
            part = self._parts.get(waiting.pop())
            for name, maker in part.reads if part is not None else ():
                if version_name(name, maker) in self._spent and maker not in found:
                    found.add(maker)
                    waiting.append(maker)
        return found

    # -- what people are told ---------------------------------------------------------------------------------------

    def news(self, cell_id: str) -> dict[str, str]:
        """Return which names a cell defines anew, and whose they were; each once."""
        part = self._parts.get(cell_id)
        if part is None:
            return {}
        found = {
            name: other
            for name, other in sorted(part.redefines.items())
            if (cell_id, name, other) not in self._told and name in self._makers
        }
        self._told |= {(cell_id, name, other) for name, other in found.items()}
        return found


def _copy(value: Any) -> Any:  # of whatever class
    return value.copy() if hasattr(value, "copy") else deepcopy(value)


def _copy_only_it(value: Any) -> Any:  # as above
    from copy import copy  # noqa: PLC0415  # the module's name for it is taken by a method's

    return copy(value)


_COPYING: dict[str, Callable[[Any], Any]] = {"{}.copy()": _copy, "copy.copy({})": _copy_only_it}


@lru_cache(maxsize=5000)
def _words(code: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d]\w*", code))


def analysis() -> Flows:
    """Return the analysis, of no cells yet."""
    from marimo_kernel_bridge.reactive_names import flows  # noqa: PLC0415  # a client waits for the sockets

    return flows.Flows()


def parts_of(
    sources: Mapping[str, Source],
    is_batch: Callable[[str], bool],
    flows: Flows,
    known: Mapping[str, Part] | None = None,
) -> dict[str, Part]:
    """Analyse cells (id to code, in document order)."""
    ids = list(sources)
    parts: dict[str, Part] = {}
    found = flows.of([each.imports + each.code for each in sources.values()])
    circular = _read_in_circles(found)
    same = known is not None and ids[: len(known)] == list(known)  # then numbers mean the same cells
    for number, (cell_id, flow) in enumerate(zip(ids, found, strict=True)):
        below = circular.get(number, frozenset())
        was = known.get(cell_id) if known is not None and (same or flow.alone) else None
        if was is not None and was.flow is flow and was.source == sources[cell_id] and was.circular == below:
            parts[cell_id] = was
            continue
        early = {
            name: ids[maker]
            for name, maker in flow.early.items()
            if not is_batch(cell_id) and name not in below
        }
        parts[cell_id] = Part(
            sources[cell_id],
            flow,
            frozenset(
                (name, ids[maker]) for name, maker in flow.reads if name not in flow.early or name in early
            ),
            early,
            {name: ids[maker] for name, maker in flow.redefines.items()},
            flow.mentions | flow.makes | {name for name, _ in flow.reads},
            below,
        )
    return parts


def _read_in_circles(flows: Sequence[Flow]) -> dict[int, frozenset[str]]:
    """Return, by cell, names that it reads from cells below, which build on a version of a name that it makes.

    It has what is there when it runs. Of names with one definition each, the graph refuses a circle.
    """
    if not any(flow.early for flow in flows):
        return {}
    times = Counter(name for flow in flows for name in flow.makes)
    upstream = {number: {maker for _, maker in flow.reads} for number, flow in enumerate(flows)}
    found: dict[int, frozenset[str]] = {}
    for group in map(set, cycles(upstream)):
        inside = {name for number in group for name, maker in flows[number].reads if maker in group}
        if any(times[name] > 1 for name in inside):
            for number in group:
                found[number] = frozenset(
                    name for name, maker in flows[number].early.items() if maker in group
                )
    return {number: names for number, names in found.items() if names}


def makers_of(parts: Mapping[str, Part]) -> dict[str, list[str]]:
    """Return who makes versions of each name, in document order."""
    found: dict[str, list[str]] = {}
    for cell_id, part in parts.items():
        for name in part.flow.makes:
            found.setdefault(name, []).append(cell_id)
    return found


def _is_versioned(name: str, makers: Sequence[str], parts: Mapping[str, Part]) -> bool:
    if name.startswith("_") and not name.startswith("__"):  # marimo keeps it to its cell
        return any((name, maker) in part.reads for maker in makers for part in parts.values())
    return len(makers) > 1


def _closing_cycles(parts: Mapping[str, Part], makers: Mapping[str, list[str]]) -> set[str]:
    """Return names that functions read and cells below define, in a circle: who calls the functions reads them."""
    place = {cell_id: number for number, cell_id in enumerate(parts)}
    upward = {
        (place[cell_id], place[makers[name][0]]): name
        for cell_id, part in parts.items()
        for name in part.flow.late
        if len(makers.get(name, ())) == 1 and place[makers[name][0]] > place[cell_id]
    }
    if not upward:
        return set()
    upstream = {
        place[cell_id]: {place[maker] for _, maker in part.reads}
        | {
            place[makers[name][0]]
            for name in part.flow.late
            if len(makers.get(name, ())) == 1 and makers[name][0] != cell_id
        }
        for cell_id, part in parts.items()
    }
    groups = [set(group) for group in cycles(upstream)]
    return {name for (low, high), name in upward.items() if any({low, high} <= group for group in groups)}


def _versions(
    cell_id: str,
    part: Part,
    several: Mapping[str, list[str]],
    governed: AbstractSet[str],
    *,
    only_above: bool,
) -> Versions:
    flow = part.flow
    names = (part.names & governed) | flow.repeats | part.circular
    if part.source.imports:  # of which the graph's own look at the code sees nothing
        names |= flow.makes
    if only_above:  # what a cell below defines is none of its business
        names |= flow.early.keys() | (flow.late - flow.makes - {name for name, _ in part.reads})
    made = {(name, cell_id) for name in (flow.makes & names) - flow.repeats}
    read = {(name, maker) for name, maker in part.reads if name in names}
    defines, uses = (
        frozenset(version_name(name, maker) if name in several else name for name, maker in each)
        for each in (made, read)
    )
    return Versions(part.source.code, names, defines, uses)
