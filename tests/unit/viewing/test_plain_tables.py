"""Lists of dicts and dicts of lists as tables."""

from __future__ import annotations

from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import Filter, Marked, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Query, Table
from marimo_kernel_bridge.viewing.tables import open_value

PEOPLE: list[dict[str, Any]] = [
    {"name": "Ada", "age": 36, "city": "London"},
    {"name": "Grace", "age": 85},
    {"name": "alan", "age": 41, "city": "Wilmslow"},
    {"name": "Edsger", "age": None, "city": "Austin"},
    {"name": "Barbara", "age": 36, "city": "Boston"},
]

ALL = Query()


def shown(table: Table, query: Query = ALL) -> list[list[Any]]:
    return table.page(query, 0, 100, range(len(table.columns)), Cancellation()).rows


def ids(table: Table, query: Query) -> list[int]:
    return table.page(query, 0, 100, [0], Cancellation()).ids


def test_keys_are_columns_and_a_missing_one_is_null() -> None:
    table = open_value(PEOPLE)
    assert [(column.name, column.kind) for column in table.columns] == [
        ("name", "text"),
        ("age", "integer"),
        ("city", "text"),
    ]
    assert table.rows == 5
    assert shown(table)[1] == ["Grace", 85, None]


def test_a_sort_by_two_keys_keeps_the_order_of_equal_rows_and_puts_nulls_last() -> None:
    table = open_value(PEOPLE)
    assert ids(table, Query(sort=(SortKey(1),))) == [0, 4, 2, 1, 3]
    assert ids(table, Query(sort=(SortKey(1, descending=True),))) == [1, 2, 0, 4, 3]
    assert ids(table, Query(sort=(SortKey(1), SortKey(0, descending=True)))) == [4, 0, 2, 1, 3]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Filter(1, "=", 36), [0, 4]),
        (Filter(1, ">=", "41"), [1, 2]),
        (Filter(1, "null"), [3]),
        (Filter(2, "not_null"), [0, 2, 3, 4]),
        (Filter(0, "contains", "A"), [0, 1, 2, 4]),
        (Filter(0, "starts", "a"), [0, 2]),
        (Filter(1, "one_of", [85, None]), [1, 3]),
    ],
)
def test_each_operator_of_a_filter(condition: Filter, expected: list[int]) -> None:
    assert ids(open_value(PEOPLE), Query(filters=(condition,))) == expected


def test_a_search_looks_at_each_column() -> None:
    assert ids(open_value(PEOPLE), Query(search="on")) == [0, 4]
    assert ids(open_value(PEOPLE), Query(search="85")) == [1]


def test_values_that_make_no_sense_for_a_column_are_refused() -> None:
    table = open_value(PEOPLE)
    for query in (
        Query(filters=(Filter(1, "=", "many"),)),
        Query(filters=(Filter(9, "=", 1),)),
        Query(sort=(SortKey(-1),)),
        Query(filters=(Filter(1, "one_of", 3),)),
    ):
        with pytest.raises(BridgeError) as refused:
            table.check(query)
        assert refused.value.code == "bad_request"


def test_bins_add_up_to_the_values_that_are_not_null() -> None:
    values = [*range(100), None, float("nan"), float("inf")]
    statistics = open_value({"x": values}).statistics(Query(), 0, Cancellation())
    assert (statistics.rows, statistics.nulls, statistics.not_finite) == (103, 2, 1)
    assert sum(bar.count for bar in statistics.bins) == 100
    assert (statistics.min, statistics.max, statistics.median) == (0, Marked("inf", "inf"), 49)


def test_statistics_are_of_the_rows_that_the_filters_leave() -> None:
    statistics = open_value(PEOPLE).statistics(Query(filters=(Filter(1, "=", 36),)), 2, Cancellation())
    assert statistics.top == (("London", 1), ("Boston", 1))


def test_cancelled_work_ends() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CancelledError):
        open_value(PEOPLE).page(Query(sort=(SortKey(1),)), 0, 10, [0], cancellation)


def test_a_list_that_grew_is_noticed_and_shows_its_old_rows() -> None:
    rows = [dict(row) for row in PEOPLE]
    table = open_value(rows)
    assert table.altered() == ""
    rows.insert(0, {"name": "new"})
    assert table.altered() == "changed"
    assert shown(table)[0][0] == "Ada"


def test_lists_that_became_shorter_while_they_are_read_are_told() -> None:
    columns: dict[str, list[int]] = {"a": [1, 2, 3], "b": [4, 5, 6]}
    table = open_value(columns)
    columns["b"].clear()
    with pytest.raises(BridgeError) as told:
        shown(table)
    assert told.value.code == "data_changed"


def test_other_values_are_no_tables() -> None:
    for value in (3, "text", [], [1, 2], {"a": 1}, {"a": [1], "b": [1, 2]}):
        with pytest.raises(BridgeError) as refused:
            open_value(value)
        assert refused.value.code == "not_a_table"


def test_a_large_array_is_compared_in_steps_and_each_cell_of_it() -> None:
    """Python runs one thread at a time, and a copy of all is one step."""
    np = pytest.importorskip("numpy")
    copied: list[int] = []

    class Watched(np.ndarray):  # type: ignore[misc, name-defined]
        def tobytes(self, *arguments: Any, **options: Any) -> bytes:
            copied.append(self.nbytes)
            return super().tobytes(*arguments, **options)

    array = np.zeros((500_000, 4)).view(Watched)
    table = open_value(array)
    assert table.altered() == ""
    assert max(copied) <= 2 * 1024 * 1024
    array[333_333, 2] = 1
    assert table.altered() == "changed"
