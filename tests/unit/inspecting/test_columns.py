"""What is said of the columns of a table: nulls, distinct values, range, frequent values, without running code of values."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.inspecting import columns
from marimo_kernel_bridge.inspecting.columns import number_text
from marimo_kernel_bridge.inspecting.variables import inspect

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.inspection import Column, VariableContent

DATA: dict[str, list[Any]] = {
    "n": [1, 2, 3, 4],
    "x": [0.5, None, 2.25, 1 / 3],
    "word": ["a", "b", "a", None],
    "yes": [True, False, True, True],
    "day": [dt.datetime.fromisoformat(f"2026-01-{day:02}") for day in (3, 1, 2, 1)],
}


def looked_at(table: object, offset: int = 0) -> VariableContent:
    return inspect({"t": table}, {}, "t", 2, offset, sample=True)


def told(table: object) -> dict[str, Column]:
    return {column.name: column for column in looked_at(table).columns}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_each_column_says_what_it_holds(make: Any) -> None:
    found = told(make(DATA))
    assert (found["n"].nulls, found["n"].distinct, found["n"].least, found["n"].most) == (0, 4, "1", "4")
    assert (found["x"].nulls, found["x"].least, found["x"].most) == (1, "0.333333", "2.25")
    assert (found["word"].nulls, found["word"].distinct, found["word"].top) == (1, 2, (("a", 2), ("b", 1)))
    assert found["yes"].top == (("True", 3), ("False", 1))
    assert (found["day"].least, found["day"].most) == ("2026-01-01", "2026-01-03")


def test_values_with_methods_of_their_own_are_not_counted() -> None:
    called: list[str] = []

    class Spy:
        def __hash__(self) -> int:
            called.append("hash")
            return 1

        def __eq__(self, other: object) -> bool:
            called.append("eq")
            return True

        def __lt__(self, other: object) -> bool:
            called.append("lt")
            return True

    found = told(pd.DataFrame({"spies": [Spy(), Spy(), None], "n": [1, 1, 2]}))
    assert (found["spies"].nulls, found["spies"].distinct, found["spies"].top) == (1, None, ())
    assert found["n"].distinct == 2
    assert called == []


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_of_a_long_table_the_first_rows_are_counted_and_numbers_are_ranged_over_all(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MOST_VALUES", 1000)
    monkeypatch.setattr(columns, "_FEWEST", 10)
    data = {"n": np.arange(5000), "word": ["a"] * 4999 + ["z"]}
    content = looked_at(make(data))
    number, word = content.columns
    assert (number.least, number.most, number.distinct, number.nulls) == ("0", "4999", None, 0)
    assert (word.distinct, word.top) == (1, (("a", 500),))
    assert "of the first 500 rows" in " ".join(content.facts)


def test_further_rows_come_without_what_was_told_before() -> None:
    assert all(column.distinct is None for column in looked_at(pd.DataFrame(DATA), offset=2).columns)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1 / 3, "0.333333"), (1234567.891, "1234567.9"), (2.0, "2"), (1e300, "1e+300"), (float("nan"), "nan"), (0.1 + 0.2, "0.3")],
)  # fmt: skip
def test_numbers_have_the_digits_that_matter(number: float, text: str) -> None:
    assert number_text(number) == text
