"""IPython's last results, `_` and `Out[3]`: a cell that reads them follows the cells above it, or is marked."""

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd


@pytest.mark.parametrize(
    ("reader", "shown"),
    [
        ("print(_ * 2)", "14"),
        ("print(_ + __)", "9"),
        ("x = [_ for _ in range(2)]\nprint(x, __)", "[0, 1] 2"),
        ("print(___)", "1"),
        ("print(f'{_}')", "7"),
    ],
)
def test_the_last_results_are_those_of_the_cells_above(lab: FrontEnd, reader: str, shown: str) -> None:
    lab.run_each(["1", "2", "3 + 0", reader, "100"], ["2: 7 + 0", "4: 200"])
    assert lab.text("3") == shown
    lab.run("3", reader)
    assert lab.text("3") == shown


def test_the_last_result_of_a_cell_that_ran_as_a_dependent_reaches_its_reader(lab: FrontEnd) -> None:
    lab.run_each(["x = 2", "x * 10", "y = _ + 1", "print(y)"], ["0: x = 3"])
    assert lab.text("3") == "31"


def test_what_a_cell_displays_after_it_read_the_last_result_is_the_last_result_below(lab: FrontEnd) -> None:
    lab.run_each(["5", "_ + 1", "_ + 1", "print(_, __)"], ["0: 10"])
    assert (lab.text("1"), lab.text("2"), lab.text("3")) == ("11", "12", "12 11")
    assert lab.run(None, "_").text == "12"


def test_a_cell_that_gains_or_loses_a_result_changes_what_is_read_below(lab: FrontEnd) -> None:
    lab.run_each(["1", "2", "print(_)"], ["1: 2;"])
    assert lab.text("2") == "1"
    lab.run("1", "3")
    lab.sync()
    assert lab.text("2") == "3"


def test_a_name_that_the_notebook_binds_is_left_alone(lab: FrontEnd) -> None:
    lab.run_each(["5", "_ = 'mine'", "print(_)"], ["0: 6", "2"])
    assert lab.text("2") == "mine"


@pytest.mark.parametrize("reader", ["print(Out[1])", "print(_1)"])
def test_a_reader_of_a_numbered_result_is_marked_after_that_cell_has_another_number(
    lab: FrontEnd, reader: str
) -> None:
    lab.run_each(["x = 1", "x + 1", reader.replace("1", "2")])
    assert (lab.text("2"), lab.cells()["2"].stale) == ("2", False)
    lab.run("0", "x = 5")
    lab.sync()
    assert (lab.text("2"), lab.cells()["2"].stale) == ("6", False)  # a dependent keeps its number
    lab.run("1", "x + 2")
    lab.sync()
    assert lab.cells()["2"].stale
