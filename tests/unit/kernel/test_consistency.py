"""Whatever happened to a notebook, its fresh cells show what a fresh run of it would show.

Random notebooks of small integer cells (definitions, uses, prints, private names, cells that fail on some values) go
through random operations on a kernel: a person runs a cell, new or changed or as it is, or all cells at once
(with and without stopping at errors), deletes cells and brings them back; an agent edits cells, to run them or not,
and runs cells; and any of these runs may be interrupted in any of its cells, by SIGINT. When all has settled, the
notebook that the kernel now holds is compared with a fresh run of it, cell by cell:

* A cell that is not stale and that a fresh run ends well has status ok, the same values of all names it defines, none
  for names that it did not define this time, and the same outputs.
* A cell that is not stale and that a fresh run ends with an error has status error, and the same error.
* A cell below one that fails was not run, and its names have no values; or it was run by itself, with what the
  failed cell left, and gives what a fresh run gives then.
* A cell that is stale, interrupted or not run yet, or not run because of such a cell above it, is not compared, but
  there is a reason for it: an interrupt, a request that was aborted, or an agent's edit that was not to run.
* Left out are the cells that define a name which another cell defines too, those in a cycle, and all below them:
  which of them marimo refuses depends on which came first.

Then all cells are run again, and now nothing may be stale. A fresh run is one of the model in `small_notebooks.py`;
that a fresh kernel agrees with the model has a test of its own.

`make test-long` runs more than the few of the default, each time other ones, and shrinks what fails.
"""

import builtins
import signal
import tempfile
from ast import literal_eval
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs, Output
from marimo_kernel_bridge.protocol.output_log import OutputLog
from marimo_kernel_bridge.protocol.output_text import shown_text
from tests.inputs import inputs
from tests.unit.kernel.notebook_in_memory import KernelInMemory
from tests.unit.kernel.small_notebooks import (
    NAMES,
    Code,
    Edit,
    Operation,
    Run,
    RunAll,
    RunKnown,
    fresh_run,
    notebooks,
    operations,
)

LONG = bool(inputs(0, 1))
few = settings(max_examples=inputs(2, 10), deadline=None, derandomize=not LONG, database=None)
many = settings(
    few,
    max_examples=inputs(6, 300),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.generate, *([Phase.shrink] if LONG else [])],  # to shrink takes minutes
)
pytestmark = pytest.mark.timeout(0 if LONG else 300)


class Notebook:
    """A person's page and an agent on one kernel."""

    def __init__(self, kernel: KernelInMemory) -> None:
        self.lab = kernel.connect()
        self._codes: dict[str, Code] = {}  # by source
        self._page: dict[str, str] = {}  # sources that the page shows, by cell
        self._deleted: set[str] = set()

    def hidden(self, code: str) -> str:
        return self.lab.run(None, code, store_history=False).text

    def cells(self) -> dict[str, Cell]:
        """The cells that are not deleted, as the kernel has them."""
        return {name: cell for name, cell in self.lab.cells().items() if name not in self._deleted}

    # -- operations ---------------------------------------------------------------------------------------------------

    def show(self, cell: str, code: Code) -> None:
        """Write a cell on the page, without running it."""
        self._page[cell] = self._source(cell, code)

    def apply(self, operation: Operation) -> None:
        match operation:
            case Run(cell, code, deleted, hold):
                if code is not None:
                    self.show(cell, code)
                if cell in self._page:
                    self._deleted |= set(deleted) & self._page.keys()
                    self._deleted.discard(cell)
                    self._send([cell], hold)
            case RunAll(stop_on_error, hold):
                self._send(sorted(self._page.keys() - self._deleted), hold, stop_on_error=stop_on_error)
            case Edit(cell, code, run):
                if (known := self.cells().get(cell)) is not None:
                    source = self._source(cell, code)
                    change = ChangeCell(cell_id=known.cell_id, version=known.version, code=source)
                    self._ask(wire.EditCells(changes=[change], run=run))
            case RunKnown(cells):
                known_cells = self.cells()
                ids = [known_cells[cell].cell_id for cell in cells if cell in known_cells]
                self._ask(wire.RunCells(cell_ids=ids))
        self.lab.wait_quiet()

    def _source(self, cell: str, code: Code) -> str:
        source = code.of(cell)
        self._codes[source] = code
        return source

    def _ask(self, request: wire.Request) -> None:
        assert self.lab.ask(request, "shell")["status"] == "ok"

    def _send(self, cells: list[str], hold: str | None, *, stop_on_error: bool = True) -> None:
        metadata = {"deletedCells": sorted(self._deleted)}
        with interrupted_in(hold):
            self.lab.pause()
            sent = [
                self.lab.send(cell, self._page[cell], metadata=metadata, stop_on_error=stop_on_error)
                for cell in cells
            ]
            for msg_id in sent:
                self.lab.finish(msg_id)
            self.lab.wait_quiet()

    # -- looking --------------------------------------------------------------------------------------------------------

    def compare(self, *, may_be_stale: bool) -> None:
        """Compare each fresh cell with a fresh run of the notebook."""
        cells = self.cells()
        fresh = fresh_run({name: self._codes[cell.code] for name, cell in cells.items()})
        values = literal_eval(self.hidden(f"{{n: globals()[n] for n in {NAMES} if n in globals()}}"))
        unaccounted = set(values)
        for name, cell in cells.items():
            expected, told = fresh[name], (name, cell, fresh[name], values)
            defines = self._codes[cell.code].defines
            ename = cell.error.ename if cell.error else None
            unfinished = cell.stale or cell.status in {"new", "interrupted"}
            if expected.refused:
                unaccounted -= defines
            elif unfinished:
                assert may_be_stale, told
                unaccounted -= defines
            elif cell.status == "cancelled":
                assert expected.below or may_be_stale, told
            elif expected.below and cell.status == "error" and ename == "NameError":
                unaccounted -= defines  # run by itself, while a cell above had not run
            elif expected.failed is not None:
                assert (cell.status, ename) == ("error", expected.failed), told
                unaccounted -= defines  # those before the error have values, in a fresh run as well
            else:
                assert cell.status == "ok", told
                assert {n: values[n] for n in defines if n in values} == expected.values, told
                assert self._lines(cell) == expected.lines, told
                unaccounted -= defines
        assert not unaccounted, (unaccounted, values, cells)

    def _lines(self, cell: Cell) -> tuple[str, ...]:
        """What a cell shows: to the agent, and the same to the person."""
        assert cell.notebook_cell_id is not None
        read = wire.decode_reply(self.lab.ask(wire.ReadCell(cell_id=cell.cell_id)), CellWithOutputs)
        to_agent, to_person = (
            lines_of(outputs) for outputs in (read.outputs, self.lab.outputs(cell.notebook_cell_id))
        )
        assert to_agent == to_person
        return to_agent


def lines_of(outputs: Iterable[Output]) -> tuple[str, ...]:
    log = OutputLog()
    for output in outputs:
        if wire.METADATA_KEY not in output.get("metadata", {}):  # a notice of the kernel's
            log.apply(output["output_type"], output)
    return tuple(line for line in shown_text(log.outputs()).splitlines() if line)


@contextmanager
def interrupted_in(cell: str | None) -> Iterator[None]:
    """Have the next run of a cell interrupt itself."""

    def tick(running: str) -> None:
        nonlocal cell
        if running == cell:
            cell = None
            signal.raise_signal(signal.SIGINT)

    with patch.object(builtins, "tick", tick, create=True):
        yield


@contextmanager
def new_notebook() -> Iterator[Notebook]:
    """A notebook on a kernel of its own: what goes wrong in one must not show in the next."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), interrupted_in(None):
        kernel = KernelInMemory(Path(folder))
        try:
            yield Notebook(kernel)
        finally:
            kernel.close()


def _leaves_stale(step: Operation) -> bool:
    match step:
        case Run(hold=hold):
            return hold is not None
        case RunAll(stop_on_error=stop_on_error, hold=hold):
            return stop_on_error or hold is not None
        case Edit(run=run):
            return not run
        case RunKnown():
            return False


@many
@given(notebooks, st.lists(operations, min_size=1, max_size=8))
def test_fresh_cells_show_what_a_fresh_run_shows(cells: list[Run], steps: list[Operation]) -> None:
    with new_notebook() as notebook:
        for step in [*cells, *steps]:
            notebook.apply(step)
        notebook.compare(may_be_stale=any(_leaves_stale(step) for step in [*cells, *steps]))
        notebook.apply(RunAll(stop_on_error=False))
        notebook.compare(may_be_stale=False)


@few
@given(notebooks)
def test_a_fresh_kernel_agrees_with_the_model(cells: list[Run]) -> None:
    with new_notebook() as notebook:
        for step in cells:
            assert step.code is not None
            notebook.show(step.cell, step.code)
        notebook.apply(RunAll(stop_on_error=False))
        notebook.compare(may_be_stale=False)
