"""How much work a request makes does not depend on how many cells the notebook has: counted, not timed.

The session and the graph without a kernel around them. The work is the number of lines of Python that run.
"""

# ruff: noqa: TID251  # how often marimo compiles is counted

import ast
import asyncio
import gc
import sys
import types
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from marimo._ast.compiler import compile_cell
from marimo._runtime import runtime as marimos_kernel
from marimo._runtime.context.types import teardown_context

from marimo_kernel_bridge.analysis import components as groups
from marimo_kernel_bridge.analysis import value_flows as flows
from marimo_kernel_bridge.kernel.cells import Address, Body, Entry
from marimo_kernel_bridge.kernel.messaging.requests import CellRequest, LabRequest
from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
from marimo_kernel_bridge.kernel.notebook import anonymous_cells
from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
from marimo_kernel_bridge.kernel.outputs import vscode_queue
from marimo_kernel_bridge.protocol.changes import AddCell
from marimo_kernel_bridge.protocol.names import Dialect
from marimo_kernel_bridge.protocol.notebook import Outline
from marimo_kernel_bridge.runtime.engine import Engine
from marimo_kernel_bridge.runtime.graph import compiled_cells as compiling
from marimo_kernel_bridge.runtime.interface import CellHost, Outcome

Mode = Literal["autorun", "lazy"]
Lines = Counter[tuple[str, str]]


@pytest.fixture(autouse=True)
def _any_pause_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine some pauses between requests are longer than those of VS Code, and others are not."""
    monkeypatch.setattr(vscode_queue, "_LONGEST_ROUND_TRIP", float("inf"))


KNOWN = {
    ("cell_runner.py", "<genexpr>"),  # marimo asks each cell for its `_private` names, once in each run
    ("cells.py", "<listcomp>"),  # a cell that takes a name over is put behind the one that had it
    ("cells.py", "<dictcomp>"),
}


class Queue:
    """The requests of a Run All: few wait when the first one's turn comes, the others come a little later."""

    def __init__(self) -> None:
        self.here: list[LabRequest] = []
        self.coming: list[LabRequest] = []

    def any_wait(self, *, but_values: bool = False) -> bool:  # noqa: ARG002  # a value is no LabRequest
        return bool(self.here)

    def now(self) -> list[LabRequest]:
        return list(self.here)

    async def soon(self) -> list[LabRequest]:
        self.here, self.coming = self.here + self.coming, []
        return self.now()

    def cancel(self, request_id: str) -> None:
        pass

    def sent_apart(self, seconds: float) -> None:
        pass


class Notebook:
    """Runs requests as the kernel does, and counts what each costs."""

    def __init__(self, dialect: Dialect = "lab", *, strict: bool = False) -> None:
        self.dialect, self.requests = dialect, 0
        self.sent: list[object] = []
        self.interrupts = Interrupts()
        self.module = types.ModuleType("__main__")
        self.queue = Queue()
        self.session = NotebookSession(self.sent.append, lambda: None, self.queue)
        self.session.load(self._make_engine, self, lambda _: None)
        self.graph = self.session._parts.execution.graph
        self.graph.redefinitions.strict = strict
        self.loop = asyncio.new_event_loop()
        self.ran: Counter[str | None] = Counter()

    def _make_engine(self, host: CellHost) -> Engine:
        self.engine = Engine(self.module, host)
        return self.engine

    def close(self) -> None:
        teardown_context()
        self.loop.close()

    def prepare(self, entry: Entry, code: str, **_options: object) -> Body:  # noqa: ARG002  # as the shell
        return Body(code, tuple(ast.parse(code).body), "cell", "last_expr", code)

    async def run_body(self, entry: Entry, _parent: object, _recalled: object) -> Outcome:
        self.ran[entry.cell.notebook_cell_id] += 1
        assert entry.body is not None
        try:
            exec(entry.body.code, self.module.__dict__)
        except Exception as error:
            return Outcome(error)
        return Outcome()

    def take_count(self, _code: str) -> int:
        return 1

    async def _request(self, cell: str | None, code: str) -> None:
        self.requests += 1
        header = {"msg_id": f"m{self.requests}"}
        address = Address(self.dialect, header, "page")
        request = CellRequest(header=header, code=code, notebook_cell_id=cell, address=address)
        entry = self.session.begin(request)
        await self.session.run_requested(entry, self.prepare(entry, code))
        self.session.end(entry, self.requests)
        await self.session.run_stale_cells()
        self.session.close_request()

    def run(self, cell: str | None, code: str) -> None:
        self.loop.run_until_complete(self._request(cell, code))

    def work(self, cell: str | None, code: str) -> Lines:
        """Run a cell; return how many lines of each function ran."""
        lines: Lines = Counter()

        def count(frame: types.FrameType, event: str, _argument: object) -> Any:
            if event == "line":
                where = frame.f_code.co_filename.rpartition("/")[2], frame.f_code.co_name
                lines[where] += where not in KNOWN
            return count

        gc.disable()
        outer = sys.gettrace()  # coverage measures by the same means
        sys.settrace(count)
        try:
            self.run(cell, code)
        finally:
            sys.settrace(outer)
            gc.enable()
        return lines


TAKING_OVER = "nobody's cell that takes a name over"
REQUESTS = {
    "the same code again": ("c4", "v4 = 5"),
    "other code": ("c4", "v4 = 6"),
    "with ten dependents": ("c3", "v3 = 5"),
    "a new cell": ("other", "name = v1 + v2"),
    "nobody's cell": (None, "print()"),
    TAKING_OVER: (None, "v7 = 1"),
    "a name that is taken": ("other", "v1 = 1"),
    "a failure": ("c4", "v4 = 1 / 0"),
    "at the end of a chain": ("d9", "w9 = w4 + os.getpid()"),
}


def work_of_each(size: int, dialect: Dialect, mode: Mode, strict: bool) -> dict[str, Lines]:
    """Make a notebook; return what lines each request runs, and how often."""
    for cached in (flows.flows_of_small, flows._read, flows._frames, groups.words):
        cached.cache_clear()  # nothing is known from another notebook
    notebook = Notebook(dialect, strict=strict)
    notebook.session.commands.switch_mode(mode)
    try:
        notebook.run("import", "import os, sys, json")
        for number in range(size):
            notebook.run(f"c{number}", f"v{number} = {number}")
        for number in range(10):
            notebook.run(f"d{number}", f"w{number} = v3 + 1" if number < 5 else f"w{number} = w{number - 5}")
        for request in REQUESTS.values():  # all that is done for the first time only
            notebook.run(*request)
        for number in range(10):
            notebook.run(f"c{number}", f"v{number} = {number}")
        notebook.run("other", "print()")
        return {what: notebook.work(*request) for what, request in REQUESTS.items()}
    finally:
        notebook.close()


@pytest.mark.parametrize("mode", ["autorun", "lazy"])
@pytest.mark.parametrize("dialect", ["lab", "vscode", "batch", "terminal", "agent"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_request_makes_as_much_work_in_a_large_notebook_as_in_a_small_one(
    dialect: Dialect, mode: Mode, strict: bool
) -> None:
    small, large = (work_of_each(size, dialect, mode, strict) for size in (15, 45))
    for work in (small, large):  # the places of all cells below are others, and nothing else is
        for where in [where for where in work[TAKING_OVER] if where[0] == "value_flow.py"]:
            del work[TAKING_OVER][where]
    more = {what: (large[what] - small[what], small[what] - large[what]) for what in REQUESTS}
    assert more == dict.fromkeys(REQUESTS, (Counter(), Counter()))


@pytest.mark.parametrize("mode", ["autorun", "lazy"])
def test_each_cell_of_a_chain_makes_as_much_work_in_a_long_one_as_in_a_short_one(mode: Mode) -> None:
    work = {}
    for length in (20, 60):
        notebook = Notebook()
        notebook.session.commands.switch_mode(mode)
        notebook.run("c0", "v0 = 1")
        for number in range(1, length):
            notebook.run(f"c{number}", f"v{number} = v{number - 1} + 1")
        notebook.run("c0", "v0 = 2")
        notebook.ran.clear()
        work[length] = notebook.work("c0", "v0 = 3").total()
        assert notebook.ran.total() == (length if mode == "autorun" else 1)
        notebook.close()
    assert work[60] / 60 <= work[20] / 20


def test_a_cell_of_a_stale_chain_makes_as_much_work_in_a_long_one_as_in_a_short_one() -> None:
    """As in a Run All: those above it have just run, and all below it wait."""
    work = {}
    for length in (20, 60):
        notebook = Notebook()
        notebook.session.commands.switch_mode("lazy")
        codes = ["v0 = 1", *(f"v{number} = v{number - 1} + 1" for number in range(1, length))]
        for number, code in enumerate(codes):
            notebook.run(f"c{number}", code)
        for number, code in enumerate(codes[: length // 2]):
            notebook.run(f"c{number}", code)
        cell = length // 2
        assert len(notebook.session.view.stale) == length - cell
        work[length] = notebook.work(f"c{cell}", codes[cell])
        assert len(notebook.session.view.stale) == length - cell - 1
        notebook.close()
    assert work[60] - work[20] == Counter()


def test_a_request_makes_as_much_work_beside_many_cells_that_wait_as_beside_few() -> None:
    """As those do that an agent adds without running them."""
    work = {}
    for count in (20, 80):
        notebook = Notebook()
        notebook.run("c0", "v0 = 1")
        notebook.run("c1", "v1 = 1")  # a notebook of one cell would be a Run All each time
        changes = [AddCell(code=f"w{number} = 1") for number in range(count)]
        address = Address("agent", {"msg_id": "batch"}, "agent")
        batch = notebook.session.edits.plan(changes, address, to_apply=True)
        edit = notebook.session.edits.apply(batch, "agent", address, run=False)
        notebook.loop.run_until_complete(edit)
        notebook.run("c0", "v0 = 2")
        work[count] = notebook.work("c0", "v0 = 3")
        assert len(notebook.session.view.stale) == count
        notebook.close()
    assert work[80] - work[20] == Counter()


def test_no_cell_is_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def compile_noted(code: str, **options: Any) -> Any:
        compiled.append(code)
        return compile_cell(code, **options)

    for module in (compiling, marimos_kernel):
        monkeypatch.setattr(module, "compile_cell", compile_noted)
    notebook = Notebook()
    notebook.run("c0", "v0 = 1")
    notebook.run("c1", "v1 = v0 = 2")
    notebook.run("c0", "v0 = 3")
    notebook.run("c0", "v0 = 3")
    changes = [AddCell(code="w0 = v0"), AddCell(code="w1 = w0")]
    address = Address("agent", {"msg_id": "batch"}, "agent")
    batch = notebook.session.edits.plan(changes, address, to_apply=True)
    ids = notebook.session.cells.new_ids.coming(2)
    assert batch.prepared.keys() == {(ids[0], "w0 = v0"), (ids[1], "w1 = w0")}
    edit = notebook.session.edits.apply(batch, "agent", address, run=True)
    assert notebook.loop.run_until_complete(edit) == tuple(ids)
    notebook.engine.register_stale([("ahead", "z = 1")])
    names = notebook.engine.parse("ahead", "z = 1")
    assert names is not None
    assert names.defines == {"z"}
    assert compiled == ["v0 = 1", "v1 = v0 = 2", "v0 = 3", "w0 = v0", "w1 = w0", "z = 1"]
    notebook.close()


def test_a_terminal_that_runs_for_long_keeps_the_newest_cells_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymous_cells, "KEPT", 20)
    notebook = Notebook("terminal")
    notebook.run(None, "x = 1")
    for number in range(60):
        notebook.run(None, f"print(x, {number})")
        notebook.run(None, f"counter = {number}")
    cells, graph = notebook.session.cells, notebook.engine.nodes()
    assert len(cells) == 22
    assert {entry.cell.code for entry in cells} >= {"x = 1", "counter = 59", "print(x, 59)"}
    assert "print(x, 30)" not in {entry.cell.code for entry in cells}
    assert len(graph) == len([entry for entry in cells if entry.cell.status == "ok"])
    shown = [entry.cell.cell_id for entry in cells if "print" in entry.cell.code]
    notebook.ran.clear()
    notebook.run(None, "x = 2")
    assert (notebook.ran[None], len(shown)) == (11, 10)
    notebook.close()


def test_cells_that_a_notebook_shows_are_never_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymous_cells, "KEPT", 3)
    notebook = Notebook()
    for number in range(10):
        notebook.run(f"c{number}", "print()")
    assert len(notebook.session.cells) == 10
    notebook.close()


async def run_all(
    notebook: Notebook, cells: list[tuple[str, str]], start: datetime, *, few: int, page: str = "page"
) -> None:
    session = notebook.session
    headers = [
        {"msg_id": f"{start} {n}", "date": start + timedelta(milliseconds=n)} for n in range(len(cells))
    ]
    queue = notebook.queue
    requests = [
        LabRequest(header=header, code=code, notebook_cell_id=cell, address=Address("lab", header, page))
        for (cell, code), header in zip(cells, headers, strict=True)
    ]
    queue.here, queue.coming = requests[:few], requests[few:]
    while queue.here:
        request = queue.here.pop(0)
        answer = await session.answer_early(request)
        if answer is not None:
            session.answered(answer, request)
        else:
            entry = session.begin(request)
            await session.run_requested(entry, notebook.prepare(entry, request.code))
            session.end(entry, 1)
        if not queue.here:  # as between two that are sent
            queue.here, queue.coming = queue.coming, []
        await session.run_stale_cells()
        session.close_request()


def test_a_run_all_from_below_of_which_not_all_has_come_runs_each_cell_once() -> None:
    notebook, start = Notebook(), datetime(2026, 1, 1, tzinfo=UTC)
    for turn, order in enumerate((1, 1, -1, -1, 1)):
        cells = [("c0", f"v0 = {turn}")] + [(f"c{n}", f"v{n} = v{n - 1}") for n in range(1, 10)]
        notebook.ran.clear()
        notebook.loop.run_until_complete(
            run_all(notebook, cells[::order], start + timedelta(seconds=10 * turn), few=2)
        )
        assert notebook.ran == Counter({cell: 1 for cell, _ in cells})
    notebook.close()


def test_a_run_all_after_a_reload_of_which_only_the_first_has_come_runs_nothing_that_is_fresh() -> None:
    notebook, start = Notebook(), datetime(2026, 1, 1, tzinfo=UTC)
    cells = [("c0", "v0 = 1")] + [(f"c{n}", f"v{n} = v{n - 1}") for n in range(1, 10)]
    notebook.loop.run_until_complete(run_all(notebook, cells, start, few=1))
    notebook.ran.clear()
    later = start + timedelta(minutes=1)
    notebook.loop.run_until_complete(run_all(notebook, cells, later, few=1, page="reloaded"))
    assert notebook.ran == Counter()
    notebook.loop.run_until_complete(run_all(notebook, cells[:1], later, few=1, page="another"))
    assert notebook.ran == Counter(c for c, _ in cells)  # one that a person runs by itself runs
    notebook.close()


def test_an_outline_looks_only_at_the_cells_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    try:
        for number in range(40):
            notebook.run(f"c{number}", f"v{number} = {number}")
        view = notebook.session.view
        every = tuple(view.snapshot())
        looked = []
        placed = view._placed
        monkeypatch.setattr(view, "_placed", lambda cell: looked.append(cell) or placed(cell))
        assert view.outline(5, 10) == Outline(every[5:15], 40)
        assert len(looked) == 10
        assert view.outline(35, 10) == Outline(every[35:], 40)
        assert view.outline(40, 10) == Outline((), 40)
    finally:
        notebook.close()
