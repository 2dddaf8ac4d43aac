"""Every engine returns the same rows for the same query, and statistics that add up."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.protocol.views import Filter
from marimo_kernel_bridge.viewing.table import Cancellation, Query, Table
from marimo_kernel_bridge.viewing.tables import open_file, open_value
from tests.unit.viewing.rows_by_hand import COUNT, NAMES, QUERIES, ROWS, all_ids, column, expected, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _pandas(**dtypes: str) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(column(name), dtype=dtypes.get(name)) for name in NAMES})
    frame["moment"] = pd.to_datetime(frame["moment"])
    return frame


SOURCES: dict[str, Callable[[], Any]] = {
    "list of dicts": lambda: [dict(zip(NAMES, row, strict=True)) for row in ROWS],
    "dict of lists": lambda: {name: column(name) for name in NAMES},
    "pandas": _pandas,
    "pandas, nullable": lambda: _pandas(id="Int64", price="Float64", city="string", flag="boolean"),
    "pandas, categories": lambda: _pandas(city="category"),
    "pandas, objects": lambda: pd.DataFrame({name: pd.Series(column(name), dtype=object) for name in NAMES}),
    "polars": lambda: pl.DataFrame({name: column(name) for name in NAMES}),
    "polars, categories": lambda: pl.DataFrame(
        {name: column(name) for name in NAMES}, schema_overrides={"city": pl.Categorical}
    ),
    "Arrow's memory": lambda: _Arrow(pl.DataFrame({name: column(name) for name in NAMES})),
    "numpy, objects": lambda: np.array(ROWS, dtype=object),
}
if importlib.util.find_spec("pyarrow"):
    SOURCES["pyarrow"] = lambda: nw.from_native(
        pl.DataFrame({name: column(name) for name in NAMES})
    ).to_arrow()


class _Arrow:
    """A foreign table that has nothing but Arrow's interface."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


FILES: dict[str, Callable[[Path], Path]] = {
    "Parquet file": lambda folder: _written(
        folder / "a[1]*.parquet", lambda path: _frame().write_parquet(path)
    ),
    "CSV file": lambda folder: _written(
        folder / "a.csv", lambda path: _frame().write_csv(path, quote_style="non_numeric")
    ),
    "JSON lines file": lambda folder: _written(folder / "a.jsonl", lambda path: _frame().write_ndjson(path)),
    "Arrow file": lambda folder: _written(folder / "a.arrow", lambda path: _frame().write_ipc(path)),
}


def _frame() -> pl.DataFrame:
    return pl.DataFrame({name: column(name) for name in NAMES})


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    write(path)
    return path


@functools.cache
def _live(source: str) -> Table:
    return open_value(SOURCES[source]())


@pytest.fixture(params=[*SOURCES, *FILES])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    if request.param in SOURCES:
        yield _live(request.param)
    else:
        opened = open_file(FILES[request.param](tmp_path))
        yield opened
        opened.close()


def test_rows_of_each_query_are_those_that_plain_python_finds(table: Table) -> None:
    for name, query in QUERIES.items():
        table.check(query)
        assert all_ids(table, query) == expected(query), name


def test_cells_are_the_values(table: Table) -> None:
    ids = table.page(Query(), 0, 100, [0], Cancellation()).ids
    for number, row in zip(ids, shown(table), strict=True):
        moment, day = ROWS[number][5].isoformat(" "), ROWS[number][4].isoformat()
        assert row[:4] == list(ROWS[number][:4])
        assert (row[4].t, row[4].k) in {(day, "date"), (f"{day} 00:00:00", "datetime")}
        assert (row[5].t.removesuffix(".000000"), row[5].k) == (moment, "datetime")


def test_bins_and_frequent_values_add_up_to_what_is_not_null(table: Table) -> None:
    for query in (Query(), Query(filters=(Filter(0, "<", 200),))):
        rows = [ROWS[number] for number in expected(query)]
        for index in range(len(NAMES)):
            found = table.statistics(query, index, Cancellation())
            values = [row[index] for row in rows if row[index] is not None]
            assert (found.rows, found.nulls) == (len(rows), len(rows) - len(values))
            assert found.distinct == len(set(values))
            counted = (
                sum(bar.count for bar in found.bins) + sum(count for _, count in found.top) + found.other
            )
            assert counted == len(values)


def test_each_bin_counts_what_a_filter_by_its_edges_finds(table: Table) -> None:
    for index in (0, 1, 5):
        bars = table.statistics(Query(), index, Cancellation()).bins
        assert len(bars) > 10
        for number, bar in enumerate(bars):
            edges: list[Any] = [getattr(edge, "t", edge) for edge in (bar.low, bar.high)]
            last = number == len(bars) - 1
            query = Query(
                filters=(Filter(index, ">=", edges[0]), Filter(index, "<=" if last else "<", edges[1]))
            )
            assert table.page(query, 0, 1, [0], Cancellation()).matching == bar.count


def test_mean_and_deviation_of_numbers(table: Table) -> None:
    found = table.statistics(Query(), 1, Cancellation())
    prices = [price for price in column("price") if price is not None]
    assert (found.min, found.max) == (min(prices), max(prices))
    assert found.mean == pytest.approx(sum(prices) / len(prices))
    assert found.sd == pytest.approx(float(np.std(prices, ddof=1)))


def test_pages_meet_without_a_gap_and_end_at_the_last_row(table: Table) -> None:
    assert table.rows == COUNT
    assert table.page(Query(), COUNT - 3, 500, [0], Cancellation()).ids == [COUNT - 3, COUNT - 2, COUNT - 1]
    assert table.page(Query(), COUNT, 10, [0], Cancellation()).ids == []
