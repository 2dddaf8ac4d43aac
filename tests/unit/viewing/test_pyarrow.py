"""Tables of pyarrow, and what is read with it where polars or pandas is not installed: `make pyarrow`, which installs it."""

from __future__ import annotations

import datetime as dt
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.protocol.views import Filter, Marked, SortKey
from marimo_kernel_bridge.viewing.table import Cancellation, Query
from marimo_kernel_bridge.viewing.tables import live_values, open_file, open_value
from tests.unit.viewing.rows_by_hand import all_ids, shown

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow", reason="`make pyarrow` installs it")


def test_durations_have_statistics() -> None:
    values = [dt.timedelta(seconds=3), None, dt.timedelta(days=2)]
    for unit in ("s", "us"):
        table = open_value(pa.table({"a": pa.array(values, pa.duration(unit))}))
        found = table.statistics(Query(), 0, Cancellation())
        assert (found.nulls, found.distinct, sum(each.count for each in found.bins)) == (1, 2, 2)
        assert (found.min, found.max) == (Marked("00:00:03", "duration"), Marked("2d 00:00:00", "duration"))


def test_types_that_pyarrow_does_not_sort_are_sorted_and_searched() -> None:
    table = open_value(
        pa.table(
            {
                "half": pa.array(np.array([2, 1, 3], "f2")),
                "view": pa.array(["b", "a", None], pa.string_view()),
                "runs": pa.RunEndEncodedArray.from_arrays([2, 3], [7, 5]),
            }
        )
    )
    for column, ids in ((0, [1, 0, 2]), (1, [1, 0, 2]), (2, [2, 0, 1])):
        assert all_ids(table, Query(sort=(SortKey(column),))) == ids
    assert all_ids(table, Query(search="a")) == [1]
    assert [one.dtype for one in table.columns][:2] == ["halffloat", "string_view"]


def test_the_first_rows_of_a_large_sort_are_those_of_the_whole_order() -> None:
    values = np.random.default_rng(3).permutation(120_000) // 3
    table = open_value(pa.table({"a": values}))
    query = Query(sort=(SortKey(0),))
    first = table.page(query, 0, 300, [0], Cancellation())
    assert table.page(query, 60_000, 10, [0], Cancellation()).rows == [
        [one] for one in sorted(values.tolist())[60_000:60_010]
    ]
    assert first.ids == np.argsort(values, kind="stable")[:300].tolist()
    assert first == table.page(query, 0, 300, [0], Cancellation())


def test_a_batch_and_columns_of_one_name_are_tables() -> None:
    batch = open_value(pa.record_batch({"a": [1, 2]}))
    assert (batch.kind, shown(batch)) == ("pyarrow Table", [[1], [2]])
    twice = open_value(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    assert ([one.name for one in twice.columns], shown(twice)) == (["a", "a"], [[1, 2]])


@pytest.mark.parametrize("name", ["a.arrow", "a.feather"])
def test_a_file_is_read_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    frame = pl.DataFrame({"a": [3, None, 1], "t": ["x", "y", "z"]})
    if name == "a.arrow":
        frame.write_ipc(tmp_path / name)
    else:
        frame.write_ipc_stream(tmp_path / name)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda what, *more: None if what == "polars" else find(what, *more)
    )
    table = open_file(tmp_path / name)
    assert (table.kind, [(one.name, one.kind) for one in table.columns]) == (
        "Arrow file",
        [("a", "integer"), ("t", "text")],
    )
    assert shown(table) == [[3, "x"], [None, "y"], [1, "z"]]
    assert all_ids(table, Query(sort=(SortKey(0),))) == [2, 0, 1]
    assert all_ids(table, Query(filters=(Filter(0, "null"),))) == [1]


class _Foreign:
    """A frame of a library that nobody knows."""

    def __arrow_c_stream__(self, requested: object = None) -> object:
        return pl.DataFrame({"a": [1.5, None]}).__arrow_c_stream__(requested)


class _Interchanged:
    def __dataframe__(self, **asked: Any) -> object:
        frame: Any = pd.DataFrame({"a": [1.5, None]})
        handed: object = frame.__dataframe__(**asked)
        return handed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what pandas says of the protocol
@pytest.mark.parametrize("value", [_Foreign(), _Interchanged()], ids=["memory", "protocol"])
def test_a_foreign_frame_is_read_where_nothing_else_is_installed_and_stays_one_of_its_library(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(live_values, "_installed", lambda library: library == "pyarrow")
    table = open_value(value)
    assert table.kind.endswith(type(value).__name__)
    assert shown(table) == [[1.5], [None]]
