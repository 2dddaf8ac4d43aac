"""Filters, searches and sorts go by what the cells show, whatever library holds the data."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.protocol.views import Filter, Marked, Operator, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query, Table
from marimo_kernel_bridge.viewing.tables import excel_files, frame_filters, open_file, open_value
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.duck_table import loaded_table
from tests.unit.viewing.rows_by_hand import all_ids, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OSLO = ZoneInfo("Europe/Oslo")
NAN = float("nan")
VALUES: dict[str, list[Any]] = {
    "text": ["Ærø", "b c", None],
    "integer": [5, -70, None],
    "number": [0.5, 1e20, 1.5e-7],
    "decimal": [Decimal("1.10"), None, Decimal("1234567890.12")],
    "boolean": [True, None, False],
    "date": [dt.date(2024, 3, 1), None, dt.date(1999, 12, 31)],
    "time": [dt.time(1, 2, 3), None, dt.time(23, 59, 59, 5)],
    "moment": [
        dt.datetime.fromisoformat("2024-01-01T11:00:00.500"),
        None,
        dt.datetime.fromisoformat("2024-01-02"),
    ],
    "zoned": [dt.datetime(2024, 1, 1, 11, tzinfo=_OSLO), None, dt.datetime(2024, 7, 1, 9, 30, tzinfo=_OSLO)],
    "span": [dt.timedelta(days=1, hours=2), None, -dt.timedelta(milliseconds=1500)],
    "bytes": [b"\x00\xff", None, b"abc"],
}
NESTED: list[Any] = [["a", 1.5], None, ["b"]]


def _pandas() -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(values) for name, values in VALUES.items()})
    frame["category"] = pd.Categorical(["x", None, "y"])
    frame["numbers"] = pd.Categorical([10, None, 9])
    return frame.assign(nested=pd.Series(NESTED), ns=pd.to_datetime(pd.Series([7, None, 10**18])))


def _polars() -> pl.DataFrame:
    frame = pl.DataFrame({name: pl.Series(values, strict=False) for name, values in VALUES.items()})
    return frame.with_columns(
        category=pl.Series(["x", None, "y"], dtype=pl.Categorical),
        enumeration=pl.Series(["low", None, "high"], dtype=pl.Enum(["low", "high"])),
        ms=pl.Series([1500, None, 86_400_000]).cast(pl.Datetime("ms")),
        ns=pl.Series([7, None, 10**18]).cast(pl.Datetime("ns")),
        span_ns=pl.Series([7, None, 10**18]).cast(pl.Duration("ns")),
        nested=pl.Series([["a"], None, ["b", "c"]]),
    )


def _relation() -> Any:
    """Return a table of DuckDB's own types, which it gets without Arrow."""
    return duckdb.connect().sql(
        """SELECT * FROM (VALUES
            ('Ærø', 5, 0.5::DOUBLE, 1.10::DECIMAL(9, 2), true, DATE '2024-03-01', TIME '01:02:03',
             TIMESTAMP '2024-01-01 11:00:00.5', INTERVAL '1 day 2 hours', '\\x00\\xFF'::BLOB, uuid()),
            ('b c', -70, 1e20, NULL, NULL, NULL, TIME '23:59:59.000005', NULL, INTERVAL '-1.5 seconds', 'abc'::BLOB, NULL),
            (NULL, NULL, 1.5e-7, 12345.67, false, DATE '1999-12-31', NULL, TIMESTAMP '2024-01-02', NULL, NULL, uuid())
        ) t(text, "integer", number, "decimal", "boolean", "date", "time", moment, span, bytes, id)"""
    )


SOURCES: dict[str, Callable[[], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "lists": lambda: VALUES | {"nested": NESTED},
    "objects": lambda: pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in VALUES.items()}
    ),
    "DuckDB": _relation,
}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.t if isinstance(value, Marked) else str(value)


@pytest.mark.parametrize("source", SOURCES)
def test_a_search_for_what_a_cell_shows_finds_its_row(source: str) -> None:
    table = open_value(SOURCES[source]())
    page = table.page(Query(), 0, 10, range(len(table.columns)), Cancellation())
    for row, cells in zip(page.ids, page.rows, strict=True):
        for column, value in zip(table.columns, cells, strict=True):
            if value is not None:
                text = _text(value)
                said = (column.name, column.dtype, text)
                assert row in all_ids(table, Query(search=text)), said
                assert row in all_ids(table, Query(filters=(Filter(column.index, "contains", text),))), said
                assert row in all_ids(table, Query(filters=(Filter(column.index, "starts", text[:12]),))), (
                    said
                )
    table.close()


def _nan_tables() -> list[Table]:
    values = [1.0, NAN, None, 3.0]
    relation = duckdb.connect().sql("SELECT unnest([1, 'nan'::DOUBLE, NULL, 3]) AS a")
    return [
        open_value(one)
        for one in (
            pd.DataFrame({"a": values}),
            pl.DataFrame({"a": values}, strict=False),
            {"a": values},
            pd.DataFrame({"a": pd.Series(values, dtype=object)}),
            relation,
        )
    ]


@pytest.mark.parametrize(
    ("op", "value", "ids"),
    [
        ("null", None, [1, 2]),
        ("not_null", None, [0, 3]),
        ("!=", 1, [3]),
        ("=", 1, [0]),
        (">", 0, [0, 3]),
        ("<=", 3, [0, 3]),
        ("one_of", [1, None], [0, 1, 2]),
        ("contains", "n", []),
    ],
)
def test_nan_is_a_null_to_every_engine(op: Operator, value: Any, ids: list[int]) -> None:
    for table in _nan_tables():
        said = table.kind
        assert all_ids(table, Query(filters=(Filter(0, op, value),))) == ids, said
        assert all_ids(table, Query(sort=(SortKey(0, descending=True),))) == [3, 0, 1, 2], said
        assert all_ids(table, Query(search="nan")) == [], said
        found = table.statistics(Query(), 0, Cancellation())
        assert (found.nulls, found.not_finite, found.distinct, found.mean) == (2, 0, 2, 2.0), said
        table.close()


def test_text_without_a_zone_is_the_time_that_the_cell_shows() -> None:
    zoned = VALUES["zoned"]
    for value in (
        pd.DataFrame({"a": pd.Series(zoned)}),
        pl.DataFrame({"a": pl.Series(zoned)}),
        pd.DataFrame({"a": pd.Series(zoned, dtype=object)}),
        {"a": zoned},
    ):
        table = open_value(value)
        for asked in ("2024-01-01T11:00", "2024-01-01T11:00+01:00", "2024-01-01T10:00Z"):
            assert all_ids(table, Query(filters=(Filter(0, "=", asked),))) == [0], asked
        assert all_ids(table, Query(filters=(Filter(0, ">=", "2024-07-01T09:30"),))) == [2]


@pytest.mark.parametrize("count", [600, 60_000])
@pytest.mark.parametrize("descending", [False, True])
def test_categories_are_sorted_as_they_are_compared(count: int, descending: bool) -> None:  # a parameter
    names = np.array(["low", "high", "middle"])[np.random.default_rng(3).integers(0, 3, count)].tolist()
    kinds = ["low", "middle", "high"]
    sources = {
        "pandas": (pd.Series(pd.Categorical(names, kinds)), sorted(kinds)),
        "pandas, ordered": (pd.Series(pd.Categorical(names, kinds, ordered=True)), kinds),
        "polars": (pl.Series(names, dtype=pl.Categorical), sorted(kinds)),
        "polars, enumeration": (pl.Series(names, dtype=pl.Enum(kinds)), kinds),
    }
    for source, (value, order) in sources.items():
        table = open_value(value)
        places = [order.index(name) for name in names]
        expected = sorted(
            range(count), key=lambda row: -places[row] if descending else places[row]
        )  # used at once
        first = table.page(Query(sort=(SortKey(0, descending),)), 0, 300, [0], Cancellation())
        assert first.ids == expected[:300], source
        for op, met in (("<", places.count(0)), (">=", count - places.count(0))):
            page = table.page(Query(filters=(Filter(0, op, order[1]),)), 0, 1, [0], Cancellation())  # type: ignore[arg-type]
            assert page.matching == met, (source, op)
        table.close()


def test_an_enumeration_of_duckdb_is_compared_in_its_order() -> None:
    database = Database()
    database.run("CREATE TYPE size AS ENUM ('low', 'middle', 'high')")
    database.run("CREATE TABLE loaded AS SELECT unnest(['high', 'low', NULL, 'middle'])::size AS a")
    table = loaded_table(database, "table", None)
    assert all_ids(table, Query(sort=(SortKey(0),))) == [1, 3, 0, 2]
    assert all_ids(table, Query(filters=(Filter(0, ">=", "middle"),))) == [0, 3]
    assert all_ids(table, Query(filters=(Filter(0, "<", "unknown"),))) == []
    table.close()


def test_numbers_of_a_mixed_column_come_first_in_their_order_and_that_is_told() -> None:
    values: list[Any] = [*range(2000, 0, -1), "x", 2.5, None, "10", True]
    for value in (
        {"a": values},
        [{"a": one} for one in values],
        pd.DataFrame({"a": pd.Series(values, dtype=object)}),
    ):
        table = open_value(value)
        assert table.columns[0].kind == "other"
        ids = all_ids(table, Query(sort=(SortKey(0),)))
        assert [values[row] for row in ids[:4]] == [1, 2, 2.5, 3]
        assert [values[row] for row in ids[-5:]] == [2000, "10", True, "x", None]
        below = all_ids(table, Query(filters=(Filter(0, "<", "2.7"),)))
        assert sorted(values[row] for row in below) == [1, 2, 2.5]
        assert [values[row] for row in all_ids(table, Query(filters=(Filter(0, "=", "10"),)))] == [10, "10"]
        assert "numbers first: a" in " ".join(table.notes)


def test_sqlite_keeps_the_digits_of_integers_beside_reals(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as con:
        con.execute("CREATE TABLE t(long, short)")
        con.executemany("INSERT INTO t VALUES (?, ?)", [(9007199254740993, 1), (1.5, 2.5)])
        con.commit()
    table = open_file(tmp_path / "a.sqlite")
    assert table.page(Query(), 0, 2, [0, 1], Cancellation()).rows == [["9007199254740993", 1.0], ["1.5", 2.5]]
    assert "long" in " ".join(table.notes)
    assert "short" not in " ".join(table.notes)
    table.close()


def test_a_sheet_whose_first_heading_is_blank_has_its_headings() -> None:
    assert excel_files._header([["", "a", "b"], [0, 1, "x"]]) == (["A", "a", "b"], [[0, 1, "x"]])
    assert excel_files._header([["Report", "", ""], ["a", "b", 1]])[0] == ["A", "B", "C"]
    assert excel_files._header([[""], [1]])[0] == ["A"]


def _parts(texts: list[str | None], count: int) -> list[str]:
    """Return parts of texts, of all lengths and places."""
    chosen = random.Random(7)
    parts = []
    for _ in range(count):
        text = chosen.choice([one for one in texts if one])
        start = chosen.randrange(len(text))
        parts.append(text[start : start + chosen.randrange(1, len(text) + 1)].strip() or text)
    return parts


def _finds_what_is_shown(table: Table, count: int) -> None:
    texts = [None if row[0] is None else _text(row[0]).lower() for row in shown(table)]
    for part in _parts(texts, count):
        for operator, test in (("contains", str.__contains__), ("starts", str.startswith)):
            wanted = [row for row, text in enumerate(texts) if text is not None and test(text, part)]
            assert all_ids(table, Query(filters=(Filter(0, operator, part),))) == wanted, (operator, part)  # type: ignore[arg-type]  # it is one


@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "America/St_Johns"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_moments_are_found_by_each_part_of_what_their_cells_show(
    unit: Any, zone: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [
        *(
            "2024-03-31 01:59:59.999",
            "2024-10-27 00:30:00",
            "1969-12-31 23:59:59.5",
            "2000-02-29 12:00:00.001",
        ),
        *("1880-01-01 00:00:00", "2024-07-01 20:24:07.07", "1999-12-31 00:00:00", None),
    ]
    column = pl.Series("a", moments).str.to_datetime(time_unit=unit)
    column = column if zone is None else column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    days = pd.Series(moments, dtype=f"datetime64[{unit}]")
    days = days if zone is None else days.dt.tz_localize("UTC").dt.tz_convert(zone)
    for frame in (pl.DataFrame({"a": column}), pd.DataFrame({"a": days})):
        _finds_what_is_shown(open_value(frame), 15)
    if zone is None:
        monkeypatch.setattr(frame_filters, "_MANY", 0)
        _finds_what_is_shown(open_value(pd.DataFrame({"a": days})), 15)


def test_numbers_of_pandas_are_found_alike_in_many_rows_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_filters, "_MANY", 0)
    for values in (
        [1.5, -0.25, 1e20, 1e-7, NAN, float("inf"), 12345.678, 100.0],
        [1, -20, 2**40, 0],
        np.array([7, 255], dtype="u1"),
        np.array([0.1, 2.5], dtype="f4"),
    ):
        _finds_what_is_shown(open_value(pd.DataFrame({"a": values})), 15)
