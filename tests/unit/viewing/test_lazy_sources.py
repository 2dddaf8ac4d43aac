"""Sources whose rows exist only when they are asked for: LazyFrames and relations of DuckDB."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query
from marimo_kernel_bridge.viewing.tables import live_values, open_value
from tests.unit.viewing.rows_by_hand import NAMES, QUERIES, all_ids, column, expected, shown

if TYPE_CHECKING:
    from pathlib import Path


def _lazy() -> pl.LazyFrame:
    return pl.DataFrame({name: column(name) for name in NAMES}).lazy()


def test_a_lazy_frame_shows_its_first_rows_and_runs_its_plan_once() -> None:
    runs = []
    go = threading.Event()

    def slow(frame: pl.DataFrame) -> pl.DataFrame:
        runs.append(frame.height)
        if len(runs) > 1:
            assert go.wait(60)
        return frame

    lazy = pl.DataFrame({"a": range(1000)}).lazy().map_batches(slow)
    table: Any = open_value(lazy)
    assert table.rows is None
    assert table.page(Query(), 0, 3, [0], Cancellation()).rows == [[0], [1], [2]]
    go.set()
    assert table.wait(60)
    done = len(runs)
    assert (table.rows, table.kind) == (1000, "polars LazyFrame")
    assert all_ids(table, Query(sort=(SortKey(0, descending=True),)))[:2] == [999, 998]
    assert len(runs) == done


def test_a_plan_that_nobody_waits_for_any_more_ends_with_its_next_rows() -> None:
    heights: list[int] = []
    loads, loading, go, ended = (threading.Event() for _ in range(4))

    def slow(frame: pl.DataFrame) -> pl.DataFrame:
        if loads.is_set():
            heights.append(frame.height)
            loading.set()
            assert go.wait(60)
        return frame

    rows = 12_000_000
    source = pl.select(a=pl.int_range(rows, dtype=pl.Int32)).lazy()
    table: Any = open_value(source.map_batches(slow, streamable=True))
    table.watch(ended.set)
    loads.set()
    table._begin()
    assert loading.wait(60)
    table.close()
    go.set()
    assert ended.wait(60)
    assert sum(heights) < rows, (
        "some are on their way between its threads, the more the more threads there are"
    )


def test_rows_of_lazy_sources_are_those_that_plain_python_finds(tmp_path: Path) -> None:
    _lazy().collect().write_parquet(tmp_path / "a.parquet")
    for value in (_lazy(), duckdb.connect().read_parquet(str(tmp_path / "a.parquet"))):
        table = open_value(value)
        for name, query in QUERIES.items():
            assert all_ids(table, query) == expected(query), name
        table.close()


def test_a_plan_that_fails_is_told() -> None:
    with pytest.raises(BridgeError) as told:
        open_value(pl.DataFrame({"a": [1]}).lazy().select("b"))
    assert told.value.code == "bad_data"


def test_a_lazy_frame_that_would_fill_the_memory_is_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_values, "_rows_in_memory", lambda _size: 600)
    table: Any = open_value(pl.DataFrame({"a": range(1000)}).lazy())
    assert table.wait(60)
    assert (table.rows, table.notes) == (
        600,
        ("Shown are the first 600 rows: more would fill the memory.",),
    )


def test_a_relation_is_read_at_once_and_leaves_its_connection_free() -> None:
    con = duckdb.connect()
    con.sql("CREATE TABLE t AS SELECT i, 'x' || i AS name FROM range(2000) r(i)")
    table = open_value(con.sql("SELECT * FROM t WHERE i % 2 = 0"))
    con.sql("DROP TABLE t")
    con.close()
    assert table.rows == 1000
    assert shown(table)[1] == [2, "x2"]
    assert all_ids(table, Query(filters=(Filter(1, "=", "x10"),))) == [5]
    table.close()


def test_a_relation_whose_connection_is_in_use_or_closed_is_told() -> None:
    con = duckdb.connect()
    relation = con.sql("SELECT 1 AS a")
    con.close()
    with pytest.raises(BridgeError) as told:
        open_value(relation)
    assert told.value.code == "bad_data"


def test_a_large_relation_is_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_values, "_RELATION_MAX", 10)
    table = open_value(duckdb.connect().sql("SELECT * FROM range(100)"))
    assert (table.rows, table.notes) == (10, ("Shown are the first 10 rows.",))
    table.close()
