"""Versions of names that several cells define or mutate: the graph has a separate name for each version.

The reference for an ordinary notebook is its run from top to bottom. The analysis (`analysis.value_flows`) finds which
cell makes each version of a name and which cells read it; the graph gets a separate name for each version, so that
nothing is defined twice. `swapping` moves the values accordingly.

Main thread only. Independent of marimo and of messages. The reasons: docs/decisions/0005-versions-of-names-live.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from traitlets.log import get_logger

from marimo_kernel_bridge.analysis.observations import is_file_name
from marimo_kernel_bridge.kernel.versions.acting_cells import ActingCells
from marimo_kernel_bridge.kernel.versions.changed_sources import ChangedSources
from marimo_kernel_bridge.kernel.versions.graph_names import versions_of
from marimo_kernel_bridge.kernel.versions.observer import CellObserver, calls_something
from marimo_kernel_bridge.kernel.versions.outdated import OutdatedCells, StaleCells
from marimo_kernel_bridge.kernel.versions.swapping import VersionValues
from marimo_kernel_bridge.runtime.interface import plain_name, version_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.cells import Body, CellTable
    from marimo_kernel_bridge.kernel.versions.for_checkpoints import VersionsForCheckpoints
    from marimo_kernel_bridge.kernel.versions.states_by_place import SavedState, StatesByPlace
    from marimo_kernel_bridge.kernel.versions.value_flow import Part, Source, ValueFlow
    from marimo_kernel_bridge.runtime.interface import Versions


_FLOWS_KEPT: Final = 2  # of a notebook before and after a change


class VersionGraph(StaleCells, Protocol):
    """The parts of `runtime.interface.Runtime` that versions of names use."""

    @property
    def values(self) -> dict[str, Any]:
        """Return the namespace in which all code runs."""
        ...

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:
        """Make cells define and use versions of names; None: the names in their code."""
        ...

    def definers(self, name: str) -> frozenset[str]:
        """Return the cells that define a name, or a version of it."""
        ...


class Redefinitions:
    """The versions of names in a notebook: updates the graph when cells change, and the values when cells run."""

    def __init__(
        self,
        cells: CellTable,
        graph: VersionGraph,
        interruptible: Callable[[], AbstractContextManager[None]],
        *,
        strict: bool = False,
    ) -> None:
        """`interruptible` surrounds copies, which may run user code. `strict`: no name has more than one version."""
        self.strict = strict
        self._cells = cells
        self._graph = graph
        self._values = VersionValues(graph.values, interruptible)
        self._loaded: ValueFlow | None = None
        self._order: object = None  # of the cells, at the last analysis
        self._observer = CellObserver(graph.values)
        self._changed = ChangedSources(cells, self._observer)
        self.acting = ActingCells(self._observer, self._values, graph.values, lambda: self._loaded)
        self.outdated = OutdatedCells(cells, graph, self._values, self.acting.outdated)
        self._states: StatesByPlace | None = None  # once a cell calls something
        self._governed: set[str] = set()  # names whose versions the graph gets from the analysis
        self._versions: dict[str, Versions] = {}  # the versions in the graph, by cell
        self._reported: set[tuple[str, str, str]] = set()
        # By cells of imports alone: what they have bound the last time.
        self._imported: dict[str, dict[str, object]] = {}
        # Cells with new observations of a run: their parts and the values of names at that time.
        self._surprising: dict[str, tuple[Part, dict[str, Any]]] = {}

    def observed(self, cell_id: str) -> str:
        """Return what the last run of a cell has shown of it that its text does not say."""
        return self._observer.last_text(cell_id)

    # -- the flow of values ----------------------------------------------------------------------------------------

    @property
    def _flow(self) -> ValueFlow:
        if self._loaded is None:
            from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow  # noqa: PLC0415  # a client waits for the sockets

            self._loaded = ValueFlow(self._is_batch)
        return self._loaded

    def update(self) -> None:
        """Analyze the changed cells, and update the versions that they define and read in the graph, and the values.

        Cells that now read another version become stale.
        """
        self._values.adopt()
        moved = self._order is not self._cells.order
        self._order = self._cells.order
        previous = {} if self._loaded is None else self._loaded.sources
        sources = self._changed.take(previous, strict=self.strict)
        if not sources and (not moved or self._loaded is None):
            return
        flow = self._flow
        changes = flow.update(sources, self._cells.places, moved=moved)
        removed = changes.parts.keys() - flow.parts.keys()
        if removed:
            self._reported = {report for report in self._reported if report[0] in self._cells}
            self.acting.forget(removed)
            for cell_id in removed:
                self._imported.pop(cell_id, None)
        if self._states is not None and (removed or moved):
            self.outdated.mark(self._states.forget(removed, flow) | self._states.outdated(flow))
        governed = self._govern(changes.names)
        self._graph.assign(self._new_versions(changes.parts, governed), flow.place)
        for cell_id, (before, values) in self._surprising.items():
            if cell_id in flow.parts:
                made = flow.parts[cell_id].flow.makes - before.flow.makes
                mutated_names = self._observer.mutated_by(cell_id)
                names = (made | mutated_names) & values.keys()
                objects = {name: values[name] for name in names}
                self._values.record_mutated(cell_id, objects, flow, made - mutated_names)
                # Also what it mutates by its text, and that of which its run does not tell.
                mutated = {
                    *names,
                    *flow.parts[cell_id].flow.keeps,
                    *self._observer.unwatched.get(cell_id, ()),
                }
                self._values.copies_above.put_back(cell_id, mutated)
        self._values.show_last(flow)
        self.outdated.mark_changed(changes, flow, self._surprising)
        self._surprising.clear()

    def _is_batch(self, cell_id: str) -> bool:
        return self._cells[cell_id].address.dialect == "batch"

    def _govern(self, names: Iterable[str]) -> set[str]:
        """Update which names have versions. Return the names that change in the graph."""
        changed: set[str] = set()
        for name in names:
            makers = self._flow.makers.get(name, [])
            had_versions = name in self._values.makers
            is_file = is_file_name(name)  # an edge, without a value
            has_versions = bool(makers) and not is_file and self._flow.has_versions(name)
            if has_versions:
                self._values.set_makers(name, makers, self._graph.definers(name))
            elif had_versions:
                self._values.make_plain(name, makers)
            governed = has_versions or self._flow.closes_cycle(name) or (is_file and bool(makers))
            if governed != (name in self._governed) or has_versions != had_versions or is_file:
                changed.add(name)
            (self._governed.add if governed else self._governed.discard)(name)
        return changed

    def _new_versions(self, cell_ids: Iterable[str], names: Iterable[str]) -> dict[str, Versions | None]:
        """Return changed versions of these cells and of all cells that have these names."""
        parts, place = self._flow.parts, self._flow.place
        news: dict[str, Versions | None] = {}
        affected = set(cell_ids).union(*(self._flow.having(name) for name in names))
        for cell_id in sorted(affected, key=lambda cell_id: place.get(cell_id, -1)):
            part = parts.get(cell_id)
            versions = None
            if part is not None:
                only_above = self._is_batch(cell_id)
                versions = versions_of(
                    cell_id, part, self._values.makers, self._governed, only_above=only_above
                )
            if versions != self._versions.get(cell_id):
                news[cell_id] = versions
                if versions is None:
                    del self._versions[cell_id]
                else:
                    self._versions[cell_id] = versions
        return news

    def expected_flow(self, bodies: Mapping[str, Body], kept: list[ValueFlow] | None = None) -> ValueFlow:
        """Return the flow of values of a changed notebook; `bodies` are those of all its cells, in document order.

        On any thread with the flows that this thread has `kept`, in place of the main thread's: one of the same notebook is
        returned, and the analyses of the others are used again.
        """
        from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow  # noqa: PLC0415  # lazy, like `_flow`

        places = {} if self.strict else {cell_id: place for place, cell_id in enumerate(bodies)}
        sources = {} if self.strict else self._changed.sources(bodies)
        if kept is None:
            flow = ValueFlow(lambda _: False, self._flow)
            flow.update(sources, places, moved=False)
            return flow
        for known in kept:
            if known.sources == sources and known.place == places:
                kept.remove(known)
                kept.append(known)
                return known
        if len(kept) < _FLOWS_KEPT:
            flow = ValueFlow(lambda _: False, next(iter(kept), None))
            flow.update(sources, places, moved=False)
        else:  # the one that was not needed for longest is brought up to date, which costs what the difference costs
            flow = kept.pop(0)
            different: dict[str, Source | None] = dict.fromkeys(flow.sources.keys() - sources.keys())
            different |= {
                cell_id: source for cell_id, source in sources.items() if flow.sources.get(cell_id) != source
            }
            moved = any(flow.place.get(cell_id, place) != place for cell_id, place in places.items())
            flow.update(different, places, moved=moved)
        kept.append(flow)
        return flow

    # -- around a cell's body ----------------------------------------------------------------------------------------

    def enter(self, cell_id: str) -> None:
        """Assign to plain names their values at a cell's place."""
        if self._loaded is None:
            return
        self.acting.begin(cell_id)
        ending = self._values.enter(cell_id, self._loaded, self._observer.called_back(cell_id))
        for _, values in self._surprising.values() if ending else ():
            for name in ending:
                values.pop(name, None)
        code = self._cells[cell_id].cell.code
        with _LOGGED:
            changed = self._states is not None and self._states.have_changed
            if (changed or calls_something(code)) and not self.strict:
                self.states.begin(cell_id, self._loaded, code)
        with _LOGGED:
            self._observer.begin(cell_id, self._loaded.parts.get(cell_id), code, self._loaded.place)

    def leave(self, cell_id: str) -> bool:
        """Record the versions that a cell made, and assign to plain names the values of their last definitions.

        Returns whether there are new observations, which the next `update` processes.
        """
        if self._loaded is None:
            return False
        part = self._loaded.parts.get(cell_id)
        changed: set[str] = set()
        with _LOGGED:
            if part is not None:
                changed = self._observer.end(cell_id, part, self._loaded)
                for other in changed:
                    self._cells.touch(other)
                if cell_id in changed:
                    self._surprising[cell_id] = part, self._plain_values()
                    # Until `update` makes a version of it, the value is not taken for that of a cell above.
                    self._graph.values.update(self._observer.take_rebound())
        with _LOGGED:
            if part is not None and self._states is not None:
                self.outdated.mark(self._states.end(cell_id, part, self._loaded))
        self.outdated.mark(self._observer.take_importers() - {cell_id})
        self.outdated.mark(self._readers_of_rebound(cell_id, self._loaded))
        self._values.leave(cell_id, self._loaded)
        if cell_id not in self._surprising:
            self._values.copies_above.forget()
        self._values.consume(cell_id, self._observer.take_mutated(), self._loaded)
        return bool(changed) or cell_id in self.ahead

    def _readers_of_rebound(self, cell_id: str, flow: ValueFlow) -> set[str]:
        """Return the cells that read what an import has bound to another object than last time: marimo runs none after imports."""
        before = self._imported.pop(cell_id, {})
        bound = {name: self._graph.values.get(name) for name in flow.imported_by(cell_id)}
        if bound:
            self._imported[cell_id] = bound
        names = {name for name, value in bound.items() if before.get(name, value) is not value}
        parts = flow.parts if names else {}
        return {other for name in names for other, part in parts.items() if (name, cell_id) in part.reads}

    def _plain_values(self) -> dict[str, Any]:
        """Return the values of plain names: to keep those of versions would keep objects alive that end."""
        return {name: value for name, value in self._graph.values.items() if plain_name(name) == name}

    @property
    def ahead(self) -> frozenset[str]:
        """The cells that would not be right if they ran again: they have read what a cell below has written to a file."""
        return self._observer.ahead | self.acting.ahead

    def mark_ahead(self) -> None:
        """Mark as stale the cells that would not be right if they ran again."""
        self.outdated.mark(self.ahead)

    def show_last(self) -> None:
        """Assign to each plain name the value of its last definition."""
        if self._loaded is not None:
            self._values.show_last(self._loaded)

    # -- what cells need, and what they did --------------------------------------------------------------------------

    @cached_property
    def for_checkpoints(self) -> VersionsForCheckpoints:
        """What outlives a kernel."""
        from marimo_kernel_bridge.kernel.versions.for_checkpoints import VersionsForCheckpoints  # noqa: PLC0415  # few cells take long

        return VersionsForCheckpoints(
            self._cells, self._graph.values, self._values, self._observer, lambda: self._loaded
        )

    def saved_states(self) -> list[SavedState]:
        """Return the states of libraries with their histories; none if no cell can have changed one."""
        return [] if self._states is None else self._states.saved()

    @property
    def states(self) -> StatesByPlace:
        """The states of libraries at the places of cells."""
        if self._states is None:
            from marimo_kernel_bridge.kernel.versions.states_by_place import StatesByPlace  # noqa: PLC0415  # lazy, like `_flow`

            self._states = StatesByPlace(self._graph.values)
        return self._states

    @property
    def consumed(self) -> frozenset[str]:
        """The versions with an object that a later cell has mutated, so that their makers must run again."""
        acting = (
            set()
            if not self._values.consumed
            else {
                version_name(name, maker)
                for name, makers in self._values.makers.items()
                for maker in makers
                if self._values.is_consumed(name, maker) and self.acting.act(maker)
            }
        )
        return self._values.consumed - acting

    def makers_needed(self, cell_ids: Iterable[str], flow: ValueFlow | None = None) -> set[str]:
        """Return the cells that must run again before these: their objects were mutated since, or their files removed.

        Not those that act outside of the notebook: nobody has asked for that. `flow` is that of a changed notebook.
        """
        flow = self._loaded if flow is None else flow
        makers: set[str] = set()
        followed: set[str] | None = set() if self._values.consumed else None
        waiting = list(cell_ids) if flow is not None else []
        while flow is not None and waiting:
            for name, maker in flow.reads_of(waiting.pop(), followed):
                if maker not in makers and self._is_unusable(name, maker):
                    makers.add(maker)
                    waiting.append(maker)
        return makers

    def note_moved(self, cell_id: str) -> None:
        """Note that a cell has run at another place than it has now: what it mutated is not what it would find here."""
        others = (
            version_name(name, maker)
            for name in self._observer.mutated_by(cell_id)
            for maker in self._values.makers.get(name, ())
            if maker != cell_id
        )
        self._values.bring_back((), others)

    def _is_unusable(self, name: str, maker: str) -> bool:
        if self._values.is_consumed(name, maker):
            return not self.acting.act(maker)
        return self._observer.is_gone(name, maker)

    def unforeseen(self) -> dict[str, frozenset[str]]:
        """Return, by cell, the names of objects that it has mutated although no text shows that."""
        from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow  # noqa: PLC0415  # lazy, like `_flow`

        foreseen = ValueFlow(lambda _: False, self._flow)
        texts = {cell_id: replace(source, observed="") for cell_id, source in self._flow.sources.items()}
        foreseen.update(texts, self._flow.place, moved=False)
        mutated = {
            cell_id: self._observer.mutated_by(cell_id) - part.flow.makes
            for cell_id, part in foreseen.parts.items()
        }
        return {cell_id: names for cell_id, names in mutated.items() if names}

    @property
    def unwatched(self) -> Mapping[str, frozenset[str]]:
        """Return, by cell, the names of objects that are too large to see whether the cell mutates them."""
        return dict(self._observer.unwatched)

    # -- notices -----------------------------------------------------------------------------------------------------

    def news(self, cell_id: str) -> dict[str, str]:
        """Return the names that a cell redefines, with the cells of the previous versions; each only once."""
        part = self._flow.parts.get(cell_id)
        if part is None:
            return {}
        redefined = {
            name: other
            for name, other in sorted(part.redefines.items())
            if (cell_id, name, other) not in self._reported and name in self._values.makers
        }
        self._reported |= {(cell_id, name, other) for name, other in redefined.items()}
        return redefined


class _Logged:
    """Logs a failure in its block: a cell that cannot be observed runs as in Jupyter."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception):  # an object of the user's may raise anything
            return False
        get_logger().error(
            "What a cell changed could not be observed. This is a bug in marimo_kernel_bridge.",
            exc_info=error,
        )
        return True


_LOGGED: Final = _Logged()
