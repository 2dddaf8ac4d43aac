"""What is said of variables, without running their code."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.variables import MOST_COLUMNS, inspect, list_variables

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.inspection import VariableContent

SPY = """
called = []
class Meta(type):
    def __hash__(cls): called.append('hash')
    def __instancecheck__(cls, other): called.append('instancecheck')
class Spy(metaclass=Meta):
    def __init__(self): self.inside = 1
    def __getattribute__(self, name):
        called.append(name)
        return object.__getattribute__(self, name)
    def __repr__(self): called.append('repr')
    __str__ = __len__ = __eq__ = __iter__ = __bool__ = __format__ = __repr__
    __hash__ = None
spy = Spy()
spies = [spy, {'key': spy}]
"""


def ran(code: str) -> dict[str, object]:
    """Run code as a notebook's would be, and return its names."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(code, namespace)  # the tests' own
    return namespace


def look(value: object, rows: int = 5, offset: int = 0, *, sample: bool = True) -> VariableContent:
    return inspect({"v": value}, {}, "v", rows, offset, sample=sample)


def test_looking_at_a_variable_runs_none_of_its_code() -> None:
    names = ran(SPY)
    called = names["called"]
    assert isinstance(called, list)
    called.clear()
    (spy,) = [variable for variable in list_variables(names, (), {}) if variable.name == "spy"]
    assert spy.type == "Spy"
    assert inspect(names, {}, "spy", 5, sample=True).items == (".inside: 1",)
    assert inspect(names, {}, "spies", 5, sample=True).items == ("<Spy>", "{'key': <Spy>}")
    assert called == []


@pytest.mark.parametrize(
    ("code", "summary"),
    [
        ("v = 2 ** 100_000", "<int of 100001 bits>"),
        ("v = 'x' * 1000", f"'{'x' * 80}'… (1000 in all)"),
        ("v = {'a': [1, 2.5]}", "1 items: {'a': [1, 2.5]}"),
        ("def v(a, *rest, k=1, **more): pass", "(a, *rest, k, **more)"),
        ("def v(a, *, k): pass", "(a, *, k)"),
        ("class v(dict): pass", "class, of dict"),
        ("class v: pass", "class"),
        ("class A(dict): pass\nv = A()", "instance of a class of dict"),
        ("v = object()", ""),
        ("import json as v", "version 2.0.9"),
        ("import types as v", "module"),
        ("v = ...", "..."),
        ("v = [[[[1]]]]", "1 items: [[<list>]]"),
        ("v = list(range(10))", "10 items: [0, 1, 2, 3, 4, 5, 6, 7, … 2 more]"),
        ("import datetime\nv = datetime.date(2026, 1, 2)", "2026-01-02"),
    ],
)
def test_variables_are_summed_up(code: str, summary: str) -> None:
    assert inspect(ran(code), {}, "v", 5, sample=False).variable.summary == summary


def test_variables_are_listed_with_the_cells_that_define_them_and_modules_last() -> None:
    names = {"json": ModuleType("json"), "x": 1, "_private": 2, "hidden": 3, "made": 4}
    listed = list_variables(names, {"hidden"}, {"x": "aaaa", "json": "bbbb"})
    assert [(variable.name, variable.defined_by) for variable in listed] == [
        ("x", "aaaa"),
        ("made", None),
        ("json", "bbbb"),
    ]
    assert inspect(names, {"x": "aaaa"}, "x", 5, sample=True).variable.defined_by == "aaaa"


TABLE = {"n": [1, 2, 3], "word": ["a", "b", None]}


@pytest.mark.parametrize(
    ("table", "dtype"),
    [
        (pd.DataFrame(TABLE), "int64"),
        (pl.DataFrame(TABLE), "Int64"),
    ],
    ids=["pandas", "polars"],
)
def test_tables_show_their_columns_and_some_rows(table: object, dtype: str) -> None:
    content = look(table, rows=2)
    assert content.variable.summary == "3 rows, 2 columns"
    assert [column.name for column in content.columns] == ["n", "word"]
    assert content.columns[0].dtype == dtype
    assert (content.total_rows, content.total_columns) == (3, 2)
    assert content.rows == (("1", "a"), ("2", "b"))
    assert look(table, rows=2, offset=2).rows[0][0] == "3"


def test_a_wide_table_shows_its_first_columns_and_how_many_there_are() -> None:
    content = look(pd.DataFrame({f"c{number}": [number] for number in range(MOST_COLUMNS + 1)}))
    assert (len(content.columns), content.total_columns) == (MOST_COLUMNS, MOST_COLUMNS + 1)
    assert len(content.rows[0]) == MOST_COLUMNS


@pytest.mark.parametrize(
    "series",
    [pd.Series([1, 2, 3]), pd.Index([1, 2, 3]), pl.Series([1, 2, 3])],
    ids=["pandas", "index", "polars"],
)
def test_a_series_shows_some_values(series: object) -> None:
    content = look(series, rows=2, offset=1)
    assert content.variable.summary.startswith("3 values, ")
    assert (content.items, content.total_items) == (("2", "3"), 3)


def test_rows_and_values_of_pandas_have_their_labels_where_these_are_not_positions() -> None:
    sales = pd.DataFrame({"city": ["Ulm", "Bonn", "Ulm"], "year": [2025, 2025, 2026], "sum": [1.5, 2.0, 3.0]})
    assert (look(sales).labels, look(sales["sum"]).labels) == ((), ())
    by_city = look(sales.groupby("city")["sum"].sum().to_frame())
    assert (by_city.labels, by_city.rows) == (("Bonn", "Ulm"), (("2",), ("4.5",)))
    assert by_city.facts[0].startswith("index city ")
    assert look(sales["city"].value_counts(), rows=1, offset=1).labels == ("Bonn",)
    several = look(sales.set_index(["city", "year"]), rows=1)
    assert several.labels == ("('Ulm', 2025)",)
    assert several.facts[0].startswith("index city, year object")
    assert look(sales[sales["city"] == "Ulm"]).labels == ("0", "2"), "not the positions of what is left"
    assert look(sales.set_index("sum"), rows=2, offset=1).labels == ("2", "3")


def test_days_are_shown_as_days() -> None:
    days = pd.DataFrame({"day": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02"])})
    content = look(days, rows=1)
    assert (content.rows, content.columns[0].least) == ((("2026-01-01",),), "2026-01-01")
    assert content.columns[0].top == (("2026-01-02", 2), ("2026-01-01", 1))
    assert look(days["day"] + pd.Timedelta(hours=1), rows=1).items == ("2026-01-01 01:00:00",)
    assert look(days.set_index("day").assign(x=1), rows=1).labels == ("2026-01-01",)


def test_arrays_show_shape_type_and_range() -> None:
    content = look(np.arange(6.0).reshape(2, 3), rows=2)
    assert content.variable.summary == "shape (2, 3), float64"
    assert (content.items, content.total_items) == (("0.0", "1.0"), 6)
    assert "min 0.0, max 5.0, mean 2.5" in content.facts
    assert look(np.arange(6.0).reshape(2, 3).T, rows=2).items == ("0.0", "3.0")


def test_a_subclass_of_a_library_s_class_is_named_and_not_read() -> None:
    class Table(pd.DataFrame):
        pass

    assert look(Table(TABLE)).rows == ()


def test_without_a_sample_nothing_is_taken() -> None:
    content = look([1, 2], sample=False)
    assert (content.variable.summary, content.items, content.sampled) == ("2 items: [1, 2]", (), False)


def test_an_unknown_variable_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(BridgeError) as refusal:
        inspect({"apple": 1, "_hidden": 2, "Out": {}}, {}, "aple", 5, sample=True, hidden={"Out"})
    assert refusal.value.code == "no_such_variable"
    assert "apple" in refusal.value.hint
    assert "_hidden" not in refusal.value.hint
    assert "Out" not in refusal.value.hint
