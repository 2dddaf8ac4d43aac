"""A cell runs, and every cell that depends on it runs too: message by message, as JupyterLab sees it."""

from typing import Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def test_a_dependents_result_keeps_its_own_execution_count(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "a + 1")
    lab.run("one", "a = 5")
    (result,) = lab.outputs("two")
    assert (result["data"]["text/plain"], result["execution_count"]) == ("6", lab.counts["two"])
    assert lab.run(None, "Out[2], In[3]").text == "(6, 'a = 5')"


def test_a_dependent_that_falls_silent_is_cleared(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "if a == 1: print('one')")
    lab.run("one", "a = 2")
    assert lab.outputs("two") == ()


def test_a_dependents_error_replaces_its_output_and_goes_when_mended(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = 1 / a\nb")
    lab.run("three", "b + 1")
    assert lab.run("one", "a = 0").ok
    assert lab.text("two") == "ZeroDivisionError: division by zero"
    assert lab.text("three").startswith(
        "UpstreamError: not run: cell [2] `b = 1 / a…` failed with ZeroDivisionError"
    )
    lab.run("one", "a = 2")
    assert (lab.text("two"), lab.text("three")) == ("0.5", "1.5")


def test_run_all_runs_each_cell_once_also_when_repeated(lab: FrontEnd) -> None:
    cells = {"c0": "v0 = 1; log = []"} | {
        f"c{i}": f"v{i} = v{i - 1} + 1; log.append({i})" for i in range(1, 8)
    }
    for _ in range(2):
        pending = [lab.send(cell, code) for cell, code in cells.items()]
        for msg_id in pending:
            assert lab.finish(msg_id).ok
        assert lab.run(None, "log", store_history=False).text == "[1, 2, 3, 4, 5, 6, 7]"


def test_a_stale_ancestor_runs_before_the_cell_that_was_asked_for(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a + 1")
    pending = [lab.send("one", "a = 10"), lab.send("three", "print(b)")]
    for msg_id in pending:
        lab.finish(msg_id)
    assert lab.text("three") == "11"


def test_values_of_a_changed_cell_are_gone(lab: FrontEnd) -> None:
    lab.run("one", "a = 1; left_over = 2")
    lab.run("one", "a = 1")
    assert lab.run("two", "left_over").content["ename"] == "NameError"


def test_a_deleted_cell_takes_its_names_along(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    lab.run("three", "3", metadata={"deletedCells": ["one"]})
    assert "NameError" in lab.text("two")
    lab.run("one", "a = 4")  # undone
    assert lab.text("two") == "4"


def test_state_setters_run_the_readers(lab: FrontEnd) -> None:
    lab.run("mo", "import marimo as mo")
    lab.run("state", "get, set_ = mo.state(0)")
    lab.run("reader", "print('state', get())")
    lab.run("setter", "set_(3)")
    assert lab.text("reader") == "state 3"


def test_a_state_setter_in_a_thread_runs_the_readers(lab: FrontEnd) -> None:
    lab.run("mo", "import marimo as mo, threading, time")
    lab.run("state", "get, set_ = mo.state(0)")
    lab.run("reader", "print('state', get())")
    lab.run("setter", "mo.Thread(target=lambda: (time.sleep(0.2), set_(7))).start()")
    lab.wait_for("reader", "state 7")


def test_mo_stop_ends_a_cell_and_those_below_without_an_error(lab: FrontEnd) -> None:
    lab.run("mo", "import marimo as mo")
    lab.run("one", "a = 1")
    lab.run("two", "mo.stop(a > 1, 'enough')\nb = a\nb")
    lab.run("three", "b")
    assert lab.run("one", "a = 2").ok
    assert lab.text("two") == "'enough'"
    assert lab.text("three").startswith("not run: cell [3]")
    assert lab.run("three", "b").ok


def test_top_level_await_runs_reactively(lab: FrontEnd) -> None:
    lab.run("one", "a = 1\nimport asyncio")
    lab.run("two", "await asyncio.sleep(0)\nb = a + 1\nb")
    lab.run("one", "a = 2\nimport asyncio")
    assert lab.text("two") == "3"


def test_private_names_are_local_and_history_is_not(strict: FrontEnd) -> None:
    assert strict.run("one", "_x = 1; 41 + _x").text == "42"
    assert strict.run("two", "_").text == "42"
    assert strict.run("three", "_x").content["ename"] == "NameError"
    assert strict.run("four", "_2 + 1").text == "43"


def test_a_semicolon_hides_only_its_own_cells_value(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "a + 1")
    lab.run("one", "a = 2;")
    assert lab.text("two") == "3"


@pytest.mark.parametrize("code", ["a = 1 +", "for", "def f(:"])
def test_code_that_is_not_python_is_an_error_and_its_old_names_are_gone(lab: FrontEnd, code: str) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    reply = lab.run("one", code)
    assert reply.content["ename"] == "SyntaxError"
    assert lab.text("two") == "NameError: name 'a' is not defined"
    lab.run("one", "a = 2")
    assert lab.text("two") == "2"


AS_AGENT = {wire.METADATA_KEY: {"client": "claude"}}


@pytest.mark.parametrize("code", ["x = 1 / 0", "x = x + 1 / 0", "x = 50; 1 / 0"])
@pytest.mark.parametrize("again", ["x = x + 1", "z = x"], ids=["several definitions", "one definition"])
def test_an_agents_code_that_fails_takes_no_name_from_the_notebook(
    lab: FrontEnd, connect: Connect, code: str, again: str
) -> None:
    agent = connect("lab")
    for cell, source in {"one": "x = 1", "again": again, "read": "print('x is', x)"}.items():
        lab.run(cell, source)
    shown = lab.text("read")
    before = {one["cell_id"]: one for one in _cells(agent)}
    failed = agent.run(None, code, metadata=AS_AGENT)
    assert failed.content["ename"] == "ZeroDivisionError"
    lab.sync()
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=failed.msg_id)), RunReport)
    assert (report.superseded, report.not_taken) == ((), ("x",))
    assert [run.status for run in report.cells] == ["error"]
    assert {one["cell_id"]: one for one in _cells(agent) if one["cell_id"] in before} == before
    assert lab.text("read") == shown
    lab.run("one", "x = 10")
    assert lab.text("read") == f"x is {10 + ('+' in again)}"


def test_an_agents_code_that_succeeds_takes_a_name_from_all_that_define_it(
    lab: FrontEnd, connect: Connect
) -> None:
    agent = connect("lab")
    for cell, source in {"one": "x = 1", "again": "x = x + 1", "read": "print('x is', x)"}.items():
        lab.run(cell, source)
    assert agent.run(None, "x = x + 50", metadata=AS_AGENT).ok
    lab.wait_for("read", "x is 52")
    by_id = {one["notebook_cell_id"]: one["status"] for one in _cells(agent)}
    assert [by_id[cell] for cell in ("one", "again", "read")] == ["superseded", "superseded", "ok"]
    lab.run("one", "x = 1")
    lab.wait_for("read", "x is 1")


@pytest.mark.parametrize(
    ("first", "then"),
    [("zero = 0", "zero = 1"), ("import marimo as mo; zero = 0", "import marimo as mo; zero = 2")],
)
def test_code_that_failed_takes_no_name_either_when_it_is_run_again(
    lab: FrontEnd, connect: Connect, first: str, then: str
) -> None:
    agent = connect("lab")
    code = "x = 1 / zero" if "mo" not in first else "mo.stop(zero < 2)\nx = zero / 2"
    for cell, source in {"zero": first, "one": "x = 5", "read": "print('x is', x)"}.items():
        lab.run(cell, source)
    agent.run(None, code, metadata=AS_AGENT)
    (again,) = (one["cell_id"] for one in _cells(agent) if one["notebook_cell_id"] is None)
    for _ in range(2):
        reply = agent.ask(wire.RunCells(cell_ids=[again], client="claude"), "shell")
        report = wire.decode_reply(reply, RunReport)
        assert (report.superseded, report.not_taken) == ((), ("x",))
        lab.sync()
        assert {one["status"] for one in _cells(agent) if one["notebook_cell_id"]} == {"ok"}
        assert lab.text("read") == "x is 5"
    lab.run("zero", then)
    assert lab.text("read") == "x is 5", "a cell that left the graph runs for nobody"
    report = wire.decode_reply(
        agent.ask(wire.RunCells(cell_ids=[again], client="claude"), "shell"), RunReport
    )
    assert (len(report.superseded), report.not_taken) == (1, ())
    lab.wait_for("read", "x is 1.0")


def test_code_that_builds_on_what_is_made_from_a_name_takes_it_from_nobody(
    lab: FrontEnd, connect: Connect
) -> None:
    agent = connect("lab")
    for cell, source in {"one": "x = 1", "two": "y = x + 1", "read": "print(x, y)"}.items():
        lab.run(cell, source)
    ran = agent.run(None, "x = y", metadata=AS_AGENT)
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=ran.msg_id)), RunReport)
    assert (report.superseded, report.not_taken, report.still_stale) == ((), ("x",), ())
    assert agent.run(None, "x", metadata=AS_AGENT).text == "2"
    lab.run("one", "x = 10")
    assert lab.text("read") == "10 11"
    assert agent.run(None, "x", metadata=AS_AGENT).text == "10", (
        "who runs a cell of the notebook has its names back"
    )
    assert {one["status"] for one in _cells(agent) if one["notebook_cell_id"]} == {"ok"}
    assert not any(one["stale"] for one in _cells(agent))


def _cells(agent: FrontEnd) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = agent.ask(wire.ListCells())["result"]
    return cells
