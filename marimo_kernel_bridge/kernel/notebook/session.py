"""The state of record of one kernel: which cells there are, what they are worth, what ran because of what.

Puts cells into the dataflow graph, runs them, runs their dependents when told that the time is right, and sends each
output to where its cell is shown. Knows Jupyter's messages only as `delivery.Message`; sockets, threads and timers
are `zmq_kernel.py`'s. Everything but the reads at the end is for the main thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from marimo_kernel_bridge.kernel import notices as wording
from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable, Entry
from marimo_kernel_bridge.kernel.front_ends import Message
from marimo_kernel_bridge.kernel.notebook.agents import Agents
from marimo_kernel_bridge.kernel.notebook.anonymous_cells import PassingCells
from marimo_kernel_bridge.kernel.notebook.lookahead import LookAhead
from marimo_kernel_bridge.kernel.notebook.run_history import RunLog
from marimo_kernel_bridge.kernel.notebook.superseding import gives_way, reads_before_writing
from marimo_kernel_bridge.kernel.outputs.delivery import same_outputs
from marimo_kernel_bridge.kernel.outputs.router import Outlet
from marimo_kernel_bridge.kernel.versions.redefinitions import Redefinitions
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.notebook import (
    NOTEBOOK,
    Cell,
    CellError,
    CellWithOutputs,
    Outline,
    RunReport,
)
from marimo_kernel_bridge.protocol.output_log import error_text, strip_ansi, without_edited
from marimo_kernel_bridge.startup import gc_pauses as garbage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.messaging.waiting import Answer, Waiting
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.notebook import CellStatus
    from marimo_kernel_bridge.runtime.interface import GraphError, Node, Outcome, Runtime


class BodyRunner(Protocol):
    """Runs the body of a cell: IPython's shell. `parent` None: under the request that is being handled."""

    @property
    def interrupts(self) -> Interrupts: ...

    async def run_body(self, entry: Entry, parent: Header | None) -> Outcome: ...

    def prepare(self, entry: Entry, code: str) -> Body: ...

    def take_count(self, code: str) -> int:
        """Give out the next execution count, to a cell that runs before its own request."""
        ...


class NotebookSession:
    """See the module. Implements `dataflow.CellHost`."""

    def __init__(self, send: Callable[[Message], None], wake: Callable[[], None]) -> None:
        """`send` puts a message on iopub; `wake` asks for a `settle` soon, from any thread."""
        self.cells = CellTable()
        self.outlet = Outlet(self.cells, send, self._requests_wait)
        self.mode: Literal["autorun", "lazy"] = "autorun"
        self.pending_requests: Callable[[], bool] = lambda: False
        self.ahead = LookAhead(self)
        self.runs = RunLog()
        self.agents = Agents()
        self.redefinitions = Redefinitions(self.cells)
        self._saved_order: list[str] = []  # of the document, by the front end's ids
        self._wake = wake
        self._runtime: Runtime | None = None
        self._runner: BodyRunner | None = None
        self._direct: str | None = None  # the cell that runs under its own execute_request
        self._passing = PassingCells()
        self._refused: set[str] = set()  # by the graph
        # Cells that read the old value of a name they took over: never run again by themselves.
        self._imperative: set[str] = set()
        self._held_back: set[str] = set()  # stale cells that wait for a person or an agent to run them
        self._later: list[Callable[[], None]] = []  # what was asked for while a cell ran
        self._settling = False
        self._catching_up = False  # stale cells run once, also in lazy mode
        self._nodes: dict[str, Node] = {}
        self._definers: Counter[str] = Counter()  # of each name that any cell defines: how many cells do
        self._stale: frozenset[str] = frozenset()
        self.running: str | None = None
        self.running_since: float | None = None

    def _requests_wait(self) -> bool:
        return self.pending_requests()

    def attach(self, runtime: Runtime, runner: BodyRunner) -> None:
        """Connect the two that do the work; once."""
        self._runtime, self._runner = runtime, runner
        self.redefinitions.attach(runtime, runner.interrupts.body)
        self.mode = runtime.mode
        self.redefinitions.strict = runtime.redefinitions == "strict"

    @property
    def attached(self) -> bool:
        """Whether there is a runtime yet; any thread."""
        return self._runtime is not None

    @property
    def runtime(self) -> Runtime:
        assert self._runtime is not None, "attach() comes first"
        return self._runtime

    # -- requests of a front end ------------------------------------------------------------------------------

    def aborted(self, notebook_cell_id: str | None, address: Address) -> None:
        """Note a request for a cell that was aborted: later output of the cell goes to it all the same."""
        entry = None if notebook_cell_id is None else self.cells.by_front_end(notebook_cell_id, address)
        if entry is None:
            return
        self.cells.move_to(entry.cell.cell_id, address)
        waited = entry.cell.cell_id in self.ahead
        self.ahead.turn_of(address, entry.cell.cell_id)
        if waited:
            self._held_back.add(entry.cell.cell_id)
            self.cells.change(entry.cell.cell_id, status="new")

    def begin(self, notebook_cell_id: str | None, code: str, author: str, address: Address) -> Entry:
        """Note that a cell is about to run by an execute_request of its own."""
        entry = self._entry_for(notebook_cell_id, code, author, address)
        cell_id = entry.cell.cell_id
        if notebook_cell_id is None:
            self._passing.made(cell_id)
        self.ahead.turn_of(address, cell_id)
        self.outlet.request_begins(entry)
        self._direct = cell_id
        self.runs.open(address, author, (cell_id,))
        return entry

    def _entry_for(self, notebook_cell_id: str | None, code: str, author: str, address: Address) -> Entry:
        """Return the cell that a request means, with the request's code and address."""
        entry = None
        if notebook_cell_id is not None:
            entry = self.cells.by_front_end(notebook_cell_id, address)
            if entry is None and address.dialect == "vscode":
                entry = self.cells.adopt(notebook_cell_id, code, address)
        if entry is None:
            entry = self.cells.add(notebook_cell_id, code, author, address)
            self._place_as_saved(entry.cell)
        else:
            self.cells.move_to(entry.cell.cell_id, address)
            self.cells.set_code(entry.cell.cell_id, code, author)
            entry.deleted = False
            entry.shown_code = code
        self.ahead.asked(entry.cell.cell_id, address)
        return entry

    def end(self, entry: Entry, execution_count: int | None) -> None:
        """Note that the code of an execute_request has run."""
        cell = self.cells.change(entry.cell.cell_id, execution_count=execution_count)
        self._direct = None
        self.outlet.request_ends(entry)
        self.runs.current.set_count(cell.cell_id, execution_count)

    def delete(self, notebook_cell_ids: Iterable[str], address: Address) -> None:
        """Forget what cells defined that a front end says are deleted. They come back when they run again."""
        gone: list[str] = []
        for notebook_cell_id in notebook_cell_ids:
            entry = self.cells.by_front_end(notebook_cell_id, address)
            if entry is not None and not entry.deleted:
                entry.deleted = True
                gone.append(entry.cell.cell_id)
        if gone:
            self.runtime.delete(gone)
            self.redefinitions.update()
            self._stale_changed()

    def arrange(self, notebook_cell_ids: Sequence[str]) -> None:
        """Note the order of the document, by the front end's ids."""
        self._saved_order = list(notebook_cell_ids)
        place = {one: number for number, one in enumerate(notebook_cell_ids)}
        known = [cell for cell in (entry.cell for entry in self.cells) if cell.notebook_cell_id in place]
        known.sort(key=lambda cell: place[cell.notebook_cell_id or ""])
        self.cells.arrange(cell.cell_id for cell in known)

    def _place_as_saved(self, cell: Cell) -> None:
        """Put a cell that is new here behind the one above it in the document."""
        if cell.notebook_cell_id not in self._saved_order:
            return
        known = {other.cell.notebook_cell_id: other.cell.cell_id for other in self.cells}
        above = self._saved_order[: self._saved_order.index(cell.notebook_cell_id)]
        behind = next((known[one] for one in reversed(above) if one in known), None)
        self.cells.place(cell.cell_id, behind)

    def close_run(self) -> RunReport:
        """End the run: the request is over, with all that it caused or other requests let run."""
        self._refresh_nodes()
        for cell_id in self.runs.current.requested:
            if not self._defines_names(cell_id):
                self._passing.holds_nothing(cell_id)
        self.forget([cell_id for cell_id in self._passing.surplus() if not self._defines_names(cell_id)])
        return self.runs.close(tuple(sorted(self._due())), settled=not self.unsettled)

    def _defines_names(self, cell_id: str) -> bool:
        node = self._nodes.get(cell_id)
        return node is not None and bool(node.names.defines)

    # -- putting cells into the graph and running them ---------------------------------------------------------

    async def run_direct(self, entry: Entry, body: Body) -> CellError | None:
        """Run the cell of the present execute_request, its stale ancestors first. Returns why it did not run."""
        ahead = await self.ahead.look(entry, body)
        wanted = self._live_names_wanted(entry, body)
        refused = self._register(entry, body, make_way=not wanted)
        if ahead:
            self.runtime.register_stale(
                [(other.cell.cell_id, other.body.code) for other in ahead if other.body]
            )
            self.redefinitions.show_last()
            self._stale_changed()
        if refused is not None:
            return refused
        cell_id = entry.cell.cell_id
        if self._held_back:
            self._held_back -= self.runtime.descendants(cell_id)
        await self._run_cells({cell_id})
        cell = entry.cell
        if wanted:
            self._take_or_leave(entry, wanted)
        return (
            cell.error
            if cell.status in {"cancelled", "interrupted"} and not self.runs.current.ran(cell_id)
            else None
        )

    def expect(self, request: Waiting) -> Entry:
        """Make ready the cell of a request whose turn comes later."""
        assert self._runner is not None
        entry = self._entry_for(request.notebook_cell_id, request.code, NOTEBOOK, request.address)
        entry.body = self._runner.prepare(entry, request.code)
        self.outlet.restart(entry)  # the page cleared it when it sent the request
        self.cells.change(entry.cell.cell_id, status="queued", error=None)
        return entry

    def answered(self, answer: Answer, request: Waiting) -> None:
        """Close a request whose cell ran before its turn, or whose outputs are shown again."""
        entry = self.cells[answer.cell_id]
        self.runs.open(request.address, NOTEBOOK, (answer.cell_id,))
        if answer.replay:
            self.cells.move_to(answer.cell_id, request.address)
            self.outlet.replay(entry)
        else:
            self._note_run(answer.cell_id, entry.cell.duration or 0.0, changed=True)

    def refuse(self, entry: Entry, code: str) -> None:
        """Tell the graph that the code is no Python, so that dependents do not build on what is gone."""
        self._register(entry, Body(code, (), "", "none"))

    async def edit(
        self,
        entry: Entry | None,
        code: str,
        prepare: Callable[[Entry], Body],
        client: str,
        address: Address,
        *,
        run: bool,
    ) -> RunReport:
        """Give a cell new code for an agent, or add one, and run it unless told not to."""
        if entry is None:
            entry = self.cells.add(None, code, client, address)
        else:
            self.ahead.withdraw(entry.cell.cell_id)
            self.cells.set_code(entry.cell.cell_id, code, client)
        cell_id = entry.cell.cell_id
        self.runs.open(address, client, (cell_id,))
        refused = self._register(entry, prepare(entry), stale=not run)
        if refused is not None:
            self._show_instead(cell_id, "refused", refused)
            self._note_run(cell_id, 0.0, changed=True)
        elif run:
            await self._run_cells({cell_id})
        else:
            self._hold_back({cell_id})
        return self.runs.current.report()

    async def run_known(self, cell_ids: Iterable[str], client: str, address: Address) -> RunReport:
        """Run cells as they are. Raises `BridgeError`: no_such_cell."""
        requested = tuple(self.cells.find(cell_id).cell.cell_id for cell_id in cell_ids)
        run = self.runs.open(address, client, requested)
        runnable: dict[str, tuple[str, ...]] = {}  # with the names that it would take over
        for cell_id in requested:
            self.ahead.withdraw(cell_id)
            entry = self.cells[cell_id]
            wanted = () if entry.body is None else self._live_names_wanted(entry, entry.body)
            if wanted:  # until it has them it is below all
                others = (one for one in reversed(self.cells.ids()) if one != cell_id)
                self.cells.place(cell_id, next(others, None))
                self.cells.change(cell_id, status="new", error=None)
            if entry.body is not None and self._register(entry, entry.body, make_way=not wanted) is None:
                runnable[cell_id] = wanted
            else:
                self._note_run(cell_id, 0.0)
        await self._run_together(set(runnable))
        for cell_id, wanted in runnable.items():
            if wanted:
                self._take_or_leave(self.cells[cell_id], wanted)
        return run.report()

    async def edit_together(
        self,
        changes: Sequence[Change],
        prepare: Callable[[Entry, str], Body],
        client: str,
        address: Address,
        *,
        run: bool,
    ) -> tuple[str, ...]:
        """Apply a batch of changes that the graph takes (`batch_edits.py`). Returns the ids of the new cells."""
        opened = self.runs.open(address, client, ())
        gone: list[str] = []
        edited: list[Entry] = []
        known = set(self.cells.ids())
        for change in changes:
            match change:
                case AddCell(code=code, after=after):
                    edited.append(self.cells.add_beside(code, client, address, after))
                case ChangeCell(cell_id=cell_id, code=code):
                    self.ahead.withdraw(cell_id)
                    self.cells.set_code(cell_id, code, client)
                    edited.append(self.cells[cell_id])
                case MoveCell(cell_id=cell_id, after=after):
                    self.cells.place(cell_id, after)
                case DeleteCell(cell_id=cell_id):
                    gone.append(cell_id)
        self._show_deleted(gone, client)
        self.forget(gone)
        ids = {entry.cell.cell_id for entry in edited}
        opened.requested = tuple(entry.cell.cell_id for entry in edited)
        with garbage.looked_for_later():
            for entry in edited:
                entry.body = prepare(entry, entry.cell.code)
            self.redefinitions.update()
            self.runtime.register_stale([(e.cell.cell_id, e.body.code) for e in edited if e.body is not None])
            self.redefinitions.show_last()
        if not run:
            self._hold_back(ids)
        else:
            self._held_back -= ids
            self._stale_changed()
            await self._run_together(ids)
        return tuple(cell_id for cell_id in opened.requested if cell_id not in known)

    def _show_deleted(self, cell_ids: Iterable[str], client: str) -> None:
        for entry in map(self.cells.__getitem__, cell_ids):
            if entry.live:
                notice = Message("display_data", wording.deleted(client), {})
                self.outlet.replace(entry, self._trigger, notice)

    def _hold_back(self, cell_ids: Iterable[str]) -> None:
        """Let cells wait, stale with all that depend on them, for somebody to run them."""
        held = set(cell_ids)
        self._held_back |= held
        self.runtime.set_stale(self.runtime.descendants(*held))
        self._stale_changed()

    def run_stale(self, client: str, address: Address) -> RunReport:
        """Let all stale cells run once when it settles."""
        report = self.runs.open(address, client, ()).report()
        self.catch_up()
        return report

    def set_ui_value(self, target: str, value: object, client: str, address: Address) -> RunReport:
        """Set a UI element, by its variable or its id; what reads it becomes stale and runs when it settles.

        Raises `BridgeError`: no_such_ui_element, ui_value_refused.
        """
        self.runtime.queue_ui_value(target, value)
        return self.runs.open(address, client, ()).report()

    def _live_names_wanted(self, entry: Entry, body: Body) -> tuple[str, ...]:
        """Return the names that an agent's cell would take over from cells that a notebook shows.

        It takes them once it has succeeded; until then it makes one more version of them, below all.
        """
        if entry.live or self.redefinitions.strict or not _claims_names(entry, body):
            return ()
        names = self.runtime.parse(entry.cell.cell_id, body.code)
        return tuple(
            name
            for name in sorted(names.defines if names is not None else ())
            if any(self.cells[one].live for one in self._holders(entry, name))
        )

    def _holders(self, entry: Entry, name: str) -> list[str]:
        """Return the cells that would lose a name to this one."""
        strict = self.redefinitions.strict
        others = self.runtime.definers(name) - {entry.cell.cell_id}
        return [one for one in others if gives_way(self.cells[one], entry, strict=strict)]

    def _take_or_leave(self, entry: Entry, names: tuple[str, ...]) -> None:
        """Let a cell have the names that it wanted from others if it succeeded; else it leaves the graph.

        One that builds on what is made from such a name would close a circle with it: it stays one more version.
        """
        assert entry.body is not None
        cell_id = entry.cell.cell_id
        if entry.cell.status != "ok" or entry.stopped:
            self.runtime.delete([cell_id], keep_values=True)
            self.cells.change(cell_id, status="superseded")
            self.runs.current.not_taken += names
        elif self._builds_on(entry, {one for name in names for one in self._holders(entry, name)}):
            self.runs.current.not_taken += names
        else:
            self._make_way(entry, entry.body.code, newcomer=True)
        self.redefinitions.update()
        self._stale_changed()

    def _builds_on(self, entry: Entry, holders: set[str]) -> bool:
        """Tell whether a cell reads what cells that are no holders made from the holders' names."""
        node = self._nodes.get(entry.cell.cell_id)
        between = set(() if node is None else node.upstream) - holders
        return bool(between) and not between.isdisjoint(self.runtime.descendants(*holders))

    def _register(
        self, entry: Entry, body: Body, *, stale: bool = False, make_way: bool = True
    ) -> CellError | None:
        cell_id = entry.cell.cell_id
        self._held_back.discard(cell_id)
        if make_way and _claims_names(entry, body):
            self._make_way(entry, body.code, newcomer=entry.cell.last_run_at is None)
        entry.body = body
        self.redefinitions.update()
        errors = self.runtime.register(cell_id, body.code, stale=stale)
        self.redefinitions.show_last()
        self._stale_changed()
        if not errors:
            if entry.cell.status == "refused":
                self.cells.change(cell_id, status="new", error=None)
            return None
        error = wording.refusal(errors, self._cell_or_none)
        self.cells.change(cell_id, status="refused", error=error)
        return error

    def _make_way(self, entry: Entry, code: str, *, newcomer: bool) -> None:
        """Let cells that no notebook shows give up the names that this one defines.

        And let a newcomer that no notebook shows take over names from any other: each request of a terminal or of
        nbclient is a cell of its own, and there `x = 2` after `x = 1` is no mistake.
        """
        names = self.runtime.parse(entry.cell.cell_id, code)
        if names is None:
            return
        self._imperative.discard(entry.cell.cell_id)
        for name in sorted(names.defines):
            for other_id in self._holders(entry, name):
                other = self.cells[other_id]
                if reads_before_writing(code, name):
                    self._imperative.add(entry.cell.cell_id)
                if other.live and newcomer:
                    self.cells.place(entry.cell.cell_id, other_id)
                had_the_name = other.cell.status != "refused"
                self.runtime.delete([other_id], keep_values=True)
                self.cells.change(other_id, status="superseded")
                self._passing.holds_nothing(other_id)
                self.runs.current.superseded += (other_id,)
                if other.live and had_the_name:
                    self.outlet.append_late(other, "display_data", wording.superseded(name, entry.cell))

    async def _run_cells(self, cell_ids: Collection[str]) -> None:
        self.runtime.set_stale(self.redefinitions.makers_needed(cell_ids))
        self._refresh_nodes()
        try:
            await self.runtime.run(cell_ids)
        finally:
            self.running = self.running_since = None
            self._stale_changed()

    async def _run_together(self, cell_ids: set[str]) -> None:
        """Run several cells, each once: cells between two of them count as stale, and run in between."""
        if len(cell_ids) > 1:
            self.runtime.set_stale(self.runtime.descendants(*cell_ids))
        if cell_ids:
            await self._run_cells(cell_ids)

    async def settle(self) -> None:
        """Run the stale cells, until none is left or another request waits. In lazy mode, show which are stale."""
        while self._later:
            self._later.pop(0)()
        await self.runtime.run(())  # lets `mo.state` updates made outside of a run mark their readers stale
        self._stale_changed()
        outer, self._settling = self._settling, True
        try:
            if self._runs_stale_cells:
                await self._run_due()
        finally:
            self._settling = outer
        if not self.pending_requests():
            self._catching_up = False
            self._show_ui_values()
            self.outlet.mark_stale(self._stale if self.mode == "lazy" else frozenset(), self._trigger)

    def _show_ui_values(self) -> None:
        """Draw UI elements that were set as they are now, where cells show them that had no reason to run."""
        changed = self.runtime.settle_ui_values(release=self.mode == "autorun")
        for cell_id, redrawn in changed.items():
            entry = self.cells.get(cell_id)
            if entry is not None:
                self.outlet.redraw(entry, self._trigger, redrawn)

    async def _run_due(self) -> None:
        done: set[str] = set()
        while (due := self._due()) - done and not self.should_pause():
            done |= due
            await self._run_cells(due)
            if self._due() >= due:
                return  # no progress: a cell that stays stale must not spin

    @property
    def _runs_stale_cells(self) -> bool:
        return self.mode == "autorun" or self._catching_up

    @property
    def unsettled(self) -> bool:
        """Whether `settle` would run something."""
        return self._runs_stale_cells and bool(self._due())

    # -- what a person may ask for (`%marimo`), between runs -------------------------------------------------------

    def later(self, action: Callable[[], None]) -> None:
        """Do something to the graph or the mode as soon as no cell runs, before dependents do."""
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread and not self.runs.started:
            action()
            return
        self._later.append(action)
        if self._direct is None or not on_main_thread:
            self._wake()  # no request of a cell follows that would settle

    def switch(self, mode: Literal["autorun", "lazy"]) -> None:
        """Run dependents by themselves, also those that wait by now, or mark them stale."""
        self.mode = mode
        if mode == "autorun":
            self._held_back.clear()

    def switch_redefinitions(self, *, strict: bool) -> None:
        """Refuse cells that define a name again, or let cells have it in the order of the document."""
        assert self._runner is not None
        if strict == self.redefinitions.strict:
            return
        self.redefinitions.strict = strict
        for entry in self.cells:
            if entry.body is not None and entry.body.interactivity != "none":
                entry.body = self._runner.prepare(entry, entry.cell.code)
        self.redefinitions.update()
        self.runtime.check_again(entry.cell.cell_id for entry in self.cells)
        self.redefinitions.mark_lost()
        self.redefinitions.show_last()
        self._stale_changed()

    def catch_up(self) -> None:
        """Let all stale cells run once."""
        self._held_back.clear()
        self._catching_up = True

    def forget(self, cell_ids: Iterable[str]) -> None:
        """Drop cells and the names they define; one whose own request waits stays."""
        gone = [cell_id for cell_id in cell_ids if cell_id in self.cells and cell_id not in self.ahead]
        if not gone:
            return
        self.runtime.delete(gone)
        for cell_id in gone:
            self.ahead.forget(cell_id)
            self.outlet.restart(self.cells[cell_id])
            self.cells.forget(cell_id)
            self._held_back.discard(cell_id)
            self._imperative.discard(cell_id)
            self._passing.forget(cell_id)
        self.redefinitions.update()
        self._stale_changed()

    def _due(self) -> set[str]:
        """Stale cells that may run by themselves: not those that wait for somebody, nor what is below them."""
        due = set(self._stale - self._held_back)
        if self.outlet.vscode_is_busy:
            due = {one for one in due if not self._is_vscodes(one)}
        return due - self.runtime.descendants(*(self._stale - due)) if due else due

    def _is_vscodes(self, cell_id: str) -> bool:
        entry = self.cells.get(cell_id)
        return entry is not None and entry.address.dialect == "vscode"

    # -- CellHost: what the runtime tells and asks -------------------------------------------------------------

    async def execute(self, cell_id: str) -> Outcome:
        entry = self.cells[cell_id]
        assert self._runner is not None
        self.running, self.running_since = cell_id, time.time()
        self.cells.change(cell_id, status="running")
        self._held_back.discard(cell_id)
        early = cell_id in self.ahead
        if early:
            self.cells.change(cell_id, execution_count=self._runner.take_count(entry.cell.code))
        direct = cell_id == self._direct
        before = entry.shown_before if direct else entry.log.outputs()
        delivery = None if direct else self.outlet.begin(entry, self._trigger)
        started = time.monotonic()
        try:
            try:
                self.redefinitions.enter(cell_id)
            except KeyboardInterrupt:  # in a copy of what the cell changes; the body ends as it begins
                self._runner.interrupts.fall_due()
            outcome = await self._runner.run_body(entry, None if delivery is None else delivery.parent)
            entry.stopped = outcome.stopped
        except (
            BaseException
        ) as error:  # what surrounds the body failed: a stream that user code has replaced, say
            shown = CellError(type(error).__name__, str(error))
            self.cells.change(cell_id, status="error", error=shown)
            raise
        finally:
            duration = max(time.monotonic() - started, 1e-6)
            self.redefinitions.leave(cell_id)
            self._tell_redefinitions(entry)
            self.outlet.end(entry, before)
        after = entry.log.outputs()
        self.cells.change(
            cell_id,
            status=_status(outcome),
            error=_error_shown(outcome, after),
            last_run_by=self.runs.current.client,
            last_run_at=time.time(),
            duration=duration,
        )
        own = (tuple(without_edited(outputs)) for outputs in (before, after))
        self._note_run(cell_id, duration, changed=not same_outputs(*own))
        if early:
            self.ahead.ran(cell_id, entry.cell.execution_count, entry.cell.error)
        return outcome

    def _tell_redefinitions(self, entry: Entry) -> None:
        """Say once in a cell whose names it defines anew; where nobody looks, saved outputs stay as Jupyter's."""
        if not entry.live:
            return
        by_cell: dict[str, list[str]] = {}
        for name, other in self.redefinitions.news(entry.cell.cell_id).items():
            by_cell.setdefault(other, []).append(name)
        if by_cell:
            notice = wording.redefined([(names, self.cells[other].cell) for other, names in by_cell.items()])
            self.outlet.append(entry, "display_data", notice)

    def cancelled(self, cell_id: str, because: str) -> None:
        if cell_id not in self.cells or cell_id in self.ahead:
            return
        source = self.cells[because].cell
        if source.error is None and source.status == "ok":
            self.cells.change(cell_id, status="cancelled", error=None)
            notice = wording.stopped(source)
            if cell_id == self._direct:
                self.outlet.append(self.cells[cell_id], "display_data", notice)
            else:
                self.outlet.replace(self.cells[cell_id], self._trigger, Message("display_data", notice, {}))
        else:
            self._show_instead(cell_id, "cancelled", wording.not_run(source))
        self._note_run(cell_id, 0.0, changed=True)

    def interrupted(self, cell_id: str) -> None:
        if cell_id in self.ahead:
            return
        self._held_back.add(cell_id)
        self._show_instead(cell_id, "interrupted", wording.interrupted())
        self._note_run(cell_id, 0.0, changed=True)

    def should_pause(self) -> bool:
        return self._settling and self.pending_requests()

    def graph_errors_changed(self, errors: dict[str, tuple[GraphError, ...]]) -> None:
        for cell_id, reasons in errors.items():
            if (
                cell_id in self.cells
                and cell_id not in self.ahead
                and cell_id != self._direct
                and self.cells[cell_id].cell.status != "refused"
            ):
                self._show_instead(cell_id, "refused", wording.refusal(reasons, self._cell_or_none))
        for cell_id in self._refused - errors.keys():
            cell = self.cells[cell_id].cell if cell_id in self.cells else None
            if cell is None or cell.status != "refused":
                continue
            if cell.error is not None and cell.error.ename == "SyntaxError":
                continue  # marimo forgets it with the next cell that is registered; only new code mends it
            self.cells.change(cell_id, status="new", error=None)
        self._refused = set(errors)

    def wake(self) -> None:
        self._wake()

    # -- outputs -------------------------------------------------------------------------------------------------

    @property
    def _trigger(self) -> Address:
        """Where the request came from that causes what runs now."""
        return self.runs.current.address

    def _show_instead(self, cell_id: str, status: CellStatus, error: CellError) -> None:
        """Replace a cell's outputs by the reason why it did not run."""
        self.cells.change(cell_id, status=status, error=error)
        if cell_id == self._direct:
            return  # the shell shows it when it makes the reply
        text = f"\x1b[31m{error.ename}\x1b[39m: {error.evalue}"
        content = {"ename": error.ename, "evalue": error.evalue, "traceback": [text]}
        self.outlet.replace(self.cells[cell_id], self._trigger, Message("error", content, {}))

    # -- bookkeeping ---------------------------------------------------------------------------------------------

    def _note_run(self, cell_id: str, duration: float, *, changed: bool = False) -> None:
        if self.runs.started:
            self.runs.current.note(self.cells[cell_id].cell, duration, changed=changed)

    def _refresh_nodes(self) -> None:
        """Publish the graph for readers, once for all changes of a request."""
        changed = self.runtime.changed_nodes()
        known = [
            self._nodes.pop(one) if node is None else self._nodes[one]
            for one, node in changed.items()
            if one in self._nodes
        ]
        for cell_id, node in changed.items():
            if node is not None:
                self._nodes[cell_id] = node
                self._definers.update(node.names.defines)
        for before in known:
            for name in before.names.defines:
                self._definers[name] -= 1
                if not self._definers[name]:
                    del self._definers[name]

    def _stale_changed(self) -> None:
        stale = self.runtime.stale()
        # `total = total + step` as a cell of its own happened once; there is no old `total` to run it again on.
        once = stale & self._imperative
        if once:
            self.runtime.set_stale(once, stale=False)
        self._stale = stale - once if once else stale

    def _cell_or_none(self, cell_id: str) -> Cell | None:
        entry = self.cells.get(cell_id)
        return None if entry is None else entry.cell

    # -- reads, for any thread -------------------------------------------------------------------------------------

    def snapshot(self) -> list[Cell]:
        """Return all cells with their place in the graph."""
        return [self._whole(entry.cell) for entry in self.cells if not entry.deleted]

    def outline(self, offset: int, limit: int) -> Outline:
        """Return some of the cells with their place in the graph."""
        shown = [entry.cell for entry in self.cells if not entry.deleted]
        return Outline(tuple(self._whole(cell) for cell in shown[offset : offset + limit]), len(shown))

    def read(self, cell_id: str) -> CellWithOutputs:
        """Return a cell and its outputs. Raises `BridgeError`: no_such_cell."""
        entry = self.cells.find(cell_id)
        return CellWithOutputs(self._whole(entry.cell), entry.log.outputs())

    def is_stale(self, cell_id: str) -> bool:
        """Tell whether a cell's inputs changed since it ran."""
        return cell_id in self._stale

    @property
    def stale(self) -> tuple[str, ...]:
        """Ids of the stale cells."""
        return tuple(sorted(self._stale))

    def _whole(self, cell: Cell) -> Cell:
        node = self._nodes.get(cell.cell_id)
        if node is None:
            return replace(cell, stale=cell.cell_id in self._stale)
        return replace(
            cell,
            stale=cell.cell_id in self._stale,
            defines=tuple(sorted(node.names.defines)),
            uses=tuple(sorted(name for name in node.names.uses if name in self._definers)),
            upstream=tuple(sorted(node.upstream)),
            downstream=tuple(sorted(node.downstream)),
        )


def _claims_names(entry: Entry, body: Body) -> bool:
    """Tell whether a cell may define other names than it did in the graph."""
    return (
        entry.body is None or entry.body.code != body.code or entry.cell.status in {"superseded", "refused"}
    )


def _status(outcome: Outcome) -> CellStatus:
    if outcome.error is None or outcome.stopped:
        return "ok"
    return (
        "interrupted" if isinstance(outcome.error, (KeyboardInterrupt, asyncio.CancelledError)) else "error"
    )


def _error_shown(outcome: Outcome, outputs: tuple[dict[str, Any], ...]) -> CellError | None:
    """Return the error as it was shown, or as much of it as there is."""
    if outcome.error is None or outcome.stopped:
        return None
    for output in reversed(outputs):
        if output["output_type"] == "error":
            traceback = tuple(strip_ansi(line) for line in output["traceback"] or ())
            return CellError(output["ename"], strip_ansi(output["evalue"]), traceback)
    return CellError(type(outcome.error).__name__, error_text(outcome.error))
