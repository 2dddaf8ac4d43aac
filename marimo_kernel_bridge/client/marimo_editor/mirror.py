"""The notebook as marimo's stream of events tells it: a state machine without I/O.

Owns what is known of the document, the graph, the executions and the runtime. A new connection begins with a new mirror,
which is complete after `ready`. `answers` says it in the words of the bridge protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.marimo_editor.records import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.client.marimo_editor.records import (
        Analysis,
        Cell,
        CellAnalysis,
        Document,
        Execution,
        Item,
        Message,
        Run,
        Runtime,
    )

_AT_WORK: Final = frozenset({"queued", "running"})


class Mirror:
    """One notebook of a marimo server."""

    def __init__(self) -> None:
        self.ready = False
        self.document: Document | None = None
        self.runtime: Runtime | None = None
        self.runs: dict[str, Run] = {}
        self.authors: dict[str, str] = {}
        """The requests that caused runs, by the run's id; a snapshot does not tell of those that are over."""
        self.writers: dict[str, str] = {}
        """The requests that wrote the present texts of cells, by the cell's id."""
        self._cells: dict[str, Cell] = {}
        self._analysis: Analysis | None = None
        self._executions: dict[str, Execution] = {}
        self._of_cell: dict[str, str] = {}  # the newest execution of each cell
        self._items: dict[str, dict[str, Item]] = {}  # by execution and id
        self._executions_of: dict[str, set[str]] = {}  # those that have an item, by its id

    def apply(self, name: str, data: bytes) -> Message | None:
        """Take an event. Return what it is about, None for events without an object. Raises ValueError for a malformed one."""
        if name == "ready":
            self.ready = True
            return None
        message = MESSAGE.decode(data)
        if name.endswith(".removed"):
            self._remove(name.removesuffix(".removed"), message.id)
        else:
            self._take(message)
        return message

    @property
    def alive(self) -> bool:
        """Whether marimo's kernel runs."""
        return self.runtime is not None and self.runtime.status == "running"

    @property
    def died(self) -> bool:
        """Whether marimo's kernel has ended, and nobody had asked for that: then marimo says how."""
        return self.runtime is not None and self.runtime.status == "failed" and bool(self.runtime.message)

    @property
    def cells(self) -> list[Cell]:
        """The cells in the order of the document."""
        order = self.document.order if self.document is not None else ()
        return [self._cells[cell_id] for cell_id in order if cell_id in self._cells]

    @property
    def active_run(self) -> Run | None:
        """The run that is under way; marimo has one at a time."""
        return next((run for run in self.runs.values() if run.status in _AT_WORK), None)

    def cell(self, cell_id: str) -> Cell | None:
        return self._cells.get(cell_id)

    def analysis_of(self, cell_id: str) -> CellAnalysis | None:
        return None if self._analysis is None else self._analysis.cells.get(cell_id)

    def execution_of(self, cell_id: str) -> Execution | None:
        """Return the newest execution of a cell."""
        return self._executions.get(self._of_cell.get(cell_id, ""))

    def executions_in(self, run_id: str) -> list[Execution]:
        """Return the executions of a run, in the order in which they were planned."""
        return [execution for execution in self._executions.values() if execution.run_id == run_id]

    def items_of(self, execution_id: str) -> Iterable[Item]:
        """Return what an execution printed and displayed, in order."""
        return sorted(self._items.get(execution_id, {}).values(), key=lambda item: item.seq)

    def _take(self, message: Message) -> None:  # one for each kind
        if message.document is not None:
            self.document = message.document
        elif (cell := message.cell) is not None:
            self._cells[cell.id] = cell
            self.writers[cell.id] = message.request_id or ""
        elif message.analysis is not None:
            self._analysis = message.analysis
        elif message.runtime is not None:
            self.runtime = message.runtime
        elif (run := message.run) is not None:
            self.runs[run.id] = run
            if self.ready or message.request_id:
                self.authors[run.id] = message.request_id or ""
        elif (execution := message.execution) is not None:
            self._executions[execution.id] = execution
            if execution.cell_id is not None:
                self._of_cell[execution.cell_id] = execution.id
        elif (item := message.console or message.display) is not None:
            self._items.setdefault(item.execution_id, {})[item.id] = item
            self._executions_of.setdefault(item.id, set()).add(item.execution_id)

    def _remove(self, kind: str, object_id: str) -> None:
        match kind:
            case "cell":
                self._cells.pop(object_id, None)
                self.writers.pop(object_id, None)
            case "runtime":
                if self.runtime is not None and self.runtime.id == object_id:
                    self.runtime = None
            case "run":
                self.runs.pop(object_id, None)
                self.authors.pop(object_id, None)
            case "execution":
                self._executions.pop(object_id, None)
                for item_id in self._items.pop(object_id, ()):
                    left = self._executions_of[item_id]
                    left.discard(object_id)
                    if not left:
                        del self._executions_of[item_id]
            case "console" | "display":
                for execution_id in self._executions_of.pop(object_id, ()):
                    self._items[execution_id].pop(object_id, None)
