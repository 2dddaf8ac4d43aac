"""Who calls a function, which version of a global it reads there, and what is asked for when that is more than one."""

import pytest

from marimo_kernel_bridge.analysis.analyze import analyze
from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.analysis.document import Document
from marimo_kernel_bridge.analysis.late_reads import LateReads
from marimo_kernel_bridge.analysis.model import Cell, Given
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join
from marimo_kernel_bridge.analysis.versions import DocumentOrder


def visited(*codes: str) -> Document:
    cells = [Cell(index, Given(code), read_cell(code)) for index, code in enumerate(codes)]
    document = Document(cells)
    in_order = DocumentOrder(document)
    for cell in cells:
        in_order.visit(cell)
    return document


@pytest.mark.parametrize(
    ("codes", "callers"),
    [
        (["def f(): return k", "f()", "1", "f()"], {1: {"f"}, 3: {"f"}}),
        (["def f(): return k", "g = f", "g()"], {1: {"f"}, 2: {"g"}}),
        (["def f(): return k", "y = f()", "y"], {1: {"f"}}),
        (["def f(): return k", "def g(): return f()", "g()"], {2: {"g"}}),
        (["class A:\n    def m(self): return k", "a = A()", "a.m()"], {1: {"A"}, 2: {"a"}}),
        (["def f(): return k", "f = 1", "f"], {}),
    ],
)
def test_the_callers_of_a_function(codes: list[str], callers: dict[int, set[str]]) -> None:
    document = visited(*codes)
    owner = next(use.name for use in document.cells[0].names.occurrences if use.act == "store")
    assert LateReads(document).callers(document.cells[0], owner) == callers


def test_a_function_reads_the_version_above_the_cell_that_calls_it() -> None:
    document = visited("k = 1", "def f(): return k", "k = 2", "f()")
    LateReads(document).resolve()
    first, second = document.versions["k"]
    assert 1 in second.readers
    assert 1 not in first.readers


def test_a_name_that_only_a_cell_below_defines_is_read_there_with_a_warning() -> None:
    document = visited("print(k)", "k = 1")
    LateReads(document).resolve_early()
    assert document.versions["k"][0].readers == {0}
    assert [(note.warning, note.text) for note in document.cells[0].notes] == [
        (True, "it reads `k`, which only a cell below defines")
    ]


def test_a_function_that_reads_two_versions_is_asked_for_again() -> None:
    plan = analyze([Given(code) for code in ("k = 1", "def f(): return k", "f()", "k = 2; f()")])
    assert plan.requests == [CopyDefinition("f", 1, 3, "it reads `k`, which has changed by then")]


def test_a_lambda_that_reads_two_versions_has_its_cells_joined() -> None:
    plan = analyze([Given(code) for code in ("k = 1", "f = lambda: k", "f()", "k = 2; f()")])
    assert [type(request) for request in plan.requests] == [Join]


def test_a_function_that_reads_what_its_only_caller_makes_is_joined_with_it() -> None:
    plan = analyze([Given(code) for code in ("def f(): return k", "k = 1; f()")])
    assert plan.requests == [Join((0, 1), 1, "`f` is used only there, and reads what is made there")]


def test_cells_with_a_global_statement_are_joined_with_those_that_read_the_name() -> None:
    codes = ("k = 1", "def f():\n    global k\n    k = 2", "1", "f()", "k")
    plan = analyze([Given(code) for code in codes])
    assert plan.requests[0] == Join((0, 1, 3, 4), 4, "`f` binds the global `k`")


def test_cycles_are_groups_of_two_or_more() -> None:
    assert cycles({0: {1}, 1: {2}, 2: {0}, 3: {2}, 4: {5}, 5: {4}, 6: {6}}) == [[0, 1, 2], [4, 5]]
