"""Functions that keep their results: each cell shows what a run from top to bottom shows, or is marked."""

from pathlib import Path

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd

KEEPS = "import functools\n@functools.cache\ndef f(k): return k * a"
READS: dict[str, tuple[str, str]] = {
    "a name": (KEEPS, "f(10)"),
    "a name, by a function": (KEEPS.replace("k * a", "k * g()") + "\ndef g(): return a", "f(10)"),
    "a name, called by a function": (KEEPS + "\ndef h(): return f(10)", "h()"),
    "an object": (KEEPS.replace("k * a", "k * held[0]") + "\nheld = [1]", "f(10)"),
}


@pytest.mark.parametrize(("defines", "calls"), READS.values(), ids=READS)
def test_results_are_those_of_what_a_function_reads_now(lab: FrontEnd, defines: str, calls: str) -> None:
    change = "held[0] = 2" if "held" in defines else "a = 2"
    lab.run_each(("a = 1", defines, change, f"print({calls})"), (f"2: {change.replace('2', '5')}",))
    assert (lab.text("3"), lab.cells()["3"].stale) == ("50", False)
    lab.run("end", "", metadata={"deletedCells": ["2"]})
    lab.sync()
    assert (lab.text("3"), lab.cells()["3"].stale) == ("10", False)


def test_a_cell_above_gets_no_result_that_a_cell_below_has_left(lab: FrontEnd) -> None:
    lab.run_each(("a = 1", KEEPS, "print(f(1))", "a = 2", "print(f(1), f(2))"), ("3: a = 5",))
    assert lab.cells()["4"].stale  # it would show the result that the cell above has left
    lab.run("2", "print(f(1))")
    lab.sync()
    assert lab.text("2") == "1"
    lab.run("4", "print(f(1), f(2))")
    lab.sync()
    assert (lab.text("4"), lab.cells()["4"].stale) == ("1 10", False)


def test_first_runs_and_runs_without_a_change_keep_results_as_in_jupyter(lab: FrontEnd) -> None:
    computed: list[int]
    computed = lab.kernel.kernel.shell.user_ns["computed"] = []
    counts = KEEPS.replace("return", "computed.append(k); return")
    lab.run_each(("a = 1", counts, "print(f(1))", "a = 2", "print(f(1), f(2))"), ("4", "4"))
    assert (lab.text("4"), lab.cells()["4"].stale) == ("1 4", False)
    assert computed == [1, 2]


@pytest.mark.parametrize("counts", ["seen.append(k)", "client.get(k)"])
def test_results_are_kept_where_calls_alone_change_what_the_function_reads(
    lab: FrontEnd, tmp_path: Path, counts: str
) -> None:
    makes = f"""\
import functools
class Client:
    sent = 0
    def get(self, k): self.sent += 1
client = Client()
seen = []
@functools.cache
def ask(k):
    open('calls.txt', 'a').write(k)
    {counts}
    return k"""
    lab.run_each((makes, "print(ask('a'))", "print(ask('b'))", "print(ask('c'))"), ("1", "2", "1"))
    assert (tmp_path / "calls.txt").read_text() == "abc"
    assert not any(cell.stale for cell in lab.cells().values())


ASKED = """\
from functools import cached_property
class Data:
    def __init__(self): self.xs, self.asked = [1], []
    @cached_property
    def total(self): return sum(self.xs)
d = Data()
"""


@pytest.mark.parametrize(
    ("step", "deleted"), [("1: 0", []), ("0: " + ASKED, ["1"]), ("2: d.xs.append(5)", ["1"])]
)
def test_an_attribute_is_computed_again_once_nobody_above_has_asked_for_it(
    lab: FrontEnd, step: str, deleted: list[str]
) -> None:
    lab.run_each((ASKED, "print(d.total)", "d.xs.append(5)", "print(d.total)"))
    assert (lab.text("1"), lab.text("3")) == ("1", "1")  # as in Jupyter
    cell, _, code = step.partition(": ")
    lab.run(cell, code)
    lab.run("end", "", metadata={"deletedCells": deleted})
    lab.sync()
    assert (lab.text("3"), lab.cells()["3"].stale) == ("6", False)


def test_an_attribute_stays_as_it_was_computed_first(lab: FrontEnd) -> None:
    asked = ASKED.replace("return sum", "self.asked.append(1); return sum")
    lab.run_each((asked, "d.total;", "print(d.total, d.asked)"), ("1", "2", "1"))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("1 [1]", False)
