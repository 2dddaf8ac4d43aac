"""Python for the rows that a person sees or selected: it is run here, and gives those rows."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from msgspec.structs import replace

from marimo_kernel_bridge.mcp_server.views.view_code import code_of_rows, code_of_selection
from marimo_kernel_bridge.protocol.views import Column, Filter, SortKey, ViewDescription, ViewState

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.views import ColumnKind

HOSTILE = """'] + __import__("os").abort() + ['"""
ROWS: dict[str, list[Any]] = {
    "state": ["CA", "ny", None, "CA", "TX"],
    "revenue": [1.5, 20.0, 3.0, None, 5.25],
    "units": [1, 2, 3, 4, 5],
    "paid": [True, False, True, False, True],
    "day": [dt.date(2024, 1, day) for day in range(1, 6)],
    "at": [dt.datetime.fromisoformat(f"2024-01-0{day}T12:00") for day in range(1, 6)],
    HOSTILE: ["a", "b", "c", "d", "e"],
}
KINDS: tuple[ColumnKind, ...] = ("text", "number", "integer", "boolean", "date", "datetime", "text")
FRAMES: dict[str, Any] = {
    "pandas DataFrame": pd.DataFrame(ROWS),
    "polars DataFrame": pl.DataFrame(ROWS),
    "polars LazyFrame": pl.LazyFrame(ROWS),
}
CASES: list[tuple[tuple[Filter, ...], tuple[SortKey, ...], list[int]]] = [
    ((Filter(0, "=", "CA"),), (), [1, 4]),
    ((Filter(0, "!=", "CA"), Filter(2, ">", 2)), (), [5]),
    ((Filter(0, "one_of", ["CA", "TX"]),), (SortKey(1, descending=True),), [5, 1, 4]),
    ((Filter(0, "null"),), (), [3]),
    ((Filter(1, "not_null"),), (SortKey(1),), [1, 3, 5, 2]),
    ((Filter(0, "contains", "Y"),), (), [2]),
    ((Filter(0, "starts", "c"),), (), [1, 4]),
    ((Filter(3, "=", value=True),), (SortKey(3), SortKey(2, descending=True)), [5, 3, 1]),
    ((Filter(4, ">=", "2024-01-04"),), (), [4, 5]),
    ((Filter(5, "<", "2024-01-02T12:00"),), (), [1]),
    ((Filter(6, "=", "b"),), (), [2]),
    ((Filter(6, "=", HOSTILE),), (SortKey(6),), []),
]


def view(kind: str, **state: Any) -> ViewDescription:
    columns = tuple(
        Column(number, name, kind, "") for number, (name, kind) in enumerate(zip(ROWS, KINDS, strict=True))
    )
    return ViewDescription("", "df", "variable", kind, 5, columns, 1, ViewState(**state), 5)


def run(code: str, value: Any) -> Any:
    return eval(code, {"df": value, "pl": pl, "pd": pd, "datetime": dt})


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(("filters", "sort", "units"), CASES)
def test_the_code_of_what_is_shown_gives_what_is_shown(
    kind: str, filters: tuple[Filter, ...], sort: tuple[SortKey, ...], units: list[int]
) -> None:
    code = code_of_rows(view(kind, filters=filters, sort=sort))
    assert code
    found = run(code, FRAMES[kind])
    found = found.collect() if isinstance(found, pl.LazyFrame) else found
    assert list(found["units"]) == units


@pytest.mark.parametrize(
    ("kind", "value", "column", "expected"),
    [
        ("pandas DataFrame", FRAMES["pandas DataFrame"], None, [2, 5]),
        ("polars DataFrame", FRAMES["polars DataFrame"], None, [2, 5]),
        ("pandas DataFrame", FRAMES["pandas DataFrame"], 2, [2, 5]),
        ("polars DataFrame", FRAMES["polars DataFrame"], 2, [2, 5]),
    ],
)
def test_the_code_of_a_selection_gives_its_rows(
    kind: str, value: Any, column: int | None, expected: list[int]
) -> None:
    found = run(code_of_selection(view(kind, selected=(1, 4), selected_column=column)), value)
    assert list(found if column is not None else found["units"]) == expected


def test_the_code_of_a_selection_in_an_array_gives_its_rows() -> None:
    array = np.arange(10).reshape(5, 2)
    assert run(code_of_selection(view("numpy array", selected=(1, 4))), array).tolist() == [[2, 3], [8, 9]]
    assert run(
        code_of_selection(view("numpy array", selected=(1, 4), selected_column=1)), array
    ).tolist() == [3, 9]


@pytest.mark.parametrize(
    "what",
    [
        view("polars LazyFrame", selected=(1,)),
        view("some library's table", selected=(1,)),
        replace(view("pandas DataFrame", selected=(1,)), title="a.csv"),
        replace(view("pandas DataFrame", selected=(1,)), source="file"),
        replace(view("pandas DataFrame", selected=(1,)), ended="deleted"),
        view("pandas DataFrame", selected=tuple(range(200))),
    ],
)
def test_where_it_is_not_known_there_is_none(what: ViewDescription) -> None:
    assert not code_of_selection(what)


@pytest.mark.parametrize(
    "state",
    [
        {"search": "a", "sort": (SortKey(0),)},
        {"filters": (Filter(99, "=", 1),)},
        {"filters": (Filter(2, "=", "many"),)},
        {"filters": (Filter(4, "=", "no date"),)},
        {"filters": (Filter(5, "=", "2024-01-02T12:00+01:00"),)},
        {"filters": (Filter(0, "=", "x" * 2000),)},
        {},
    ],
)
@pytest.mark.parametrize("kind", FRAMES)
def test_what_cannot_be_said_for_sure_is_not_said(kind: str, state: dict[str, Any]) -> None:
    assert not code_of_rows(view(kind, **state))
