"""Tables of DuckDB: values that only its own types hold, and orders that are forgotten while they are read."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from marimo_kernel_bridge.protocol.views import Filter, Marked, Operator, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query, Table
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.tables import orders as orders_module
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.orders import Orders
from tests.unit.viewing.rows_by_hand import all_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _table(sql: str) -> Table:
    return open_value(duckdb.connect().sql(sql))


@pytest.fixture
def decimals() -> Iterator[Table]:
    table = _table(
        "SELECT CAST(x AS DECIMAL(38, 0)) AS a FROM (VALUES ('-2'), ('1'), ('2'), (repeat('9', 38)), (NULL)) t(x)"
    )
    yield table
    table.close()


@pytest.mark.parametrize(
    ("op", "value", "ids"),
    [
        (">", "1.5", [2, 3]),
        (">=", "1.5", [2, 3]),
        ("<", "1.5", [0, 1]),
        ("<=", "-1.5", [0]),
        ("=", "1.5", []),
        ("!=", "1.5", [0, 1, 2, 3]),
        ("one_of", ["1.0", "1.5", None, 2], [1, 2, 4]),
        ("=", "9" * 38, [3]),
        ("<", "1e40", [0, 1, 2, 3]),
        (">", "1e40", []),
        (">", "-inf", [0, 1, 2, 3]),
        ("=", "1e-60", []),
    ],
)
def test_decimals_are_compared_exactly_with_any_number(
    decimals: Table, op: Operator, value: Any, ids: list[int]
) -> None:
    assert all_ids(decimals, Query(filters=(Filter(0, op, value),))) == ids


def test_dates_that_python_has_not_have_statistics() -> None:
    table = _table(
        "SELECT CAST(x AS DATE) AS a, CAST(x AS TIMESTAMP) AS b FROM (VALUES ('2024-01-01'), ('20240-05-06'), (NULL)) t(x)"
    )
    for column, kind in ((0, "date"), (1, "datetime")):
        found = table.statistics(Query(), column, Cancellation())
        assert isinstance(found.max, Marked)
        assert (found.max.t[:11], found.max.k) == ("20240-05-06", kind)
        assert [(bar.low, bar.high, bar.count) for bar in found.bins] == [(found.min, found.max, 2)]
    table.close()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("('nan'), ('inf'), ('-inf'), (NULL), ('0'), ('1'), ('2'), ('3')", (2, 2, 4, "-inf", "inf")),
        ("('nan'), (NULL), ('0'), ('1'), ('2'), ('3')", (2, 0, 4, 0.0, 3.0)),
        ("('inf'), ('0'), ('1'), ('2'), ('3')", (0, 1, 4, 0.0, "inf")),
        ("('nan'), ('nan')", (2, 0, 0, None, None)),
    ],
)
def test_bins_are_of_what_is_neither_null_nor_infinite(values: str, expected: tuple[Any, ...]) -> None:
    table = _table(f"SELECT CAST(x AS DOUBLE) AS a FROM (VALUES {values}) t(x)")
    found = table.statistics(Query(), 0, Cancellation())
    ends = [one.t if isinstance(one, Marked) else one for one in (found.min, found.max)]
    counted = sum(bar.count for bar in found.bins)
    assert (found.nulls, found.not_finite, counted, *ends) == expected
    table.close()


def test_a_filter_counts_its_rows_and_finds_the_first_of_them_in_one_scan() -> None:
    table: Any = _table("SELECT i AS a FROM range(30_000) r(i)")
    ran: list[str] = []
    run = table._database.run
    table._database.run = lambda sql, *more: ran.append(sql) or run(sql, *more)
    query = Query(filters=(Filter(0, ">", 99),))
    page = table.page(query, 10, 5, [0], Cancellation())
    assert (page.ids, page.matching, len(ran)) == ([110, 111, 112, 113, 114], 29_900, 2)
    assert table.page(query, 0, 3, [0], Cancellation()).ids == [100, 101, 102]
    table.close()


def test_an_order_that_is_read_is_dropped_afterwards() -> None:
    dropped: list[str] = []
    orders = Orders(dropped.append)
    with orders.read("a", lambda _: "a", Cancellation()) as first:
        with orders.read("a", lambda _: "another", Cancellation()) as again:
            for key in "bcdef":
                orders.get(key, lambda _, key=key: key, Cancellation())  # type: ignore[misc]  # its default binds it
            assert (first, again, dropped) == ("a", "a", ["b"])
        assert dropped == ["b"]
    assert dropped == ["b", "a"]
    orders.close()
    assert sorted(dropped) == list("abcdef")


def test_an_order_that_is_asked_for_again_is_computed_while_pages_of_it_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due: list[Callable[[], None]] = []
    monkeypatch.setattr(orders_module, "run_behind", lambda act, *_: due.append(act))
    orders: Orders[str] = Orders()

    def page(key: str) -> None:
        orders.look_at(key)
        if orders.known(key) is None:
            orders.behind(key, lambda cancellation: cancellation.check() or key)

    for key in ("up", "all", "up"):
        page(key)
    while due:  # a page between any two
        due.pop(0)()
        page("up")
        assert len(due) < 3, "each replaces the one before"
    assert orders.known("up") == "up"


def test_pages_of_many_orders_at_once_are_all_there() -> None:
    table = _table(
        "SELECT i AS a, i % 7 AS b, i % 11 AS c, i % 13 AS d, i % 17 AS e, i % 19 AS f FROM range(3000) r(i)"
    )
    failed: list[BaseException] = []

    def ask(first: int) -> None:
        try:
            for number in range(40):
                key = SortKey((first + number) % 6, descending=bool(number % 2))
                page = table.page(Query(sort=(key,)), 1000, 5, [key.column], Cancellation())
                assert len(page.ids) == 5
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=ask, args=(number * 2,)) for number in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    table.close()
    assert not failed


@pytest.mark.skipif(sys.platform != "linux", reason="DuckDB has an allocator of its own there alone")
def test_what_a_query_has_taken_is_given_back() -> None:
    code = """
import time, psutil
from marimo_kernel_bridge.viewing.tables.duck import Database
own, database = psutil.Process(), Database()
database.run("SELECT 1")
before = own.memory_info().rss
database.run("SELECT count(*) FROM (SELECT DISTINCT 'number ' || range FROM range(600000))")
deadline = time.monotonic() + 60
while (kept := own.memory_info().rss - before) > 12 << 20 and time.monotonic() < deadline:  # of 36
    time.sleep(0.05)
database.close()
print(kept >> 20)
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(told.stdout) <= 12


def test_columns_of_a_loaded_table_are_described_as_those_of_a_query() -> None:
    database = Database()
    try:
        database.run("CREATE TYPE mood AS ENUM ('a', 'b')")
        database.run(
            "CREATE TABLE loaded AS SELECT 1::UHUGEINT a, 1.5::DECIMAL(20, 3) b, {'x': 1, 'y y': [1]} c, MAP {'a': 1} d, "
            "[1, 2]::INT[2] e, NULL f, TIMESTAMPTZ '2020-01-01' g, TIMESTAMP_NS '2020-01-01' h, 'ab'::BLOB i, '101'::BIT j, "
            'uuid() k, union_value(k := 1) l, \'a\'::mood m, 1 AS "o\'d""d"'
        )
        described = database.described("loaded")
        assert described == database.head("SELECT * FROM loaded", 0)[0]
        assert len(described) == 14
    finally:
        database.close()
