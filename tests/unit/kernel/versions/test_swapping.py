"""The values of versions around the bodies of cells, in a namespace without a graph or a kernel."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.versions import value_copies
from marimo_kernel_bridge.kernel.versions.swapping import VersionValues
from marimo_kernel_bridge.kernel.versions.value_flow import Source, ValueFlow


class Cells:
    """Runs cells, with ids `a`, `b`, ... in document order, as they are written."""

    def __init__(
        self,
        *codes: str,
        values: Mapping[str, Any] | None = None,
        interruptible: type[AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.codes = {chr(ord("a") + number): code for number, code in enumerate(codes)}
        self.values: dict[str, Any] = dict(values or {})
        self.versions = VersionValues(self.values, interruptible)
        self.flow = ValueFlow(lambda _: False)
        places = {cell_id: place for place, cell_id in enumerate(self.codes)}
        sources = {cell_id: Source(code) for cell_id, code in self.codes.items()}
        self.flow.update(sources, places, moved=False)
        for name, makers in self.flow.makers.items():
            if self.flow.has_versions(name):
                self.versions.set_makers(name, makers, frozenset())

    def run(self, *cell_ids: str) -> None:
        for cell_id in cell_ids:
            self.versions.enter(cell_id, self.flow)
            exec(self.codes[cell_id], self.values)
            self.versions.leave(cell_id, self.flow)


def test_each_cell_has_the_version_above_it_and_people_see_the_last() -> None:
    cells = Cells("x = 1", "one = x", "x = 2", "two = x")
    cells.run("a", "c", "b", "d")
    assert (cells.values["one"], cells.values["two"], cells.values["x"]) == (1, 2, 2)


def test_a_cell_that_builds_on_the_version_above_may_run_again() -> None:
    cells = Cells("x = 1", "x = x + 1")
    cells.run("a", "b", "b", "b")
    assert cells.values["x"] == 2


@pytest.mark.parametrize("change", ["x.append(2)", "x += [2]", "x[0] = x[0] + 1", "y = x; y.append(2)"])
def test_what_a_cell_changes_is_preserved_for_the_cell_above(change: str) -> None:
    cells = Cells("x = [1]", "seen = list(x)", change)
    cells.run("a", "c", "c", "b")
    assert cells.values["seen"] == [1]
    assert not cells.versions.is_consumed("x", "a")


def test_names_of_one_object_are_copied_together() -> None:
    cells = Cells("x = [1]\ny = [x]", "x.append(2)\nsame = y[0] is x")
    cells.run("a", "b", "b")
    assert cells.values["same"]
    assert cells.values["x"] == [1, 2]


def test_what_cannot_be_copied_is_consumed_until_its_maker_runs_again() -> None:
    cells = Cells("import io\nf = io.StringIO('text')", "f.read()", "f")
    cells.run("a", "b")
    assert cells.versions.is_consumed("f", "a")
    cells.run("a")
    assert not cells.versions.is_consumed("f", "a")


def test_once_copies_take_too_much_what_is_changed_is_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_copies, "MOST", 100)
    cells = Cells("x = list(range(1000))", "x.append(2)")
    cells.run("a", "b")
    assert cells.versions.is_consumed("x", "a")


class Interrupted(AbstractContextManager[None]):
    def __enter__(self) -> None:
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        pass


def test_a_copy_can_be_interrupted() -> None:
    cells = Cells("x = [1]", "x.append(2)", interruptible=Interrupted)
    cells.run("a")
    with pytest.raises(KeyboardInterrupt):
        cells.run("b")


def test_what_refuses_to_be_copied_is_changed_all_the_same() -> None:
    class Stubborn(list[int]):
        def copy(self) -> "Stubborn":
            raise SystemExit

    cells = Cells("x = make()", "x[0] = x[0] + 1", "x", values={"make": lambda: Stubborn([1])})
    cells.run("a", "b")
    assert cells.values["x"] == [2]


def test_a_value_that_a_name_had_before_any_cell_is_what_cells_above_read() -> None:
    cells = Cells("first = x", "x = 1", "x = 2", values={"x": 0})
    cells.run("b", "c", "a")
    assert cells.values["first"] == 0


def test_what_is_bound_between_cells_is_the_version_that_stands_there() -> None:
    cells = Cells("x = 1", "x = 2", "y = x")
    cells.run("a", "b")
    cells.values["x"] = 20
    cells.run("c")
    assert (cells.values["y"], cells.values["x"]) == (20, 20)


def test_a_cell_that_deletes_a_name_leaves_it_without_a_value_below() -> None:
    cells = Cells("x = 1", "del x", "there = 'x' in globals()", "x = 2")
    cells.run("a", "b", "d", "c")
    assert cells.values["there"] is False
    assert cells.versions.is_made("x", "b")


def test_a_name_that_becomes_plain_has_the_value_of_the_cell_that_still_makes_it() -> None:
    cells = Cells("x = 1", "x = 2")
    cells.run("a", "b")
    cells.versions.make_plain("x", ["a"])
    assert cells.values["x"] == 1
    assert not [name for name in cells.values if name.startswith("x") and name != "x"]


def test_a_name_with_versions_takes_the_value_of_the_cell_that_defined_it() -> None:
    versions = VersionValues(values := {"x": 1}, nullcontext)
    versions.set_makers("x", ["a", "b"], frozenset({"a"}))
    assert versions.is_made("x", "a")
    assert not versions.is_made("x", "b")
    assert len(values) == 2


def test_a_maker_that_goes_takes_its_version_with_it() -> None:
    cells = Cells("x = 1", "x = 2", "x = 3")
    cells.run("a", "b", "c")
    makers: Sequence[str] = ["a", "b"]
    cells.versions.set_makers("x", makers, frozenset())
    assert not cells.versions.is_made("x", "c")
    cells.versions.show_last(cells.flow)
    assert cells.values["x"] == 2
