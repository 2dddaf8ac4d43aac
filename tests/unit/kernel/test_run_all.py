"""Run All runs every cell exactly once, whatever the order of the cells, also when repeated and after a reload."""

import builtins
from typing import Any

import pytest

from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def counted(name: str, code: str) -> str:
    """Code of a cell that notes each of its runs outside of the graph."""
    return f"__import__('builtins').__dict__.setdefault('ran', []).append({name!r}); {code}"


@pytest.fixture(autouse=True)
def _nothing_has_run_yet() -> None:
    """Forget the runs that other tests have noted and not looked at."""
    vars(builtins).pop("ran", None)


def run_all(front_end: FrontEnd, cells: dict[str, str]) -> Any:
    return [
        front_end.finish(msg_id) for msg_id in [front_end.send(cell, code) for cell, code in cells.items()]
    ]


def ran(front_end: FrontEnd) -> list[str]:
    """The cells that ran since the last call, in order."""
    code = "import builtins; print(','.join(builtins.__dict__.pop('ran', [])))"
    text = front_end.run(None, code, store_history=False).text
    return text.split(",") if text else []


BACKWARDS = {
    "c": counted("c", "print('c', b)"),
    "b": counted("b", "b = a + 1"),
    "a": counted("a", "a = 1"),
}
DIAMOND = {
    "end": counted("end", "print(left + right)"),
    "left": counted("left", "left = top * 2"),
    "top": counted("top", "top = 5"),
    "right": counted("right", "right = top * 3"),
}
CHAIN = {f"n{i}": counted(f"n{i}", f"n{i} = n{i - 1} + 1" if i else "n0 = 0") for i in range(12)}


@pytest.mark.parametrize("cells", [BACKWARDS, DIAMOND, CHAIN], ids=["backwards", "diamond", "chain"])
def test_each_cell_runs_once_in_any_order_and_again_once_when_repeated(
    lab: FrontEnd, cells: dict[str, str]
) -> None:
    for _ in range(3):
        replies = run_all(lab, cells)
        assert [reply.content["status"] for reply in replies] == ["ok"] * len(cells)
        assert sorted(ran(lab)) == sorted(cells)


def test_cells_that_ran_before_their_turn_show_their_outputs_under_their_own_requests(lab: FrontEnd) -> None:
    cells = {"end": "mid * 2", "mid": "mid = top + 1\nmid", "top": "top = 20\nprint('top')"}
    replies = run_all(lab, cells)
    assert [lab.text(cell) for cell in cells] == ["42", "21", "top"]
    counts = [reply.content["execution_count"] for reply in replies]
    assert len(set(counts)) == 3
    inputs = {
        m["parent_header"]["msg_id"]: m["content"]
        for r in replies
        for m in r.messages
        if m["msg_type"] == "execute_input"
    }
    assert [inputs[reply.msg_id]["execution_count"] for reply in replies] == counts
    assert lab.run(None, f"In[{counts[1]}]", store_history=False).text == "'mid = top + 1\\nmid'"


def test_an_error_in_a_cell_that_ran_early_is_its_own_reply_and_stops_the_rest(lab: FrontEnd) -> None:
    replies = run_all(lab, {"end": "b", "b": "b = 1 / 0", "after": "print('never')"})
    assert [reply.content["status"] for reply in replies] == ["error", "aborted", "aborted"]
    assert "UpstreamError" in replies[0].text
    assert lab.text("b") == "ZeroDivisionError: division by zero"
    replies = run_all(lab, {"end": "b", "b": "b = 2", "after": "print('now')"})
    assert [lab.text(cell) for cell in ("end", "after")] == ["2", "now"]


def test_cells_aborted_in_a_run_all_do_not_run_by_themselves_and_do_when_needed(lab: FrontEnd) -> None:
    lab.run("a", "a = 1")
    lab.run("b", counted("b", "b = a"))
    ran(lab)
    run_all(lab, {"bad": "1 / 0", "a": "a = 2", "b": counted("b", "b = a")})
    lab.run("other", "other = 1")
    assert ran(lab) == []
    assert lab.run("c", "b").text == "2"
    assert ran(lab) == ["b"]


def test_late_output_reaches_an_aborted_request(lab: FrontEnd) -> None:
    lab.run("a", "a = 1")
    lab.run("b", "print('b', a)")
    run_all(lab, {"bad": "1 / 0", "b": "print('b', a)"})
    lab.run("a", "a = 2")
    assert lab.text("b") == "b 2"


def test_in_a_conflict_the_first_cell_of_the_document_wins(strict: FrontEnd) -> None:
    replies = run_all(strict, {"one": "a = 1", "two": "a = 2"})
    assert [reply.content["status"] for reply in replies] == ["ok", "error"]
    assert "cell [2] `a = 1`" in replies[1].text


def test_after_a_reload_run_all_shows_fresh_outputs_again_without_running(connect: Connect) -> None:
    cells = {
        "a": counted("a", "a = 1; print('a')"),
        "b": counted("b", "b = a + 1\nb"),
        "c": counted("c", "print('c', b)"),
    }
    before = connect("lab")
    run_all(before, cells)
    ran(before)
    page = connect("lab")
    replies = run_all(page, cells)
    assert [reply.ok for reply in replies] == [True] * 3
    assert [page.text(cell) for cell in cells] == ["a", "2", "c 2"]
    assert page.outputs("b")[0]["execution_count"] == replies[1].content["execution_count"]
    assert ran(page) == []
    page.run("a", "a = 5")
    assert (page.text("b"), page.text("c")) == ("6", "c 6")


def test_after_a_reload_run_all_shows_cells_that_define_a_name_again_without_running(
    connect: Connect,
) -> None:
    cells = {
        "a": counted("a", "x = 1; L = []; print('a', x)"),
        "b": counted("b", "x = x + 1; L.append(x)\nx"),
        "c": counted("c", "print('c', x, L)"),
        "d": counted("d", "x = 7; print('d', x, L)"),
    }
    before = connect("lab")
    run_all(before, cells)
    ran(before)
    page = connect("lab")
    replies = run_all(page, cells)
    assert [reply.ok for reply in replies] == [True] * 4
    assert [page.text(cell) for cell in cells] == [before.text(cell) for cell in cells]
    assert [page.text(cell).splitlines()[0] for cell in cells] == ["a 1", "2", "c 2 [2]", "d 7 [2]"]
    assert ran(page) == []
    page.run("a", counted("a", "x = 5; L = [0]; print('a', x)"))
    assert [page.text(cell).splitlines()[0] for cell in cells] == ["a 5", "6", "c 6 [0, 6]", "d 7 [0, 6]"]
    page = connect("lab")
    run_all(page, cells | {"b": counted("b", "x = x + 10; L.append(x)\nx")} | {"a": cells["a"]})
    assert [page.text(cell).splitlines()[0] for cell in cells] == ["a 1", "11", "c 11 [11]", "d 7 [11]"]


def test_after_a_reload_run_all_runs_what_was_edited_and_what_is_below(connect: Connect) -> None:
    cells = {
        name: counted(name, code)
        for name, code in {"a": "a = 1", "b": "b = a", "c": "print(b)", "d": "d = 4"}.items()
    }
    before = connect("lab")
    run_all(before, cells)
    ran(before)
    page = connect("lab")
    run_all(page, cells | {"b": counted("b", "b = a + 10")})
    assert page.text("c") == "11"
    assert sorted(ran(page)) == ["b", "c"]


def test_after_a_reload_a_single_cell_that_is_run_runs(connect: Connect) -> None:
    connect("lab").run("a", counted("a", "a = 1"))
    page = connect("lab")
    page.run("a", counted("a", "a = 1"))
    assert ran(page) == ["a", "a"]


def test_after_a_reload_dependents_show_under_the_cell_that_was_run(connect: Connect) -> None:
    before = connect("lab")
    before.run("a", "a = 1")
    before.run("b", "print('b', a)")
    page = connect("lab")
    reply = page.run("a", "a = 2")
    assert reply.text == "↻ cell [2] `print('b', a)`\nb 2"
    before.wait_for("b", "b 2")  # it may be a second window as well


def test_vscode_finds_its_cells_again_after_a_reload_by_their_code(connect: Connect) -> None:
    before = connect("vscode")
    before.run("W0", "a = 1")
    before.run("W1", "print('a is', a)")
    page = connect("vscode")
    page.run("X1", "print('a is', a)")
    page.run("X0", "a = 1")
    assert page.run("X0", "a = 3").ok
    page.wait_for("X1", "a is 3")


def test_vscode_cells_of_an_earlier_session_give_way_when_they_were_edited(connect: Connect) -> None:
    connect("vscode").run("W0", "a = 1")
    page = connect("vscode")
    assert page.run("X0", "a = 2  # edited before the first run after the reload").ok
    assert page.run("X1", "a").text == "2"


def test_merged_cells_take_the_place_of_their_parts(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a + 1")
    lab.run("user", "print(b)")
    assert lab.run("merged", "a = 1\nb = a + 1").ok
    lab.run("merged", "a = 4\nb = a + 1")
    assert lab.text("user") == "5"


def test_split_cells_take_the_place_of_the_whole(lab: FrontEnd) -> None:
    lab.run("whole", "a = 1\nb = a + 1")
    lab.run("user", "print(b)")
    assert lab.run("upper", "a = 1").ok
    assert lab.run("whole", "b = a + 1").ok
    lab.run("upper", "a = 7")
    assert lab.text("user") == "8"


def test_a_cut_and_pasted_cell_is_the_new_one(lab: FrontEnd) -> None:
    lab.run("a", "a = 1")
    lab.run("b", "print(a)")
    assert lab.run("pasted", "a = 2", metadata={"deletedCells": ["a"]}).ok
    assert lab.text("b") == "2"


def test_values_of_a_changed_cell_survive_an_abort_and_go_when_it_runs(lab: FrontEnd) -> None:
    lab.run("a", "a = 42; other = 1")
    replies = run_all(lab, {"bad": "1 / 0", "a": "a = 42  # with a comment"})
    assert [reply.content["status"] for reply in replies] == ["error", "aborted"]
    assert lab.run(None, "a, other", store_history=False).text == "(42, 1)"
    lab.run("a", "a = 42  # with a comment")
    assert lab.run("check", "other").content["ename"] == "NameError"


def test_after_a_reload_lazy_mode_does_not_show_what_became_stale(connect: Connect) -> None:
    before = connect("lab")
    before.run("lazy", "%marimo lazy")
    before.run("a", "x = 1")
    before.run("b", "print('x is', x)")
    page = connect("lab")
    run_all(page, {"a": "x = 2", "b": "print('x is', x)"})
    assert page.text("b") == "x is 2"
