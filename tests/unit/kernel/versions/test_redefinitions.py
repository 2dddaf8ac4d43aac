"""Notebooks that define names again: what the graph knows of their versions, and what cells show. The graph is a model."""

import random
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import pytest

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable
from marimo_kernel_bridge.kernel.versions.graph_names import names_in_graph
from marimo_kernel_bridge.kernel.versions.redefinitions import Redefinitions
from marimo_kernel_bridge.runtime.interface import Names, Versions, version_name


class Graph:
    """Knows cells by names alone, as marimo's graph does."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self.codes: dict[str, str] = {}
        self.versions: dict[str, Versions] = {}
        self.stale: set[str] = set()

    @property
    def values(self) -> dict[str, Any]:
        return self._values

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:  # noqa: ARG002
        for cell_id, known in versions.items():
            self.versions.pop(cell_id, None)
            if known is not None:
                self.versions[cell_id] = known

    def names(self, cell_id: str) -> Names:
        plain = names_in(self.codes[cell_id])
        known = self.versions.get(cell_id)
        if known is None or known.code != self.codes[cell_id]:
            return plain
        return Names(plain.defines - known.names | known.defines, plain.uses - known.names | known.uses)

    def definers(self, name: str) -> frozenset[str]:
        return frozenset(cell_id for cell_id in self.codes if name in self.names(cell_id).defines)

    def descendants(self, *cell_ids: str) -> frozenset[str]:
        below: set[str] = set()
        waiting = list(cell_ids)
        while waiting:
            defines = self.names(waiting.pop()).defines
            near = {cell_id for cell_id in self.codes if defines & self.names(cell_id).uses} - below
            below |= near
            waiting += near
        return frozenset(below)

    def set_stale(self, cell_ids: Iterable[str]) -> None:
        self.stale |= set(cell_ids)


def names_in(code: str) -> Names:
    uses = read_cell(code).occurrences
    return Names(
        frozenset(use.name for use in uses if use.act == "store"),
        frozenset(use.name for use in uses if use.act == "load" and (use.exposed or use.late)),
    )


class Notebook:
    """Cells by the ids of their front end, run as the kernel runs them: with all that depends on them."""

    def __init__(self, *codes: str, strict: bool = False, dialect: str = "lab") -> None:
        self.cells = CellTable()
        self.values: dict[str, Any] = {}
        self.graph = Graph(self.values)
        self.redefinitions = Redefinitions(self.cells, self.graph, nullcontext, strict=strict)
        self.address = Address(dialect, {"msg_id": "m"}, "s")  # type: ignore[arg-type]  # a dialect
        self.ids: list[str] = []
        self.ran: list[str] = []
        for code in codes:
            self.add(code)

    def add(self, code: str) -> None:
        cell_id = self.cells.add(f"n{len(self.cells)}", code, "notebook", self.address).cell.cell_id
        self.ids.append(cell_id)
        self.run(len(self.ids) - 1, code)

    def change(self, number: int, code: str) -> str:
        cell_id = self.ids[number]
        self.cells[cell_id].body = Body(code, (), "", "last_expr")
        self.redefinitions.update()
        self.graph.codes[cell_id] = code
        self.redefinitions.show_last()
        return cell_id

    def run(self, number: int, code: str) -> None:
        cell_id = self.change(number, code)
        self.graph.stale |= {cell_id} | self.redefinitions.makers_needed({cell_id})
        while stale := self.graph.stale:
            stale |= self.redefinitions.makers_needed(stale) | self.graph.descendants(*stale)
            first = next(
                cell_id
                for cell_id in self.cells.ids()
                if cell_id in stale
                and not any(cell_id in self.graph.descendants(other) for other in stale - {cell_id})
            )
            stale.discard(first)
            self.ran.append(first)
            self.redefinitions.enter(first)
            exec(self.graph.codes[first], self.values)
            self.redefinitions.leave(first)
            self.cells.change(first, last_run_at=1.0)

    def of(self, number: int) -> Names:
        return self.graph.names(self.ids[number])


def test_each_version_has_a_name_of_its_own_in_the_graph() -> None:
    notebook = Notebook("x = 1", "a = x", "x = 2", "b = x")
    first, second = (version_name("x", notebook.ids[number]) for number in (0, 2))
    assert notebook.of(0).defines == {first}
    assert notebook.of(1).uses == {first}
    assert notebook.of(3).uses == {second}


def test_a_name_with_one_definition_has_its_own_name_in_the_graph() -> None:
    notebook = Notebook("x = 1", "a = x", "x = 2")
    notebook.change(2, "y = 2")
    assert notebook.of(0).defines == {"x"}
    assert notebook.of(1).uses == {"x"}


def test_a_new_value_reaches_the_readers_of_its_version_alone() -> None:
    notebook = Notebook("x = 1", "a = x", "x = 2", "b = x")
    notebook.ran.clear()
    notebook.run(0, "x = 10")
    assert notebook.ran == notebook.ids[:2]
    assert (notebook.values["a"], notebook.values["b"], notebook.values["x"]) == (10, 2, 2)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("x = 1", "x = x + 1", 2),
        ("x = 1", "x += 1", 2),
        ("x = [1]", "x.append(2)", [1, 2]),
        ("x = {1: 1}", "x[1] += 1", {1: 2}),
        ("x = [1]", "def f(): x.append(2)\nf()", [1, 2]),
    ],
)
def test_running_a_cell_again_that_builds_on_an_earlier_value_changes_nothing(
    first: str, second: str, shown: object
) -> None:
    notebook = Notebook(first, second, "seen = repr(x)")
    for _ in range(2):
        notebook.run(1, second)
    assert notebook.values["seen"] == repr(shown)


def test_a_cell_that_stops_defining_a_name_gives_it_back() -> None:
    notebook = Notebook("x = 1", "x = 2", "seen = x")
    notebook.run(1, "y = 2")
    assert (notebook.values["seen"], notebook.values["x"]) == (1, 1)


def test_a_cell_whose_version_changes_becomes_stale() -> None:
    notebook = Notebook("x = 1", "y = 2", "seen = x")
    notebook.change(1, "x = y = 3")
    assert notebook.ids[2] in notebook.graph.stale


def test_a_function_reads_what_is_defined_above_the_cell_that_calls_it() -> None:
    notebook = Notebook("k = 1", "def f(): return k", "a = f()", "k = 2", "b = f()")
    assert (notebook.values["a"], notebook.values["b"]) == (1, 2)
    notebook.run(0, "k = 10")
    assert (notebook.values["a"], notebook.values["b"]) == (10, 2)


def test_the_maker_of_what_cannot_be_copied_runs_again_before_the_cell_that_needs_it() -> None:
    notebook = Notebook("import io\nf = io.StringIO('text')", "seen = f.read()", "f")
    notebook.ran.clear()
    notebook.run(1, "seen = f.read()")
    assert notebook.ran[:2] == notebook.ids[:2]
    assert notebook.values["seen"] == "text"


def test_a_redefinition_is_news_once_and_names_the_other_cell() -> None:
    notebook = Notebook("x = 1", "print(x)", "x = 2")
    assert notebook.redefinitions.news(notebook.ids[2]) == {"x": notebook.ids[0]}
    assert notebook.redefinitions.news(notebook.ids[2]) == {}


def test_temporaries_are_no_news() -> None:
    notebook = Notebook("for i in range(3): pass", "for i in range(3): pass")
    assert notebook.redefinitions.news(notebook.ids[1]) == {}


def test_under_the_strict_rule_the_graph_knows_plain_names_only() -> None:
    notebook = Notebook("x = 1", "x = 2", strict=True)
    assert notebook.of(0).defines == notebook.of(1).defines == {"x"}
    assert notebook.graph.versions == {}


def test_versions_that_the_strict_rule_had_no_place_for_are_made_again() -> None:
    notebook = Notebook("x = 1", "x = 2", "seen = x", strict=True)
    notebook.redefinitions.strict = False
    for cell_id in notebook.ids:
        notebook.cells[cell_id].body = Body(notebook.graph.codes[cell_id], (), "", "last_expr")
    notebook.redefinitions.update()
    notebook.redefinitions.outdated.mark_lost()
    assert notebook.graph.stale == {notebook.ids[1], notebook.ids[2]}


def test_a_preview_has_the_names_that_the_graph_would_have() -> None:
    notebook = Notebook("x = 1")
    before = dict(notebook.graph.versions)
    codes = {"p": "x = 1", "q": "x = 2", "r": "x"}
    flow = notebook.redefinitions.expected_flow(
        {cell: Body(code, (), "", "last_expr") for cell, code in codes.items()}
    )
    names = names_in_graph(flow, {cell: names_in(code) for cell, code in codes.items()})
    assert names["r"].uses == {version_name("x", "q")}
    assert names["p"].defines == {version_name("x", "p")}
    assert notebook.graph.versions == before


def test_a_forecast_from_a_flow_that_is_kept_is_that_of_a_new_one() -> None:
    """Cells come, go, move and change."""
    redefinitions = Notebook().redefinitions
    kept: list[Any] = []
    numbers = random.Random(7)
    codes = {f"c{number}": f"x{number % 5} = x{(number + 1) % 5} + 1" for number in range(12)}
    for step in range(60):
        cell_id = numbers.choice(list(codes))
        match step % 4:
            case 0:
                codes[cell_id] = f"x{step % 5} = x{(step + 2) % 5}; _y = x{step % 3}"
            case 1:
                codes = {f"new{step}": f"x{step % 6} = 1", **codes}
            case 2:
                codes[cell_id] = codes.pop(cell_id)
            case 3:
                del codes[cell_id]
        bodies = {one: Body(code, (), "", "none") for one, code in codes.items()}
        flow, fresh = redefinitions.expected_flow(bodies, kept), redefinitions.expected_flow(bodies, [])
        assert flow.parts == fresh.parts
        assert flow.makers == fresh.makers
        assert (flow.governed(), flow.place) == (fresh.governed(), fresh.place)
    assert len(kept) == 2
