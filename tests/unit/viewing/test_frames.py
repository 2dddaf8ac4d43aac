"""Frames of pandas and polars as people expect to see them, and values that JSON cannot hold."""

from __future__ import annotations

import datetime as dt
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, Marked, Operator, SortKey
from marimo_kernel_bridge.viewing.behind import set_behind
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Query
from marimo_kernel_bridge.viewing.tables import live_values, open_value, pandas_texts
from tests.unit.viewing.rows_by_hand import ODD, all_ids, shown

if TYPE_CHECKING:
    from collections.abc import Callable


def _names(value: Any) -> list[str]:
    return [column.name for column in open_value(value).columns]


def test_an_index_that_says_something_is_shown_and_the_numbers_from_0_are_not() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]})
    assert _names(frame) == ["x"]
    assert _names(frame[frame["x"] > 1]) == ["index", "x"]
    assert _names(frame.set_index(pd.Index(["a", "b", "c"], name="key"))) == ["key", "x"]
    levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", None])
    table = open_value(frame.set_index(levels))
    assert [column.name for column in table.columns] == ["letter", "level_1", "x"]
    assert shown(table)[2] == ["b", 1, 3]
    assert table.notes == ("The index is shown as the first columns: letter, level_1.",)


def test_columns_of_several_levels_of_one_name_and_of_numbers() -> None:
    assert _names(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "")]))) == [
        "a / x",
        "a",
    ]
    table = open_value(pd.DataFrame([[1, "b", 3]], columns=["a", "a", 7]))
    assert [(column.name, column.kind) for column in table.columns] == [
        ("a", "integer"),
        ("a", "text"),
        ("7", "integer"),
    ]
    assert shown(table) == [[1, "b", 3]]


def test_values_that_json_does_not_hold_are_text_with_their_kind() -> None:
    expected: dict[str, list[Any]] = {
        "big": [Marked("9007199254740993", "big"), Marked("-1152921504606846976", "big"), 3],
        "decimal": ["1.1000000000", None, "12345678901234567890.1200000000"],
        "blob": [Marked("00ff", "bytes"), None, Marked("", "bytes")],
        "time": [Marked("01:02:03", "time"), None, Marked("23:59:59.000005", "time")],
        "span": [Marked("1d 00:00:03", "duration"), None, Marked("-00:00:01", "duration")],
        "zoned": [
            Marked("2024-03-31 01:30:00+00:00", "datetime"),
            None,
            Marked("2024-07-01 00:00:00+00:00", "datetime"),
        ],
        "float": [Marked("NaN", "nan"), Marked("inf", "inf"), 0.1],
        "html": ["<img src=x onerror=alert(1)>", Marked("x" * 300, "long"), None],
    }
    for name, values in ODD.items():
        for value in (values, pl.Series(values), pd.Series(values, dtype=object)):
            seen = [row[0] for row in shown(open_value({name: value} if value is values else value))]
            if name == "decimal":
                seen = [one and one.t.rstrip("0") for one in seen]
                assert seen == [one and one.rstrip("0") for one in expected[name]]
            elif name == "float" and isinstance(value, pd.Series):
                assert seen == [None, *expected[name][1:]]  # as pandas has it
            else:
                assert [_cut(one) for one in seen] == expected[name], type(value)


def _cut(value: Any) -> Any:
    return Marked(value.t.removesuffix("…"), value.k) if isinstance(value, Marked) else value


def test_digits_after_microseconds_and_zones_are_kept() -> None:
    nanoseconds = pl.Series([1711849500000000007]).cast(pl.Datetime("ns", "Europe/Paris"))
    (((shown_,),)) = (shown(open_value(nanoseconds))[0],)
    assert shown_ == Marked("2024-03-31 03:45:00.000000007+02:00", "datetime")
    stamp = pd.Series([pd.Timestamp(1711849500000000007, tz="Europe/Paris")])
    assert shown(open_value(stamp)) == [[shown_]]
    assert shown(open_value(pl.Series([90_000_000_000_007]).cast(pl.Duration("ns")))) == [
        [Marked("1d 01:00:00.000000007", "duration")]
    ]


def test_moments_are_compared_in_the_zone_of_their_column() -> None:
    moments = pd.Series(pd.date_range("2024-03-31", periods=6, freq="h", tz="Europe/Paris"))
    for value in (
        moments,
        pl.from_pandas(moments) if "pyarrow" in sys.modules else pl.Series(moments.to_list()),
    ):
        table = open_value(value)
        assert all_ids(table, Query(filters=(Filter(0, ">=", "2024-03-31T04:00+02:00"),))) == [3, 4, 5]
        utc = Query(filters=(Filter(0, "<", "2024-03-31T00:00Z"),))
        assert all_ids(table, utc) == [0]


def test_nested_values_and_objects_are_text_and_detail_has_all() -> None:
    values = [{"a": [1, None, "x"]}, [1.5] * 1000, {1, 2}, object(), float("nan"), "text"]
    table = open_value(pd.DataFrame({"mixed": pd.Series(values, dtype=object)}))
    cells = [row[0] for row in shown(table)]
    assert cells[0] == Marked('{"a": [1, null, "x"]}', "nested")
    assert len(cells[1].t) == 301
    assert cells[3] == Marked("<object>", "other")
    assert cells[4:] == [None, "text"]
    whole = table.detail(1, 0)
    assert whole.json == [1.5] * 1000
    assert not whole.cut
    assert all_ids(table, Query(search="TEXT")) == [5]
    assert sorted(all_ids(table, Query(sort=(SortKey(0),)))) == [0, 1, 2, 3, 4, 5]


def test_a_foreign_object_runs_no_code_of_its_own() -> None:
    class Trap:
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __str__

    table = open_value([{"a": Trap()}])
    assert shown(table)[0][0].t.endswith("Trap>")


def test_text_of_half_a_surrogate_pair_is_escaped() -> None:
    assert shown(open_value([{"a": "\ud800"}])) == [["\\ud800"]]


def test_nan_is_counted_as_null_and_infinities_apart_from_the_bins() -> None:
    values = [float("nan"), float("inf"), float("-inf"), None, *map(float, range(10))]
    found = open_value(pl.Series(values, dtype=pl.Float64)).statistics(Query(), 0, Cancellation())
    assert (found.nulls, found.not_finite, sum(bar.count for bar in found.bins)) == (2, 2, 10)
    assert (found.min, found.max, found.mean) == (Marked("-inf", "inf"), Marked("inf", "inf"), 4.5)


def test_nan_sorts_last_in_both_directions_and_meets_no_comparison() -> None:
    table = open_value(pl.Series([float("nan"), 2.0, None, 1.0]))
    assert all_ids(table, Query(sort=(SortKey(0),))) == [3, 1, 0, 2]
    assert all_ids(table, Query(sort=(SortKey(0, descending=True),))) == [1, 3, 0, 2]
    assert all_ids(table, Query(filters=(Filter(0, ">", 0),))) == [1, 3]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_empty_frames_have_columns_and_statistics(make: Any) -> None:
    table = open_value(make({"a": [1], "b": ["x"]})[:0])
    assert (table.rows, shown(table)) == (0, [])
    assert all_ids(table, Query(search="x", sort=(SortKey(0), SortKey(1)))) == []
    for column in (0, 1):
        assert table.statistics(Query(), column, Cancellation()).rows == 0


def test_a_column_of_nulls_alone() -> None:
    for value in (pl.DataFrame({"a": [None, None]}), pd.DataFrame({"a": [None, None]})):
        table = open_value(value)
        assert table.columns[0].kind == "null"
        assert shown(table) == [[None], [None]]
        assert table.statistics(Query(), 0, Cancellation()).nulls == 2


def test_ten_thousand_columns_open_and_a_page_has_those_that_are_asked_for() -> None:
    frame = pd.DataFrame(np.zeros((5, 10_000)))
    for value in (frame, pl.DataFrame(np.zeros((5, 10_000)))):
        table = open_value(value)
        assert len(table.columns) == 10_000
        page = table.page(Query(sort=(SortKey(9_999),)), 0, 10, [5_000, 9_999], Cancellation())
        assert page.rows == [[0.0, 0.0]] * 5


def test_the_first_rows_of_a_large_sort_are_those_of_the_whole_order() -> None:
    values = np.random.default_rng(3).permutation(120_000) // 3
    for value in (pd.DataFrame({"a": values, "b": -values}), pl.DataFrame({"a": values, "b": -values})):
        for query in (Query(sort=(SortKey(0),)), Query(sort=(SortKey(1, descending=True), SortKey(0)))):
            table = open_value(value)
            first = table.page(query, 0, 300, [0], Cancellation())
            later = table.page(query, 60_000, 10, [0], Cancellation())
            again = table.page(query, 0, 300, [0], Cancellation())
            assert first == again
            assert first.ids == np.argsort(values, kind="stable")[:300].tolist()
            assert later.rows == [[one] for one in sorted(values.tolist())[60_000:60_010]]


def test_a_snapshot_is_shown_while_pandas_changes_the_frame_and_the_change_is_told() -> None:
    frame = pd.DataFrame({"a": [3, 1, 2], "b": ["x", "y", "z"]})
    table = open_value(frame)
    assert table.altered() == ""
    frame.loc[0, "a"] = -5
    assert table.altered() == "changed"
    frame = pd.DataFrame({"a": [3, 1, 2]})
    table = open_value(frame)
    frame["new"] = 1
    assert table.altered() == "changed"


def test_decimals_are_sorted_by_their_library_at_once_and_after() -> None:
    values = np.random.default_rng(3).permutation(60_000)
    table: Any = open_value(pl.DataFrame({"a": values}).select(pl.col("a").cast(pl.Decimal(12, 2))))
    query = Query(sort=(SortKey(0, descending=True),))
    asked = []
    table._values = lambda *given: asked.append(given)
    ids = table._ids(query, 0, 300, Cancellation())[0]
    late = table._ids(query, 50_000, 10, Cancellation())[0]
    order = np.argsort(-values, kind="stable").tolist()
    assert (ids, late, asked) == (order[:300], order[50_000:50_010], [])


def test_one_changed_cell_of_many_in_a_frame_of_pandas_is_noticed() -> None:
    frame = pd.DataFrame({"a": range(1000), "b": ["x"] * 1000})
    table = open_value(frame)
    frame.loc[1, "a"] = -5
    assert table.altered() == "changed"
    assert shown(table)[1] == [1, "x"]


def test_polars_keeps_what_was_shown_and_the_change_is_told() -> None:
    frame = pl.DataFrame({"a": [3, 1, 2]})
    table = open_value(frame)
    frame[0, "a"] = -5
    assert shown(table) == [[3], [1], [2]]
    assert table.altered() == "changed"


def test_an_array_changed_in_place_is_noticed() -> None:
    array = np.arange(12.0).reshape(4, 3)
    table = open_value(array)
    assert shown(table)[1] == [3.0, 4.0, 5.0]
    assert table.altered() == ""
    array[3, 2] = -1
    assert table.altered() == "changed"


def test_arrays_with_fields_with_one_dimension_and_of_dates() -> None:
    fields = np.array([(1, "a"), (2, "b")], dtype=[("n", "i4"), ("t", "U3")])
    assert shown(open_value(fields)) == [[1, "a"], [2, "b"]]
    assert shown(open_value(np.array([1.5, 2.5]))) == [[1.5], [2.5]]
    dates = np.array(["2024-01-01", "NaT"], dtype="M8[D]")
    assert shown(open_value(dates)) == [[Marked("2024-01-01 00:00:00", "datetime")], [None]]
    with pytest.raises(BridgeError, match="3 dimensions"):
        open_value(np.zeros((2, 2, 2)))


def test_nothing_of_a_frame_is_copied() -> None:
    values = np.arange(1000.0)
    frame = pd.DataFrame({"a": values}, copy=False)
    table: Any = open_value(frame)
    assert np.shares_memory(table._frame.to_native()["0"].to_numpy(), frame["a"].to_numpy())
    assert list(frame.columns) == ["a"]


def test_a_thread_that_waits_for_an_order_ends_when_it_is_cancelled() -> None:
    table: Any = open_value(pd.DataFrame({"a": range(10)}))
    query = Query(sort=(SortKey(0),))
    entered, leave = threading.Event(), threading.Event()

    def slow(_own: Cancellation) -> object:
        entered.set()
        assert leave.wait(30)
        return None

    thread = threading.Thread(target=lambda: table._orders.get(query.key, slow, Cancellation()))
    thread.start()
    assert entered.wait(30)
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CancelledError):
        table.page(query, 0, 10, [0], cancellation)
    leave.set()
    thread.join(30)


def test_dates_and_durations_have_bins_of_their_own_kind() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(40)]
    bars = open_value(pl.Series(days)).statistics(Query(), 0, Cancellation()).bins
    assert (bars[0].low, bars[-1].high) == (Marked("2024-01-01", "date"), Marked("2024-02-09", "date"))
    spans = [dt.timedelta(minutes=number) for number in range(40)]
    bars = open_value(pl.Series(spans)).statistics(Query(), 0, Cancellation()).bins
    assert bars[-1].high == Marked("00:39:00", "duration")


def test_a_stream_that_can_be_read_once_is_left_alone() -> None:
    class Reader:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise AssertionError

        def read_next_batch(self) -> object:
            raise AssertionError

    with pytest.raises(BridgeError, match="read only once"):
        open_value(Reader())


@pytest.mark.parametrize("most", [2**40, 0])
@pytest.mark.parametrize("descending", [False, True])
def test_texts_of_pandas_are_sorted_by_their_characters_and_equal_ones_stay(
    monkeypatch: pytest.MonkeyPatch, most: int, descending: bool
) -> None:
    monkeypatch.setattr(pandas_texts, "_CHUNK", 7)
    monkeypatch.setattr(pandas_texts, "_BYTES_MAX", most)
    texts = [None, "b", "", "a", "Z", "\U0001f600", "é", "b", "a" * 400, "\uffff", "ab", None, "a", "b"] * 3
    table = open_value(pd.DataFrame({"t": pd.Series(texts, dtype="str")}))
    present = [place for place, text in enumerate(texts) if text is not None]
    present.sort(key=lambda place: str(texts[place]), reverse=descending)
    expected = [*present, *(place for place, text in enumerate(texts) if text is None)]
    assert all_ids(table, Query(sort=(SortKey(0, descending=descending),))) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what pandas says of the protocol
def test_a_value_of_the_interchange_protocol_alone_is_a_table() -> None:
    class Foreign:
        def __dataframe__(self, **asked: Any) -> object:
            frame: Any = pd.DataFrame({"a": [1.5, None], "t": ["x", "y"]})
            handed: object = frame.__dataframe__(**asked)
            return handed

    table = open_value(Foreign())
    assert [(one.name, one.kind) for one in table.columns] == [("a", "number"), ("t", "text")]
    assert [row[1] for row in shown(table)] == ["x", "y"]
    assert table.kind.endswith("Foreign")


def test_without_a_reader_of_the_interchange_protocol_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Foreign:
        def __dataframe__(self) -> object:
            raise AssertionError

    monkeypatch.setattr(live_values, "_installed", lambda _: False)
    with pytest.raises(BridgeError) as told:
        open_value(Foreign())
    assert (told.value.code, "pandas or pyarrow" in told.value.message) == ("not_installed", True)


def test_texts_that_differ_in_what_numpy_leaves_out_are_told_apart() -> None:
    texts = ["a\0", "a", "a\0\0", "b", "a\0"]
    table = open_value(pd.DataFrame({"t": pd.Series(texts, dtype="str")}))
    assert all_ids(table, Query(sort=(SortKey(0),))) == [1, 0, 4, 2, 3]
    assert all_ids(table, Query(sort=(SortKey(0, descending=True),))) == [3, 2, 0, 4, 1]


@pytest.mark.parametrize(
    ("op", "value", "ids"),
    [
        ("contains", "k", [0, 2]),
        ("contains", "K", [0, 2]),
        ("starts", "2", [1, 4]),
        ("starts", "i", [3]),
        ("contains", "-", [1]),
        ("contains", "", [0, 1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("make", ["pandas", "polars", "list", "duckdb"])
def test_letters_are_found_in_any_case_and_signs_as_they_are(
    make: str, op: Operator, value: str, ids: list[int]
) -> None:
    texts = ["1 \u212a", "2-3", "Kilo", "\u0130x", "2", None]  # Kelvin's sign, whose small letter is "k"
    values: Any = {
        "pandas": lambda: pd.DataFrame({"t": pd.Series(texts, dtype="str")}),
        "polars": lambda: pl.DataFrame({"t": texts}),
        "list": lambda: [{"t": text} for text in texts],
        "duckdb": lambda: duckdb.connect().sql("SELECT unnest(?) AS t", params=[texts]),
    }[make]()
    table = open_value(values)
    assert all_ids(table, Query(filters=(Filter(0, op, value),))) == ids
    table.close()


@pytest.mark.parametrize("make", ["polars", "duckdb"])
@pytest.mark.parametrize(
    ("asked", "computed"), [("up down", "down"), ("down", "down"), ("up all", ""), ("few up", "up")]
)
def test_the_whole_of_an_order_is_computed_behind_its_begin_if_that_is_still_looked_at(
    make: str, asked: str, computed: str
) -> None:
    frame = pl.DataFrame({"a": range(60_000)})
    relation = duckdb.connect().sql("SELECT range AS a FROM range(60_000)")
    table: Any = open_value(frame if make == "polars" else relation)
    queries = {
        "up": Query(sort=(SortKey(0),)),
        "down": Query(sort=(SortKey(0, descending=True),)),
        "few": Query(sort=(SortKey(0),), filters=(Filter(0, "<", 50_500),)),
        "all": Query(),
    }
    due: list[tuple[Callable[[], object], float]] = []

    def look() -> None:
        set_behind(lambda act, after: due.append((act, after)))
        for one in asked.split():
            table.page(queries[one], 0, 5, [0], Cancellation())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(30)
    for act, after in due:
        assert after > 0
        act()
    assert [one for one in queries if table._orders.known(queries[one].key) is not None] == computed.split()
    table.close()


def test_one_long_text_among_many_takes_no_memory_for_all() -> None:
    texts = pd.Series([*map(str, range(50_000)), "x" * 10_000_000], dtype="str")
    tracemalloc.start()
    try:
        assert pandas_texts.order_of(texts, descending=False) is None
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_moments_of_years_that_python_has_not_are_shown_sorted_and_counted() -> None:
    frame = pl.DataFrame(
        {
            "at": pl.Series([10**17, -(10**17), None, 0]).cast(pl.Datetime("us")),
            "day": pl.Series([10**7, -(10**6), None, 0], dtype=pl.Int32).cast(pl.Date),
        }
    )
    table = open_value(frame)
    assert table.altered() == ""
    at, day = (str(one.t) for one in shown(table)[1])
    assert at.startswith("-1199-")
    assert day.startswith(("-0768-", "-768-"))
    for column in (0, 1):
        assert all_ids(table, Query(sort=(SortKey(column),))) == [1, 3, 0, 2]
        found = table.statistics(Query(), column, Cancellation())
        assert (found.rows, found.nulls, found.distinct, found.bins[0].count) == (4, 1, 3, 3)
        assert (found.min, found.max) == (shown(table)[1][column], shown(table)[0][column])


def test_a_column_of_another_library_than_pandas_holds_no_texts_of_python() -> None:
    assert not pandas_texts.holds_texts(object())  # a column of pyarrow has no dtype
    assert not pandas_texts.holds_texts(pl.Series(["a"]))
    assert pandas_texts.holds_texts(pd.Series(["a"], dtype=pd.StringDtype("python")))


def test_a_wide_frame_of_a_few_rows_is_searched_by_its_cells() -> None:
    table = open_value(pl.DataFrame({f"c{number}": [number, None, 7] for number in range(300)}))
    assert all_ids(table, Query(search="299")) == [0]
    assert all_ids(table, Query(filters=(Filter(9, "starts", "7"),))) == [2]
