"""The requests of agents: batches of edits, runs of unchanged cells, and values of UI elements.

Turns each request into changes of cells, admission to the graph, and runs. `edit_batches` checks which batches the graph
accepts, and `execution` runs cells.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.cells import Allowance
from marimo_kernel_bridge.kernel.front_ends import Message
from marimo_kernel_bridge.kernel.notebook.edit_batches import Graph, plan
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK
from marimo_kernel_bridge.startup import gc_pauses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.kernel.cells import Address, Body, Entry
    from marimo_kernel_bridge.kernel.notebook.edit_batches import Plan
    from marimo_kernel_bridge.kernel.notebook.execution import Execution
    from marimo_kernel_bridge.kernel.notebook.state import NotebookState
    from marimo_kernel_bridge.kernel.versions.value_flow import ValueFlow
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.notebook import RunReport


class Prepare(Protocol):
    """Returns the body of a cell's new code, which runs next unless it is only looked at (not `to_run`)."""

    def __call__(
        self, entry: Entry, code: str, *, to_run: bool = True, allowance: Allowance | None = None
    ) -> Body: ...


class AgentEdits:
    """Applies the requests of agents to a notebook."""

    def __init__(self, state: NotebookState, execution: Execution, prepare: Prepare) -> None:
        self._cells, self._runs, self._early, self._router = (
            state.cells,
            state.runs,
            state.early,
            state.router,
        )
        self._published = state.published
        self._foreseen: list[ValueFlow] = []  # flows of the thread that previews
        self._execution = execution
        self._graph = execution.graph
        self._stale_cells = execution.stale_cells
        self._prepare = prepare

    # -- batches of edits ------------------------------------------------------------------------------------------

    def plan(self, changes: Sequence[Change], address: Address, *, to_apply: bool) -> Plan:
        """Check a batch and preview its effects. Raises `BridgeError`: no_such_cell, stale_version, bad_request."""
        with gc_pauses.deferred():
            return plan(
                changes,
                self._cells,
                Graph(self._graph.runtime.nodes(), self._graph.runtime, self._graph.redefinitions),
                partial(self._prepare, to_run=to_apply, allowance=Allowance()),
                address,
            )

    def foresee(self, changes: Sequence[Change], address: Address, requested: Sequence[str]) -> Plan:
        """Preview a batch, and runs of unchanged cells, as of what the graph has published. On one thread, also while cells run.

        Raises as `plan` does.
        """
        graph = Graph(
            self._published.nodes(),
            self._graph.runtime,
            self._graph.redefinitions,
            self._foreseen,
            self._published.stale,
        )
        prepare = partial(self._prepare, to_run=False, allowance=Allowance())
        return plan(changes, self._cells, graph, prepare, address, requested)

    async def apply(
        self, batch: Plan, client: str, address: Address, *, run: bool, ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Apply a batch that the graph accepts, and run its cells if `run`. Return the ids of the new cells, which may be given."""
        report = self._runs.open(address, client, ())
        old_ids, stale_before = set(self._cells.ids()), self._graph.stale
        edited = self._change_cells(batch.changes, client, address, ids)
        edited_ids = {entry.cell.cell_id for entry in edited}
        report.requested = tuple(entry.cell.cell_id for entry in edited)
        with gc_pauses.deferred():
            for entry in edited:
                code = entry.cell.code
                prepared = batch.prepared.get((entry.cell.cell_id, code))
                entry.body = prepared or self._prepare(entry, code)
            self._graph.redefinitions.update()
            self._graph.admit_stale(edited)
        if not run:
            self._stale_cells.hold_edited(edited_ids, stale_before)
        else:
            self._stale_cells.release(edited_ids)
            self._graph.refresh_stale()
            await self._execution.run_together(edited_ids)
        return tuple(cell_id for cell_id in report.requested if cell_id not in old_ids)

    def _change_cells(
        self, changes: Iterable[Change], client: str, address: Address, ids: Sequence[str]
    ) -> list[Entry]:
        """Change the table of cells; return the cells with new code."""
        given = iter(ids)
        gone: list[str] = []
        edited: list[Entry] = []
        added: dict[str, str] = {}  # ids of new cells by their names in the batch
        for change in changes:
            match change:
                case AddCell(code=code, after=after, first=first):
                    place = None if after is None else added.get(after, after)
                    cell_id = next(given, None)
                    edited.append(self._cells.add_beside(None, code, client, address, place, cell_id=cell_id))
                    added[f"new{len(added) + 1}"] = edited[-1].cell.cell_id
                    if first:
                        self._cells.place(edited[-1].cell.cell_id, None)
                case ChangeCell(cell_id=cell_id, code=code):
                    self._early.withdraw(cell_id)
                    self._cells.set_code(cell_id, code, client)
                    edited.append(self._cells[cell_id])
                case MoveCell(cell_id=cell_id, after=after):
                    self._cells.place(cell_id, None if after is None else added.get(after, after))
                case DeleteCell(cell_id=cell_id):
                    gone.append(cell_id)
        self._show_deleted(gone, client)
        self._execution.forget(gone)
        return edited

    def _show_deleted(self, cell_ids: Iterable[str], client: str) -> None:
        for entry in map(self._cells.__getitem__, cell_ids):
            if entry.live:
                notice = Message("display_data", notices.deleted(client), {})
                self._router.replace(entry, self._execution.trigger, notice)

    def load(self, code: Sequence[tuple[str | None, str]], address: Address) -> tuple[str, ...]:
        """Register cells of the document that the kernel does not have, with the front end's ids; return the new ids.

        They are stale, and wait until somebody runs them or what needs them. Cells that an earlier kernel has saved keep its ids:
        who knew that kernel would change another cell.
        """
        stale_before = self._graph.stale
        self._runs.open(address, NOTEBOOK, ())
        known = {entry.cell.notebook_cell_id: entry for entry in self._cells if entry.live}
        added: list[Entry] = []
        order: list[str] = []
        own = self._cells.new_ids.free(key for key, _ in code)
        for key, text in code:
            entry = known.get(key)
            if entry is None and key is not None:  # an agent's cell, which the file has got meanwhile
                entry = self._cells.show(key, text, NOTEBOOK, address)
            if entry is None and text.strip():
                cell_id = key if key in own else self._cells.new_ids.take(besides=own)
                own.discard(cell_id or "")
                added.append(entry := self._cells.add_beside(key, text, NOTEBOOK, address, cell_id=cell_id))
            if entry is not None:
                order.append(entry.cell.cell_id)
        self._cells.arrange(order)
        with gc_pauses.deferred():
            for entry in added:
                entry.body = self._prepare(entry, entry.cell.code)
            self._graph.redefinitions.update()
            self._graph.admit_stale(added)
        self._graph.refresh_stale()
        self._stale_cells.hold(self._graph.stale - stale_before)
        return tuple(entry.cell.cell_id for entry in added)

    # -- unchanged cells -------------------------------------------------------------------------------------------

    async def run_cells(self, cell_ids: Iterable[str], client: str, address: Address) -> RunReport:
        """Run cells unchanged. Raises `BridgeError`: no_such_cell."""
        requested = tuple(self._cells.find(cell_id).cell.cell_id for cell_id in cell_ids)
        run = self._runs.open(address, client, requested)
        runnable: dict[str, tuple[str, ...]] = {}  # each with the names that it would take over
        for cell_id in requested:
            self._early.withdraw(cell_id)
            entry = self._cells[cell_id]
            body = None if entry.body is None else self._graph.shared_imports.sharing(entry, entry.body)
            names_to_take = () if body is None else self._graph.names_to_take(entry, body)
            if names_to_take:  # it is the last cell until it has taken them
                others = (other for other in reversed(self._cells.ids()) if other != cell_id)
                self._cells.place(cell_id, next(others, None))
                self._cells.change(cell_id, status="new", error=None)
            if body is not None and self._execution.admit(entry, body, supersede=not names_to_take) is None:
                runnable[cell_id] = names_to_take
            else:
                self._execution.record(cell_id, 0.0)
        for cell_id in runnable:
            self._stale_cells.release_below(cell_id)
        await self._execution.run_together(set(runnable))
        for cell_id, names_to_take in runnable.items():
            if names_to_take:
                self._execution.take_or_leave(self._cells[cell_id], names_to_take)
        return run.report()

    def run_stale(self, client: str, address: Address) -> RunReport:
        """Make all stale cells due once."""
        report = self._runs.open(address, client, ()).report()
        self._stale_cells.catch_up()
        return report

    def set_ui_value(self, target: str, value: object, client: str, address: Address) -> RunReport:
        """Set a UI element, given by its variable or its id; its readers become stale.

        Raises `BridgeError`: no_such_ui_element, ui_value_refused.
        """
        self._graph.runtime.queue_ui_value(target, value)
        return self._runs.open(address, client, ()).report()
