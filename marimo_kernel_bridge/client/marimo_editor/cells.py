"""The cells of a mirror in the words of the bridge protocol: status, graph, staleness, outputs. Pure.

marimo's host API says what ran and from which text, and not which cells are stale: a cell is, if its text or a cell above it
is newer than its result.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from marimo_kernel_bridge.client.marimo_editor.outputs import Page, error_of, outputs_of
from marimo_kernel_bridge.protocol.names import agent_name
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK, Cell, CellError, CellRun, CellWithOutputs

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.marimo_editor import records
    from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
    from marimo_kernel_bridge.protocol.notebook import CellStatus

_MOST_DEFINERS = 8
"""Cells that define one name: marimo runs none of them if there are several, and a notebook may have thousands."""

OUR_KEYS = "marimo-kernel-bridge/"
"""How the keys of our requests begin, which marimo tells every client; the client's name follows."""


class NotebookView:
    """A mirror at one moment, which must not change while this is used."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._page = Page()

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells in the order of the document."""
        return tuple(map(self._cell, self._mirror.cells))

    @cached_property
    def stale(self) -> dict[str, None]:
        """The cells whose result is missing or older than their text, or than a result above them."""
        known: dict[str, bool] = {}
        for start in self._mirror.cells:
            stack = [] if start.id in known else [(start.id, iter(self._upstream[start.id]))]
            while stack:
                cell_id, above = stack[-1]
                known.setdefault(cell_id, False)  # so that a cycle ends
                up = next((up for up in above if up not in known), None)
                if up is not None:
                    stack.append((up, iter(self._upstream[up])))
                else:
                    stack.pop()
                    known[cell_id] = self._is_stale(cell_id, known)
        return dict.fromkeys(cell.id for cell in self._mirror.cells if known[cell.id])

    def cell(self, cell_id: str) -> Cell | None:
        return next((cell for cell in self.cells if cell.cell_id == cell_id), None)

    def with_outputs(self, cell: Cell) -> CellWithOutputs:
        execution = self._mirror.execution_of(cell.cell_id)
        if execution is None:
            return CellWithOutputs(cell, ())
        return CellWithOutputs(cell, outputs_of(execution, self._mirror.items_of(execution.id), self._page))

    def runs_in(self, run_id: str) -> tuple[CellRun, ...]:
        """Return the executions of cells in a run of marimo's, as they are now."""
        return tuple(
            CellRun(
                execution.cell_id,
                execution.cell_id,
                _status(execution),
                None,
                _duration(execution) or 0.0,
                _error(execution),
                self._shows(execution),
            )
            for execution in self._mirror.executions_in(run_id)
            if execution.cell_id is not None
        )

    def _shows(self, execution: records.Execution) -> bool:
        """Whether an execution has an output."""
        outcome = execution.outcome
        ended = outcome is not None and (outcome.display is not None or outcome.error is not None)
        return ended or any(True for _ in self._mirror.items_of(execution.id))

    def below(self, cell_ids: list[str]) -> list[str]:
        """Return cells with all that depends on them, in the order of the document."""
        reached, edge = set(cell_ids), list(cell_ids)
        while edge:
            down = (down for cell_id in edge for down in self._downstream.get(cell_id, ()))
            edge = list(dict.fromkeys(cell_id for cell_id in down if cell_id not in reached))
            reached.update(edge)
        return [cell.id for cell in self._mirror.cells if cell.id in reached]

    @cached_property
    def _upstream(self) -> dict[str, tuple[str, ...]]:
        definers: dict[str, list[str]] = {}
        for cell in self._mirror.cells:
            for name in self._names(cell.id)[0]:
                if len(found := definers.setdefault(name, [])) < _MOST_DEFINERS:
                    found.append(cell.id)
        return {
            cell.id: tuple(
                dict.fromkeys(
                    definer
                    for name in self._names(cell.id)[1]
                    for definer in definers.get(name, ())
                    if definer != cell.id
                )
            )
            for cell in self._mirror.cells
        }

    @cached_property
    def _downstream(self) -> dict[str, tuple[str, ...]]:
        below: dict[str, list[str]] = {}
        for cell_id, above in self._upstream.items():
            for up in above:
                below.setdefault(up, []).append(cell_id)
        return {cell_id: tuple(cells) for cell_id, cells in below.items()}

    def _names(self, cell_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names that a cell defines and uses."""
        found = self._mirror.analysis_of(cell_id)
        return ((), ()) if found is None else (found.defs, found.refs)

    def _is_stale(self, cell_id: str, known: dict[str, bool]) -> bool:
        cell, execution = self._mirror.cell(cell_id), self._mirror.execution_of(cell_id)
        if cell is None or not cell.code.strip() or cell.config.disabled:
            return False
        if execution is None or execution.code_hash != cell.code_hash:
            return True
        if execution.status != "completed":
            return False
        runtime = self._mirror.runtime
        if runtime is None or runtime.id != execution.runtime_id:
            return True
        return any(
            known[up] or _newer(self._mirror.execution_of(up), execution) for up in self._upstream[cell_id]
        )

    def _cell(self, cell: records.Cell) -> Cell:
        execution = self._mirror.execution_of(cell.id)
        defines, uses = self._names(cell.id)
        status, error = _status(execution), _error(execution)
        found = self._mirror.analysis_of(cell.id)
        if found is not None and (wrong := next((e for e in found.errors if e.severity == "error"), None)):
            status, error = "refused", CellError(wrong.kind, wrong.message)
        author = None
        if execution is not None and execution.run_id is not None:
            key = self._mirror.authors.get(execution.run_id)
            author = None if key is None else author_of(key)
        started = None if execution is None else execution.started_at
        return Cell(
            cell_id=cell.id,
            notebook_cell_id=cell.id,
            code=cell.code,
            version=cell.version,
            status=status,
            stale=cell.id in self.stale,
            execution_count=None,
            edited_by=author_of(self._mirror.writers.get(cell.id)),
            last_run_by=author,
            last_run_at=None if started is None else started.timestamp(),
            duration=_duration(execution),
            error=error,
            defines=defines,
            uses=uses,
            upstream=self._upstream[cell.id],
            downstream=self._downstream.get(cell.id, ()),
        )


def author_of(key: str | None) -> str:
    """Return who made a request, by its key: an agent that uses this package, else somebody in marimo."""
    if not key or not key.startswith(OUR_KEYS):
        return NOTEBOOK
    return agent_name(unquote(key.removeprefix(OUR_KEYS).rpartition("/")[0]))


def _status(execution: records.Execution | None) -> CellStatus:
    match execution:
        case None:
            return "new"
        case _ if execution.status == "queued":
            return "queued"
        case _ if execution.status != "completed":
            return "running"
    outcome = execution.outcome
    if outcome is None or outcome.kind == "value":
        return "ok"
    if outcome.error is None:
        return "interrupted"
    # marimo's graph refuses a cell, or a cell above it failed: the message says which.
    return "error" if outcome.error.kind == "exception" else "refused"


def _error(execution: records.Execution | None) -> CellError | None:
    outcome = None if execution is None else execution.outcome
    return None if outcome is None or outcome.error is None else error_of(outcome.error)


def _newer(above: records.Execution | None, execution: records.Execution) -> bool:
    if above is None or above.started_at is None or execution.started_at is None:
        return False
    return above.started_at > execution.started_at


def _duration(execution: records.Execution | None) -> float | None:
    if execution is None or execution.started_at is None or execution.completed_at is None:
        return None
    return (execution.completed_at - execution.started_at).total_seconds()
