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
from contextlib import nullcontext
from copy import deepcopy
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.kernel.versions.star_imports import written_out
from marimo_kernel_bridge.kernel.versions.value_copies import Kept, kept, shares
from marimo_kernel_bridge.runtime.interface import Names, Versions, version_name

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.analysis.value_flows import Flow
    from marimo_kernel_bridge.kernel.cells import Body, CellTable
    from marimo_kernel_bridge.kernel.versions.value_flow import Changes, Part, Source, ValueFlow
    from marimo_kernel_bridge.runtime.interface import Runtime


T = TypeVar("T")

_NOTHING: Final = object()


class Redefinitions:
    """See the module."""

    def __init__(self, cells: CellTable) -> None:
        self.strict = False
        self._cells = cells
        self._runtime: Runtime | None = None
        self._interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
        self._loaded: ValueFlow | None = None
        self._order: object = None  # of the cells, when they were looked at
        self._stars: set[str] = set()  # cells that import all names of a module
        self._governed: set[str] = set()  # names that the graph knows by what the analysis says of them
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

    @property
    def _flow(self) -> ValueFlow:
        if self._loaded is None:
            from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow  # noqa: PLC0415  # a client waits for the sockets

            self._loaded = ValueFlow(self._is_batch)
        return self._loaded

    def update(self) -> None:
        """Look at the cells that changed: tell the graph who defines and reads which version, and move values.

        Cells that now read another version become stale.
        """
        self._adopt()
        moved = self._order is not self._cells.order
        self._order = self._cells.order
        sources = self._changed_sources()
        if not sources and (not moved or self._loaded is None):
            return
        flow = self._flow
        changes = flow.update(sources, self._cells.places, moved=moved)
        if not flow.parts.keys() >= changes.parts.keys():
            self._told = {each for each in self._told if each[0] in self._cells}
        governed = self._govern(changes.names)
        self._graph.assign(self._new_versions(changes.parts, governed), flow.place)
        self.show_last()
        self._mark_stale(changes)

    def _changed_sources(self) -> dict[str, Source | None]:
        """Return what is to be analysed of the cells that are otherwise than before, None for no more."""
        known: Mapping[str, Source] = {} if self._loaded is None else self._loaded.sources
        touched = self._cells.take_touched()
        if self.strict:
            return dict.fromkeys(known)
        from marimo_kernel_bridge.kernel.versions.value_flow import Source  # noqa: PLC0415  # as above

        bodies = {cell_id: self._body(cell_id) for cell_id in touched}
        for cell_id, body in bodies.items():
            (self._stars.add if body is not None and body.stars else self._stars.discard)(cell_id)
        wanted: set[str] = set()
        if self._stars:  # what they stand for depends on what is loaded by now
            bodies |= {cell_id: self._body(cell_id) for cell_id in self._stars}
            wanted = set().union(
                *(_words(entry.body.code) for entry in self._cells if entry.body is not None)
            )
        sources = {
            cell_id: None if body is None else Source(body.code, written_out(body.stars, wanted))
            for cell_id, body in bodies.items()
        }
        return {cell_id: source for cell_id, source in sources.items() if known.get(cell_id) != source}

    def _body(self, cell_id: str) -> Body | None:
        """Return what the graph has of a cell, None for nothing."""
        entry = self._cells.get(cell_id)
        if entry is None or entry.body is None or entry.body.interactivity == "none":
            return None
        return None if entry.deleted or entry.cell.status == "superseded" else entry.body

    def _is_batch(self, cell_id: str) -> bool:
        return self._cells[cell_id].address.dialect == "batch"

    def _govern(self, names: Iterable[str]) -> set[str]:
        """Let names have as many versions as they have now. Returns those that the graph has to know otherwise."""
        changed: set[str] = set()
        flow, values, graph = self._flow, self._values, self._graph
        for name in names:
            makers = flow.makers.get(name, [])
            before, now = self._makers.get(name), makers if flow.has_versions(name) and makers else None
            if now is not None and before is None and name in values:
                holders = graph.definers(name)
                holder = next((one for one in now if one in holders), None)
                if holder is not None:
                    values[version_name(name, holder)] = values[name]
                elif not holders:
                    self._outside[name] = values[name]
            if before is not None:
                if now is None:
                    self._make_plain(name, makers)
                for gone in before if now is None else set(before) - set(now):
                    self._forget_version(version_name(name, gone))
            governed = now is not None or flow.closes_cycle(name)
            if governed != (name in self._governed) or (now is None) != (before is None):
                changed.add(name)
            (self._governed.add if governed else self._governed.discard)(name)
            if now is None:
                self._makers.pop(name, None)
            else:
                self._makers[name] = list(now)
        return changed

    def _new_versions(self, cell_ids: Iterable[str], names: Iterable[str]) -> dict[str, Versions | None]:
        """Return what the graph is to know of cells, and of all that have these names; where it is news to it."""
        parts, place = self._flow.parts, self._flow.place
        news: dict[str, Versions | None] = {}
        looked_at = set(cell_ids).union(*(self._flow.having(name) for name in names))
        for cell_id in sorted(looked_at, key=lambda one: place.get(one, -1)):
            part = parts.get(cell_id)
            now = None
            if part is not None:
                now = _versions(
                    cell_id, part, self._makers, self._governed, only_above=self._is_batch(cell_id)
                )
            if now != self._versions.get(cell_id):
                news[cell_id] = now
                if now is None:
                    del self._versions[cell_id]
                else:
                    self._versions[cell_id] = now
        return news

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

    def _mark_stale(self, changes: Changes) -> None:
        """Let cells run again that read another version than they did, or make one that has no value."""
        stale: set[str] = set()
        made = self._flow.makers
        for cell_id, was in changes.parts.items():
            part = self._flow.parts.get(cell_id)
            if (
                was is None
                or part is None
                or was.source.code != part.source.code
                or self._cells[cell_id].cell.last_run_at is None
            ):
                continue
            # What one cell alone made was read through marimo's own edges, and still is if that is left.
            gained = {
                each
                for each in part.reads - was.reads
                if changes.makers.get(each[0], made.get(each[0])) != [each[1]]
            }
            lost = {each for each in was.reads - part.reads if made.get(each[0]) != [each[1]]}
            if gained or lost:
                stale.add(cell_id)
            for name in (part.flow.makes - was.flow.makes) & self._makers.keys():
                version = version_name(name, cell_id)
                if version not in self._values and version not in self._absent:
                    stale.add(cell_id)
        stale = {cell_id for cell_id in stale if not self._is_batch(cell_id)}
        if stale:
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
        from marimo_kernel_bridge.kernel.versions.value_flow import Source, ValueFlow  # noqa: PLC0415  # as above

        flow = ValueFlow(lambda _: False, self._flow)
        sources = {one: Source(code) for one, code in codes.items() if one in names}
        flow.update(sources, {one: place for place, one in enumerate(sources)}, moved=False)
        governed = flow.governed()
        several = {name for name in flow.makers if flow.has_versions(name)}
        known = {
            cell_id: _versions(cell_id, part, several, governed, only_above=False)
            for cell_id, part in flow.parts.items()
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
        part = self._flow.parts.get(cell_id)
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
        part = self._flow.parts.get(cell_id)
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
        places = self._flow.place
        place = inf if cell_id is None else places.get(cell_id, inf)
        for maker in reversed(self._makers[name]):
            if places[maker] < place:
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
        for name, makers in self._flow.makers.items():
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
            part = self._flow.parts.get(waiting.pop())
            for name, maker in part.reads if part is not None else ():
                if version_name(name, maker) in self._spent and maker not in found:
                    found.add(maker)
                    waiting.append(maker)
        return found

    # -- what people are told ---------------------------------------------------------------------------------------

    def news(self, cell_id: str) -> dict[str, str]:
        """Return which names a cell defines anew, and whose they were; each once."""
        part = self._flow.parts.get(cell_id)
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


def _versions(
    cell_id: str,
    part: Part,
    several: Container[str],
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
