"""Random notebooks of redefinitions and mutations, run as they are: they show what Jupyter shows from top to bottom,
whatever runs again, and what a cell is changed to. The graph is a model here; `tests/kernel` has the real one."""

import random
from contextlib import nullcontext
from functools import lru_cache

import pytest
from reactive import in_order, shown
from test_random_notebooks import notebook, statement

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.kernel.cells import Address, Body, CellTable
from marimo_kernel_bridge.kernel.versions.redefinitions import Redefinitions
from tests.inputs import inputs


@lru_cache
def names_of(code):
    read = read_cell(code)
    defines = {each.name for each in read.occurrences if each.act == "store"}
    return defines, {
        each.name for each in read.occurrences if each.act == "load" and (each.exposed or each.late)
    }


class Graph:
    """Knows cells by names alone, as marimo's graph does. Implements as much of `Runtime` as is needed."""

    def __init__(self, values: dict) -> None:
        self.values = values
        self.codes: dict[str, str] = {}
        self.versions = {}
        self.stale: set[str] = set()

    def assign(self, versions, places):
        self.places = places
        merged = {**self.versions, **versions}
        self.versions = {cell: known for cell, known in merged.items() if known is not None}

    def names(self, cell):
        """What a cell defines and uses; its versions count once it is in the graph with the code that they are of."""
        defines, uses = names_of(self.codes[cell])
        versions = self.versions.get(cell)
        if versions is not None and versions.code == self.codes[cell]:
            defines, uses = defines - versions.names | versions.defines, uses - versions.names | versions.uses
        return defines, uses

    def definers(self, name):
        return frozenset(cell for cell in self.codes if name in self.names(cell)[0])

    def descendants(self, *cells):
        defined, used = {}, {}
        for cell in self.codes:
            defined[cell], used[cell] = self.names(cell)
        found, waiting = set(), list(cells)
        while waiting:
            above = waiting.pop()
            for cell in self.codes:
                if cell not in found and cell != above and defined[above] & used[cell]:
                    found.add(cell)
                    waiting.append(cell)
        return frozenset(found)

    def set_stale(self, cells, *, stale=True):
        self.stale = self.stale | set(cells) if stale else self.stale - set(cells)

    def conflicts(self):
        defined = [name for cell in self.codes for name in self.names(cell)[0]]
        return {name for name in defined if defined.count(name) > 1}

    def cycles(self):
        return [cell for cell in self.codes if cell in self.descendants(cell)]


class Notebook:
    def __init__(self) -> None:
        self.cells = CellTable()
        self.values = {"display": lambda value: print(repr(value))}  # noqa: T201  # what cells show is printed
        self.graph = Graph(self.values)
        self.redefinitions = Redefinitions(self.cells, self.graph, nullcontext)
        self.shown: dict[str, str] = {}

    def add(self, code):
        address = Address("lab", {"msg_id": f"m{len(self.cells)}"}, "s")
        cell = self.cells.add(f"n{len(self.cells)}", code, "notebook", address).cell.cell_id
        self.run(cell, code)
        return cell

    def run(self, cell, code):
        """Run a cell, with what it needs before and what depends on it after."""
        entry = self.cells[cell]
        entry.body = Body(code, (), "", "last_expr")
        self.redefinitions.update()
        self.graph.codes[cell] = code
        self.redefinitions.show_last()
        self.graph.stale |= {cell} | self.redefinitions.makers_needed({cell})
        news = False
        while self.graph.stale:
            more = self.redefinitions.makers_needed(self.graph.stale)
            self.graph.stale |= more | self.graph.descendants(*self.graph.stale)
            first = next(
                one
                for one in self.cells.ids()
                if one in self.graph.stale and not self._above(one) & self.graph.stale
            )
            self.graph.stale.discard(first)
            self.redefinitions.enter(first)
            self.shown[first] = shown(self.graph.codes[first], self.values)
            news = self.redefinitions.leave(first) or news
            self.cells.change(first, last_run_at=1.0)
            if news and not self.graph.stale:  # as the kernel does, between two waves of runs
                self.redefinitions.update()
                news = False

    def _above(self, cell):
        return {other for other in self.graph.codes if cell in self.graph.descendants(other)}


@pytest.mark.parametrize("seed", range(inputs(25, 1000)))
def test_a_notebook_shows_what_it_shows_from_top_to_bottom(seed):
    codes = notebook(seed)
    told = "\n--\n".join(codes)
    page = Notebook()
    expected = in_order(codes)
    cells = []
    for number, code in enumerate(codes):
        cells.append(page.add(code))
        assert [page.shown[cell] for cell in cells] == expected[: number + 1], told
    assert not page.graph.conflicts(), told
    assert not page.graph.cycles(), told
    last = in_values(codes)
    assert {name: page.values[name] for name in last} == last, told
    for cell, code in zip(cells, codes, strict=True):
        page.run(cell, code)
        assert [page.shown[one] for one in cells] == expected, f"{code}\n=====\n{told}"
    rng = random.Random(seed)
    for _ in range(3):
        number = rng.randrange(1, len(codes))
        codes[number] = statement(rng)
        page.run(cells[number], codes[number])
        assert [page.shown[one] for one in cells] == in_order(codes), f"cell {number}\n" + "\n--\n".join(
            codes
        )


def in_values(codes):
    """The values of names after a run from top to bottom."""
    namespace = {}
    for code in codes:
        shown(code, namespace)
    return {name: namespace[name] for name in ("a", "b", "i", "x", "p", "q") if name in namespace}
