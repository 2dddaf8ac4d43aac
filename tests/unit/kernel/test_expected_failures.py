"""Cells that define something and then fail on purpose: those below them follow an edit, as in a run from top to bottom."""

from tests.unit.kernel.notebook_in_memory import FrontEnd


def status(lab: FrontEnd, cell: str) -> str:
    return lab.cells()[cell].status


def test_cells_below_a_failure_that_the_notebook_goes_on_after_follow_an_edit(lab: FrontEnd) -> None:
    lab.run("a", "x = 1")
    assert not lab.run("b", "y = x\nraise ValueError('on purpose')").ok
    lab.run("c", "z = y\nprint(y)")
    lab.run("d", "print(z + 1)")
    lab.run("a", "x = 5")
    lab.sync()
    assert (status(lab, "b"), lab.text("c"), lab.text("d")) == ("error", "5", "6")
    assert not lab.run("b", "y = x + 1\nraise ValueError('still')").ok
    lab.sync()
    assert (lab.text("c"), lab.text("d")) == ("6", "7")


def test_cells_below_another_failure_do_not_run(lab: FrontEnd) -> None:
    lab.run("a", "x = 1")
    lab.run("b", "y = x\nif x == 1: raise ValueError\n1 / 0")
    lab.run("c", "print(y)")
    lab.run("a", "x = 2")
    lab.sync()
    assert status(lab, "c") == "cancelled"
    assert "ZeroDivisionError" in lab.text("b")


def test_cells_below_a_failure_that_nothing_has_gone_on_after_do_not_run(lab: FrontEnd) -> None:
    lab.run("a", "x = 1")
    lab.run("b", "y = x\nif x == 2: raise ValueError")
    lab.run("c", "print(y)")
    lab.run("a", "x = 2")
    lab.sync()
    assert status(lab, "c") == "cancelled"
