"""Admission to the dataflow graph: which cells it has, which cell owns a name, and which cells it refuses.

Owns the runtime and the versions of names, and publishes the graph for readers. Runs no cell and shows nothing:
refusals and superseded cells are returned as values. Main thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.notebook.last_results import LastResults
from marimo_kernel_bridge.kernel.notebook.shared_imports import SharedImports
from marimo_kernel_bridge.kernel.notebook.superseding import (
    TakenPlaces,
    is_superseded_by,
    reads_before_writing,
)
from marimo_kernel_bridge.kernel.versions.redefinitions import Redefinitions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.cells import Body, CellTable, Entry
    from marimo_kernel_bridge.kernel.notebook.view import PublishedGraph
    from marimo_kernel_bridge.protocol.notebook import Cell, CellError
    from marimo_kernel_bridge.runtime.interface import GraphError, Runtime


@dataclass(frozen=True)
class Superseded:
    """A cell that left the graph because another took over its `name`.

    `was_accepted`: the graph had accepted it, so that the cell should show a notice.
    """

    cell_id: str
    name: str
    was_accepted: bool


@dataclass(frozen=True)
class Admission:
    """The result of registering a cell in the graph. `refused`: why the graph does not accept it."""

    refused: CellError | None = None
    superseded: tuple[Superseded, ...] = ()


class NotebookGraph:
    """The dataflow graph of a notebook's cells, and the versions of their names."""

    def __init__(
        self,
        cells: CellTable,
        runtime: Runtime,
        published: PublishedGraph,
        interruptible: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`interruptible` surrounds copies of values, which may run user code."""
        self.runtime = runtime
        self.redefinitions = Redefinitions(
            cells, runtime, interruptible, strict=runtime.redefinitions == "strict"
        )
        self.shared_imports = SharedImports(cells, runtime)
        self.results = LastResults(cells, runtime.values)
        self._cells = cells
        self._published = published
        self._refused: set[str] = set()
        self._places = TakenPlaces(cells)
        # Cells that read the old value of a name they took over: never run again by themselves.
        self._imperative: set[str] = set()

    # -- admission -------------------------------------------------------------------------------------------------

    def admit(self, entry: Entry, body: Body, *, stale: bool = False, supersede: bool = True) -> Admission:
        """Register a cell with new code, replacing its previous code in the graph.

        `supersede`: cells that no notebook shows lose the names that it defines.
        """
        cell_id = entry.cell.cell_id
        superseded: tuple[Superseded, ...] = ()
        if supersede and _may_define_other_names(entry, body):
            superseded = self._supersede(entry, body.code, newcomer=entry.cell.last_run_at is None)
        other = None
        if entry.cell.status == "superseded":  # whoever runs it has it in the notebook
            if (other := self._places.give_back(cell_id, body.code)) is not None:
                self._imperative.discard(other)  # which has taken nothing over
            self._cells.change(cell_id, status="new")
        self.shared_imports.note(entry, body)
        entry.body = body
        self.redefinitions.update()
        if other is not None:
            self.redefinitions.note_moved(other)
        errors = self.runtime.register(cell_id, body.code, stale=stale)
        self.redefinitions.show_last()
        self.refresh_stale()
        if not errors:
            if entry.cell.status == "refused":
                self._cells.change(cell_id, status="new", error=None)
            return Admission(None, superseded)
        error = notices.refusal(errors, self._cell_or_none)
        self._cells.change(cell_id, status="refused", error=error)
        return Admission(error, superseded)

    def admit_stale(self, entries: Iterable[Entry]) -> None:
        """Put cells into the graph together, stale: they run before what needs them."""
        self.runtime.register_stale([(e.cell.cell_id, e.body.code) for e in entries if e.body is not None])
        self.redefinitions.show_last()

    def remove(self, cell_ids: Iterable[str]) -> None:
        """Take cells out of the graph with the names that they define."""
        self.runtime.delete(cell_ids)

    def forget(self, cell_ids: Iterable[str]) -> None:
        """Note that cells are gone from the notebook."""
        gone = set(cell_ids)
        self._imperative -= gone
        self.shared_imports.forget(gone)
        for cell_id in gone:
            self.results.forget(cell_id)
        self.update()

    def update(self) -> None:
        """Analyze the cells that changed, and publish which cells are stale."""
        self.redefinitions.update()
        self.redefinitions.mark_ahead()
        if self.results.are_read:
            outdated = self.results.outdated() | self.results.ahead
            self.runtime.set_stale(outdated | self.runtime.descendants(*outdated))
        self.refresh_stale()

    def mark_makers(self, cell_ids: Iterable[str]) -> set[str]:
        """Mark as stale what must run again before these cells, because later cells have mutated its objects. Return that.

        And what is below that: a cell in between would otherwise run after these, and make them stale again.
        """
        will_run: set[str] = set()
        all_makers: set[str] = set()
        new = frozenset(cell_ids)
        while new:
            will_run |= new
            makers = self.redefinitions.makers_needed(new)
            all_makers |= makers
            self.runtime.set_stale(makers | self.runtime.descendants(*makers))
            new = self.runtime.stale_above(will_run) - will_run
        return all_makers

    def leave_out(self, cell_ids: Collection[str]) -> set[str]:
        """Take cells for fresh that a run of these would run again to no purpose, and with harm.

        They append to what they have appended to before, say, and no stale cell above them gives them a reason to. Or they would
        write to a file what they have from a cell that is not right: what is there could not be made again. Returns them.
        """
        ahead, acting = self.ahead, self.redefinitions.acting
        if not ahead:
            return set()
        above = self.runtime.stale_above(cell_ids).difference(cell_ids)
        again = {cell_id for cell_id in above & ahead if acting.repeats(cell_id)}
        left_out = {cell_id for cell_id in again if self.runtime.ancestors(cell_id).isdisjoint(above - again)}
        left_out |= {
            cell_id
            for cell_id in above - again
            if acting.writes(cell_id) and not self.runtime.ancestors(cell_id).isdisjoint(above & ahead)
        }
        self.runtime.set_stale(left_out, stale=False)
        return left_out

    def ready(self, due: set[str]) -> set[str]:
        """Return the stale cells to run next, of those that are due: all, or those above the first bystander that acts.

        One that would read what it has read before is taken for fresh: to run it would only repeat what it does.
        """
        acting, places = self.redefinitions.acting, self._cells.places
        waiting = due & acting.bystanders
        if not waiting:
            return due
        first = min(waiting, key=lambda cell_id: places[cell_id])
        above = {cell_id for cell_id in due if places[cell_id] < places[first]}
        above |= self.runtime.ancestors(first) & due
        if above:
            return above
        if not acting.reads_the_same(first):
            return {first}
        self.runtime.set_stale([first], stale=False)
        self.refresh_stale()
        return set()

    def defines_names(self, cell_id: str) -> bool:
        """Return whether the published graph has any name of a cell."""
        node = self._published.node(cell_id)
        return node is not None and bool(node.names.defines)

    @property
    def imperative(self) -> frozenset[str]:
        """The cells that took over a name whose old value they read: they ran once, and never run again by themselves."""
        return frozenset(self._imperative)

    def bring_back_imperative(self, cell_ids: Iterable[str]) -> None:
        """Note cells that ran once in an earlier kernel."""
        self._imperative.update(cell_ids)

    # -- names of other cells --------------------------------------------------------------------------------------

    def names_to_take(self, entry: Entry, body: Body) -> tuple[str, ...]:
        """Return the names that an agent's cell would take over from cells that a notebook shows.

        It takes them once it has succeeded; until then it makes one more version of them, below all.
        """
        if entry.live or self.redefinitions.strict or not _may_define_other_names(entry, body):
            return ()
        names = self.runtime.parse(entry.cell.cell_id, body.code)
        return tuple(
            name
            for name in sorted(names.defines if names is not None else ())
            if any(self._cells[owner].live for owner in self._owners(entry, name))
        )

    def take_names(self, entry: Entry, names: Iterable[str]) -> tuple[Superseded, ...] | None:
        """Move the names that a cell wanted from others to it, if it succeeded; return None if it did not get them.

        A cell that failed leaves the graph. One that builds on what is made from such a name would close a cycle with
        it: it stays one more version.
        """
        assert entry.body is not None
        cell_id = entry.cell.cell_id
        superseded: tuple[Superseded, ...] | None = None
        if entry.cell.status != "ok" or entry.stopped:
            self.runtime.delete([cell_id], keep_values=True)
            self._cells.change(cell_id, status="superseded")
        elif not self._builds_on(entry, {owner for name in names for owner in self._owners(entry, name)}):
            superseded = self._supersede(entry, entry.body.code, newcomer=True)
        self.update()
        return superseded

    def _owners(self, entry: Entry, name: str) -> list[str]:
        """Return the cells that would lose a name to this one."""
        strict = self.redefinitions.strict
        others = self.runtime.definers(name) - {entry.cell.cell_id}
        return [other for other in others if is_superseded_by(self._cells[other], entry, strict=strict)]

    def _builds_on(self, entry: Entry, owners: set[str]) -> bool:
        """Return whether a cell reads what cells that are no owners made from the owners' names."""
        node = self._published.node(entry.cell.cell_id)
        between = set(() if node is None else node.upstream) - owners
        return bool(between) and not between.isdisjoint(self.runtime.descendants(*owners))

    def _supersede(self, entry: Entry, code: str, *, newcomer: bool) -> tuple[Superseded, ...]:
        """Take the names that a cell defines from cells that no notebook shows.

        A newcomer that no notebook shows takes names from any other: each request of a terminal or of nbclient is a
        cell of its own, and there `x = 2` after `x = 1` is no mistake.
        """
        names = self.runtime.parse(entry.cell.cell_id, code)
        if names is None:
            return ()
        self._imperative.discard(entry.cell.cell_id)
        superseded: list[Superseded] = []
        replaced: dict[str, None] = {}
        for name in sorted(names.defines):
            for owner_id in [
                *self._owners(entry, name),
                *self.shared_imports.bound_otherwise(entry, code, name),
            ]:
                owner = self._cells[owner_id]
                if reads_before_writing(code, name):
                    self._imperative.add(entry.cell.cell_id)
                if owner.live and newcomer:
                    replaced[owner_id] = None
                superseded.append(Superseded(owner_id, name, owner.cell.status != "refused"))
                self.runtime.delete([owner_id], keep_values=True)
                self._cells.change(owner_id, status="superseded")
        self._places.take(entry, replaced)
        return tuple(superseded)

    # -- refusals --------------------------------------------------------------------------------------------------

    def note_errors(self, errors: dict[str, tuple[GraphError, ...]]) -> list[tuple[str, CellError]]:
        """Take what the graph refuses now; return the cells that it refuses, and why.

        Cells that it no longer refuses are new again.
        """
        for cell_id in self._refused - errors.keys():
            cell = self._cell_or_none(cell_id)
            if cell is None or cell.status != "refused":
                continue
            if cell.error is not None and cell.error.ename == "SyntaxError":
                continue  # marimo forgets it with the next cell that is registered; only new code fixes it
            self._cells.change(cell_id, status="new", error=None)
        self._refused = set(errors)
        return [
            (cell_id, notices.refusal(reasons, self._cell_or_none))
            for cell_id, reasons in errors.items()
            if cell_id in self._cells and self._cells[cell_id].cell.status != "refused"
        ]

    def _cell_or_none(self, cell_id: str) -> Cell | None:
        entry = self._cells.get(cell_id)
        return None if entry is None else entry.cell

    # -- the rule for names that several cells define --------------------------------------------------------------

    @property
    def strict(self) -> bool:
        """Whether a cell that defines another cell's name is refused."""
        return self.redefinitions.strict

    def switch_redefinitions(self, prepare: Callable[[Entry, str], Body], *, strict: bool) -> None:
        """Refuse cells that define a name again, or let cells define names again in the order of the document."""
        if strict == self.redefinitions.strict:
            return
        self.redefinitions.strict = strict
        for entry in self._cells:
            if entry.body is not None and entry.body.interactivity != "none":
                entry.body = prepare(entry, entry.cell.code)
        self.redefinitions.update()
        self.runtime.check_again(entry.cell.cell_id for entry in self._cells)
        self.redefinitions.outdated.mark_lost()
        self.redefinitions.show_last()
        self.refresh_stale()

    # -- what readers see ------------------------------------------------------------------------------------------

    @property
    def ahead(self) -> frozenset[str]:
        """The cells that would again see what a run from top to bottom would not show them."""
        return self.redefinitions.ahead | self.results.ahead

    @property
    def stale(self) -> frozenset[str]:
        """The cells whose inputs changed since they ran."""
        return self._published.stale

    def refresh_stale(self) -> None:
        """Publish which cells are stale."""
        stale = self.runtime.stale()
        # `total = total + step` as a cell of its own happened once; there is no old `total` to run it again on.
        once = stale & self._imperative
        if once:
            self.runtime.set_stale(once, stale=False)
        self._published.stale = stale - once if once else stale

    def publish(self) -> None:
        """Publish the graph for readers, once for all changes of a request."""
        self._published.update(self.runtime.changed_nodes())
        self._published.consumed = self.redefinitions.consumed
        self._published.unwatched = self.redefinitions.unwatched


def _may_define_other_names(entry: Entry, body: Body) -> bool:
    """Return whether a cell may define other names than it did in the graph."""
    return (
        entry.body is None or entry.body.code != body.code or entry.cell.status in {"superseded", "refused"}
    )
