"""Lazy mode: how a person sees what is stale, and what runs when a cell is run."""

from typing import Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

MARK = "stale: an input changed since this cell ran."


@pytest.fixture
def lazy(lab: FrontEnd) -> FrontEnd:
    lab.run("switch", "%marimo lazy")
    lab.run("one", "a = 1")
    lab.run("two", "b = a; print('two', b)")
    lab.run("three", "print('three', b)")
    return lab


def stale(front_end: FrontEnd) -> Any:
    cells = front_end.ask(wire.ListCells())["result"]
    return {cell["notebook_cell_id"] for cell in cells if cell["stale"]}


def test_dependents_become_stale_and_say_so_under_their_own_cells(lazy: FrontEnd) -> None:
    reply = lazy.run("one", "a = 2")
    assert stale(lazy) == {"two", "three"}
    assert lazy.text("two").startswith(f"two 1\n{MARK}")
    assert lazy.text("three").startswith(f"three 1\n{MARK}")
    sent = [m["msg_type"] for m in reply.messages if m["msg_type"] not in {"status", "execute_input"}]
    assert sent == ["display_data", "display_data"]


def test_a_mark_is_shown_once_and_gone_when_the_cell_is_run(lazy: FrontEnd) -> None:
    lazy.run("one", "a = 2")
    lazy.run("one", "a = 3")
    assert lazy.text("two").count("stale") == lazy.text("three").count("stale") == 2  # it names `run stale`
    lazy.run("two", "b = a; print('two', b)")
    assert lazy.text("two") == "two 3"
    assert MARK in lazy.text("three")
    lazy.run("three", "print('three', b)")
    assert lazy.text("three") == "three 3"
    assert stale(lazy) == set()


def test_a_cell_brings_its_stale_ancestors_up_to_date_and_their_marks_go(lazy: FrontEnd) -> None:
    lazy.run("one", "a = 2")
    lazy.run("three", "print('three', b)")
    assert (lazy.text("two"), lazy.text("three")) == ("two 2", "three 2")
    assert stale(lazy) == set()


def test_autorun_runs_what_is_stale_and_no_mark_stays(lazy: FrontEnd) -> None:
    lazy.run("one", "a = 2")
    lazy.run("switch", "%marimo autorun")
    assert (lazy.text("two"), lazy.text("three")) == ("two 2", "three 2")


def test_a_mark_goes_without_a_run_when_it_is_no_longer_true(lazy: FrontEnd) -> None:
    lazy.run("one", "a = 2")
    lazy.run("switch", "%marimo forget three")  # no longer stale, as nobody knows it
    lazy.run("two", "c = 1")
    lazy.run("one", "a = 3")
    assert MARK not in lazy.text("two")


def test_the_marks_are_no_outputs_for_agents(lazy: FrontEnd) -> None:
    lazy.run("one", "a = 2")
    read = lazy.ask(wire.ReadCell(cell_id="two"))["result"]
    assert (read["cell"]["stale"], [output["text"] for output in read["outputs"]]) == (True, ["two 1\n"])


def test_run_all_leaves_nothing_stale_and_no_mark(lazy: FrontEnd) -> None:
    cells = {"one": "a = 5", "two": "b = a; print('two', b)", "three": "print('three', b)"}
    for _ in range(2):
        pending = [lazy.send(cell, code) for cell, code in cells.items()]
        start = len(lazy.seen)
        for msg_id in pending:
            assert lazy.finish(msg_id).ok
        assert (lazy.text("two"), lazy.text("three"), stale(lazy)) == ("two 5", "three 5", set())
        assert [m for m in lazy.seen[start:] if m["msg_type"] == "display_data"] == []


def test_an_agents_change_marks_the_persons_cells(lazy: FrontEnd, connect: Connect) -> None:
    agent = connect("agent")
    read = agent.ask(wire.ReadCell(cell_id="one"))["result"]["cell"]
    change = ChangeCell(cell_id="one", version=read["version"], code="a = 9")
    report = agent.ask(wire.EditCells(changes=[change]), "shell")["result"]
    assert report["run"]["finished"]
    assert len(report["run"]["still_stale"]) == 2
    lazy.wait_for("three", MARK)


def test_a_state_setter_marks_the_readers(lazy: FrontEnd) -> None:
    lazy.run("mo", "import marimo as mo")
    lazy.run("state", "get, set_ = mo.state(0)")
    lazy.run("reader", "print('state', get())")
    lazy.run("setter", "set_(3)")
    assert lazy.text("reader").startswith(f"state 0\n{MARK}")
    lazy.run("reader", "print('state', get())")
    assert lazy.text("reader") == "state 3"


def test_after_a_reload_the_cell_that_was_run_tells_what_is_stale(lazy: FrontEnd, connect: Connect) -> None:
    reloaded = connect("lab")
    assert reloaded.run("one", "a = 2").text == (
        "now stale: cell [3] `b = a; print('two', b)`, cell [4] `print('three', b)`. Run them, or `%marimo run stale`."
    )
    reloaded.run("two", "b = a; print('two', b)")
    assert (
        reloaded.run("one", "a = 3").text == ""
    )  # this page shows the second cell now, and knows of the third
    assert MARK in reloaded.text("two")


def test_vscode_shows_marks_when_it_is_quiet(connect: Connect) -> None:
    code = connect("vscode")
    code.run("switch", "%marimo lazy")
    code.run("one", "a = 1")
    code.run("two", "print('two', a)")
    code.run("one", "a = 2")
    assert code.text("two") == "two 1"
    code.wait_for("two", MARK)
    code.run("two", "print('two', a)")
    code.wait_quiet()
    assert code.text("two") == "two 2"


@pytest.mark.parametrize("dialect", ["terminal", "batch"])
def test_terminals_and_batch_clients_get_no_marks(connect: Connect, dialect: str) -> None:
    client = connect(dialect)
    client.run(None, "%marimo lazy")
    client.run(None, "a = 1")
    client.run(None, "print(a)")
    assert client.run(None, "a = 2").text == ""
    assert "stale" not in client.run(None, "b = 1").text


# -- from where the mode comes ----------------------------------------------------------------------------------------
