"""What the graph takes, whom a cell supersedes, and what readers see of it: marimo's graph, and no kernel around it."""

import types
from contextlib import nullcontext

import pytest

from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable, Entry
from marimo_kernel_bridge.kernel.notebook.graph import Admission, NotebookGraph, Superseded
from marimo_kernel_bridge.kernel.notebook.view import NotebookView, PublishedGraph
from marimo_kernel_bridge.protocol.names import Dialect
from marimo_kernel_bridge.runtime.engine import Engine
from marimo_kernel_bridge.runtime.interface import GraphError, Outcome


class Host:
    """What the runtime reports to. Runs nothing."""

    def __init__(self) -> None:
        self.errors: dict[str, tuple[GraphError, ...]] = {}

    async def execute(self, cell_id: str) -> Outcome:
        raise AssertionError(cell_id)

    def cancelled(self, cell_id: str, because: str) -> None: ...

    def interrupted(self, cell_id: str) -> None: ...

    def should_pause(self) -> bool:
        return False

    def graph_errors_changed(self, errors: dict[str, tuple[GraphError, ...]]) -> None:
        self.errors = errors

    def wake(self) -> None: ...


class Notebook:
    """Cells and their graph."""

    def __init__(self) -> None:
        self.cells, self.published, self.host = CellTable(), PublishedGraph(), Host()
        engine = Engine(types.ModuleType("__main__"), self.host)
        self.graph = NotebookGraph(self.cells, engine, self.published, nullcontext)
        self.view = NotebookView(self.cells, self.published)
        self._requests = 0

    def cell(self, name: str | None, code: str, dialect: Dialect = "lab") -> tuple[Entry, Admission]:
        """Admit a new cell, or one that has new code."""
        self._requests += 1
        address = Address(dialect, {"msg_id": f"m{self._requests}"}, "page")
        entry = None if name is None else self.cells.by_front_end(name, address)
        if entry is None:
            entry = self.cells.add(name, code, "notebook", address)
        self.cells.set_code(entry.cell.cell_id, code, "notebook")
        admission = self.graph.admit(entry, Body(code, (), "cell", "last_expr", code))
        self.graph.publish()
        return entry, admission


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


def test_readers_see_names_and_neighbors_once_they_are_published(notebook: Notebook) -> None:
    one, admission = notebook.cell("one", "a = 1")
    two, _ = notebook.cell("two", "b = a + unknown")
    assert admission == Admission()
    seen = notebook.view.read(two.cell.cell_id).cell
    assert (seen.defines, seen.uses, seen.upstream) == (("b",), ("a",), (one.cell.cell_id,))
    assert notebook.view.outline(0, 1).cells[0].downstream == (two.cell.cell_id,)
    notebook.graph.remove([one.cell.cell_id])
    assert notebook.view.read(two.cell.cell_id).cell.uses == ("a",), "not published yet"
    notebook.graph.publish()
    assert notebook.view.read(two.cell.cell_id).cell.uses == ()


def test_a_cycle_is_refused_as_a_value_and_shown_by_nobody(notebook: Notebook) -> None:
    one, _ = notebook.cell("one", "a = b")
    two, admission = notebook.cell("two", "b = a")
    assert admission.refused is not None
    assert admission.refused.ename == "CycleError"
    assert two.cell.status == "refused"
    assert two.log.outputs() == one.log.outputs() == ()
    others = dict(notebook.graph.note_errors(notebook.host.errors))
    assert list(others) == [one.cell.cell_id]
    _, admission = notebook.cell("two", "b = 1")
    assert (admission.refused, two.cell.status) == (None, "new")


def test_code_that_is_no_python_is_refused(notebook: Notebook) -> None:
    entry, admission = notebook.cell("one", "a = ")
    assert admission.refused is not None
    assert admission.refused.ename == "SyntaxError"
    assert entry.cell.status == "refused"


def test_a_terminals_newest_definition_supersedes_the_older_one(notebook: Notebook) -> None:
    older, _ = notebook.cell(None, "a = 1", "terminal")
    newer, admission = notebook.cell(None, "a = 2", "terminal")
    assert admission.superseded == (Superseded(older.cell.cell_id, "a", was_accepted=True),)
    assert (older.cell.status, newer.cell.status) == ("superseded", "new")


def test_two_cells_that_a_notebook_shows_both_keep_the_name(notebook: Notebook) -> None:
    one, _ = notebook.cell("one", "a = 1")
    _, admission = notebook.cell("two", "a = 2")
    assert admission == Admission()
    assert one.cell.status == "new"


def test_an_agents_cell_wants_a_name_and_gets_it_only_if_it_succeeds(notebook: Notebook) -> None:
    shown, _ = notebook.cell("one", "a = 1")
    for status in ("error", "ok"):
        address = Address("agent", {"msg_id": f"agent {status}"}, "agent")
        entry = notebook.cells.add(None, "a = 2", "agent", address)
        body = Body("a = 2", (), "cell", "last_expr", "a = 2")
        assert notebook.graph.names_to_take(entry, body) == ("a",)
        assert notebook.graph.admit(entry, body, supersede=False) == Admission()
        notebook.cells.change(entry.cell.cell_id, status=status)
        taken = notebook.graph.take_names(entry, ["a"])
        if status == "error":
            assert (taken, entry.cell.status, shown.cell.status) == (None, "superseded", "new")
        else:
            assert taken == (Superseded(shown.cell.cell_id, "a", was_accepted=True),)
            assert shown.cell.status == "superseded"
