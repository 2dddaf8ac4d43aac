"""marimo's own errors reach the front end as errors that name the cells and say what to do."""

from tests.unit.kernel.notebook_in_memory import FrontEnd


def test_two_cells_that_define_one_name_are_told_apart(strict: FrontEnd) -> None:
    strict.run("one", "a = 1")
    reply = strict.run("two", "a = 2")
    assert reply.content["ename"] == "MultipleDefinitionError"
    assert "cell [2] `a = 1`" in reply.text
    assert "`_a`" in reply.text
    assert strict.run(None, "a", store_history=False).text == "1"


def test_a_refused_cell_runs_by_itself_when_the_conflict_is_gone(strict: FrontEnd) -> None:
    strict.run("one", "a = 1")
    strict.run("two", "a = 2")
    strict.run("three", "print(a)")
    strict.run("one", "other = 1")
    assert strict.outputs("two") == ()
    assert strict.text("three") == "2"


def test_a_cycle_is_shown_in_each_of_its_cells(lab: FrontEnd) -> None:
    lab.run("one", "p = s")
    reply = lab.run("two", "s = p")
    assert reply.content["ename"] == "CycleError"
    for cell in ("one", "two"):
        assert "CycleError" in lab.text(cell)
        assert "p, s" in lab.text(cell)
    lab.run("two", "s = 1")
    lab.run("one", "p = s; print(p)")
    assert lab.text("one") == "1"


def test_import_star_is_refused(strict: FrontEnd) -> None:
    reply = strict.run("one", "from math import *")
    assert not reply.ok
    assert "import" in reply.text.lower()


def test_a_refused_cell_below_one_that_runs_again_leaves_the_kernel_idle(strict: FrontEnd) -> None:
    strict.run("z", "z = 1")
    strict.run("x", "x = 1")
    strict.run("clash", "x = z")
    strict.run("z", "z = 2")
    strict.sync()
    seen = len(strict.seen)
    for _ in range(3):
        strict.sync()
    assert len([m for m in strict.seen[seen:] if m["msg_type"] == "status"]) == 6
