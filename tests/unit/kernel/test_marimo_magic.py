"""`%marimo`, as a person uses it in a notebook and in a terminal."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def mode(front_end: FrontEnd) -> Any:
    return front_end.ask(wire.Describe())["result"]["mode"]


def codes(front_end: FrontEnd) -> Any:
    return [cell["code"] for cell in front_end.ask(wire.ListCells())["result"]]


@pytest.mark.parametrize("command", ["%marimo", "%marimo status", "marimo"])
def test_status_shows_the_cells_in_html_and_in_text(lab: FrontEnd, command: str) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = 1 / (a - 1)")
    assert lab.run("ask", command).ok
    (output,) = lab.outputs("ask")
    assert output["data"]["text/plain"] == (
        "marimo autorun: 2 cells, 1 with an error\n"
        "[1] a = 1            ok     a\n"
        "[2] b = 1 / (a - 1)  error  a → b"
    )
    assert output["data"]["text/html"].startswith("<p>marimo autorun: 2 cells, 1 with an error</p><table>")


def test_a_cell_that_is_not_python_counts_as_failed(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = (")
    lab.run("ask", "%marimo status")
    (output,) = lab.outputs("ask")
    assert output["data"]["text/plain"] == (
        "marimo autorun: 2 cells, 1 with an error\n[1] a = 1  ok       a\n[2] b = (  refused"
    )


def test_graph_shows_a_picture_and_a_tree(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a + 1")
    lab.run("three", "print('alone')")
    lab.run("ask", "%marimo graph")
    (output,) = lab.outputs("ask")
    assert output["data"]["text/plain"] == (
        "2 cells connected by names, 1 not\n[1] a = 1  → a\n└─ [2] b = a + 1  → b"
    )
    assert (
        len(list(ET.fromstring(output["data"]["image/svg+xml"]).iter("{http://www.w3.org/2000/svg}text")))
        == 4
    )


def test_an_empty_notebook_has_a_status_and_a_graph(lab: FrontEnd) -> None:
    assert lab.run("one", "%marimo").text == "marimo autorun: 0 cells"
    assert lab.run("two", "%marimo graph").text == "0 cells connected by names, 0 not"


def test_help_lists_every_command(lab: FrontEnd) -> None:
    lines = lab.run("one", "%marimo help").text.splitlines()
    known = [
        "status",
        "graph",
        "lazy",
        "autorun",
        "run stale",
        "strict",
        "relaxed",
        "forget CELL",
        "set NAME VALUE",
        "accept",
        "save [NAME]",
        "restore [NAME]",
        "checkpoints",
        "checkpoints verify",
        "checkpoints delete NAME",
        "open [--app]",
        "view NAME [--close]",
        "view --list",
        "agents",
        "pause",
        "resume",
        "reset",
        "help",
    ]
    assert [line.split("  ")[0] for line in lines] == [f"%marimo {name}" for name in known]


@pytest.mark.parametrize("command", ["statsu", "run", "run all", "forget", "lazy now"])
def test_an_unknown_command_is_an_error_that_lists_the_known_ones(lab: FrontEnd, command: str) -> None:
    reply = lab.run("one", f"%marimo {command}")
    assert not reply.ok
    assert f"%marimo knows no `{command}`. It knows: status, graph, lazy, autorun, run stale" in reply.text


def test_lazy_and_autorun_hold_from_the_end_of_their_cell(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('two', a)")
    lab.run("switch", "%marimo lazy")
    assert mode(lab) == "lazy"
    lab.run("one", "a = 2")
    assert lab.text("two").startswith("two 1")
    lab.run("switch", "%marimo autorun")
    assert mode(lab) == "autorun"
    assert lab.text("two") == "two 2"
    lab.run("one", "a = 3")
    assert lab.text("two") == "two 3"


def test_run_stale_runs_each_stale_cell_once_and_stays_lazy(lab: FrontEnd) -> None:
    lab.run("one", "a = 1; ran = []")
    lab.run("two", "b = a; ran.append('two')")
    lab.run("three", "print('three', b); ran.append('three')")
    lab.run("switch", "%marimo lazy")
    lab.run("one", "a = 2; ran = []")
    assert lab.run("go", "%marimo run stale").text == "runs 2 stale cells"
    assert lab.text("three") == "three 2"
    assert lab.run(None, "ran", store_history=False).text == "['two', 'three']"
    assert mode(lab) == "lazy"
    lab.run("one", "a = 3; ran = []")
    assert "three 2" in lab.text("three")


@pytest.mark.parametrize("name", ["2", "[2]", "two", "{kernel id}"])
def test_forget_takes_a_cell_and_its_names_out(lab: FrontEnd, name: str) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a")
    lab.run("three", "print('three', b)")
    if name == "{kernel id}":
        name = lab.ask(wire.ReadCell(cell_id="two"))["result"]["cell"]["cell_id"]
    assert lab.run("go", f"%marimo forget {name}").text == "forgets [2] b = a"
    assert codes(lab) == ["a = 1", "print('three', b)", f"%marimo forget {name}"]
    assert "NameError" in lab.text("three")
    assert lab.run("four", "b = 7").ok
    assert lab.text("three") == "three 7"
    assert lab.run("two", "c = a").ok


def test_forgetting_a_ghost_lets_another_cell_define_its_name(strict: FrontEnd) -> None:
    strict.run("one", "a = 1")
    assert strict.run("two", "a = 2").content["ename"] == "MultipleDefinitionError"
    strict.run("go", "%marimo forget one")
    assert strict.run("two", "a = 2").ok


def test_forgetting_an_unknown_cell_says_so(lab: FrontEnd) -> None:
    assert (
        "The kernel has no cell '99'. `%marimo status` lists them." in lab.run("go", "%marimo forget 99").text
    )


def test_reset_amid_a_run_all_keeps_the_cells_that_follow(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    pending = [
        lab.send(*cell) for cell in [("go", "%marimo reset"), ("one", "a = 2"), ("two", "print('two', a)")]
    ]
    for msg_id in pending:
        assert lab.finish(msg_id).ok
    assert lab.text("two") == "two 2"
    lab.run("one", "a = 3")
    assert lab.text("two") == "two 3"


def test_a_cell_with_the_magic_is_no_part_of_reactivity(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("ask", "print('a', a)\n%marimo status")
    before = lab.text("ask")
    lab.run("one", "a = 2")
    assert lab.text("ask") == before


def test_hidden_requests_may_ask_too(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('two', a)")
    assert lab.run(None, "%marimo status", store_history=False).text.startswith("marimo autorun: 2 cells")
    lab.run("switch", "%marimo lazy")
    lab.run("one", "a = 2")
    lab.run(None, "%marimo run stale", store_history=False)
    lab.wait_for("two", "two 2")


def test_a_terminal_gets_text_and_runs_what_is_stale_at_once(connect: Connect) -> None:
    terminal = connect("terminal")
    terminal.run(None, "%marimo lazy")
    terminal.run(None, "a = 1")
    terminal.run(None, "print('a is', a)")
    assert terminal.run(None, "a = 2").text == ""
    assert (
        terminal.run(None, "%marimo run stale").text
        == "runs 1 stale cell\n↻ cell [3] `print('a is', a)`\na is 2"
    )


def test_vscode_runs_what_is_stale_when_it_is_quiet(connect: Connect) -> None:
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "print('two', a)")
    code.run("switch", "%marimo lazy")
    code.run("one", "a = 2")
    code.wait_quiet()
    code.run("go", "%marimo run stale")
    code.wait_for("two", "two 2")
