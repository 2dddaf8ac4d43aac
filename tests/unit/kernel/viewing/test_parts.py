"""Parts of tables and their groups: right whatever holds them, bounded, and read without code of the value's own."""

from __future__ import annotations

import collections
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.viewing.parts import read_part
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.views import TablePart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.kernel.notebook_in_memory import FrontEnd

CITIES = ["Oslo", "Rome", "Oslo", "Lima", "Oslo", "Rome"]
PRICES = [1.0, 2.0, 3.0, 4.0, 8.0, 6.0]
DATA: dict[str, list[Any]] = {"city": CITIES, "price": PRICES}

MAKERS: list[Callable[[dict[str, list[Any]]], Any]] = [
    pd.DataFrame,
    pl.DataFrame,
    dict,
    lambda data: [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)],
]
IDS = ["pandas", "polars", "dict", "records"]


def part(value: object, **asked: Any) -> TablePart:
    return read_part(value, wire.ReadTable(name="x", **asked))


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_rows_and_groups_are_the_same_whatever_holds_the_table(
    make: Callable[[dict[str, list[Any]]], Any],
) -> None:
    value = make(DATA)
    rows = part(value)
    assert rows.rows == tuple(zip(CITIES, PRICES, strict=True))
    assert [(column.name, column.kind) for column in rows.columns] == [("city", "text"), ("price", "number")]
    assert (rows.total, rows.note) == (6, "")
    counts = part(value, by=["city"])
    assert counts.rows == (("Oslo", 3), ("Rome", 2), ("Lima", 1))
    assert counts.columns[-1].name == "count"
    means = part(value, by=["city"], columns=["price"], how="mean")
    assert dict(means.rows) == {  # type: ignore[arg-type]  # pairs
        "Oslo": 4.0,
        "Rome": 4.0,
        "Lima": 4.0,
    }
    assert means.note == "Means of all 6 rows, 3 groups."
    assert part(value, by=["city"], columns=["price"], how="median").rows[0][1] is not None
    assert dict(part(value, by=["city"], columns=["price"], how="sum").rows) == {  # type: ignore[arg-type]  # pairs
        "Oslo": 12.0,
        "Rome": 8.0,
        "Lima": 4.0,
    }


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_of_many_rows_an_even_sample_is_read_and_said(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    value = make({"n": list(range(10_000))})
    sample = part(value, rows=100)
    assert [row[0] for row in sample.rows] == list(range(0, 10_000, 100))
    assert (sample.total, sample.note) == (10_000, "Each 100th row: 100 of 10,000.")
    assert part(value, rows=0).rows == ()
    assert part(value, rows=0).columns[0].name == "n"
    assert len(part(value, rows=10**9).rows) <= 5000


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_a_histogram_is_of_all_rows(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    found = part(make({"n": [number % 40 for number in range(8000)]}), by=["n"], bins=True)
    assert sum(row[2] for row in found.rows) == 8000  # type: ignore[misc]  # counts
    assert (found.rows[0][0], found.rows[-1][1]) == (0, 39)
    assert found.note == "Counts of all 8,000 rows."


def test_more_groups_than_asked_for_are_left_out_and_said() -> None:
    found = part(pd.DataFrame({"n": [number % 30 for number in range(900)]}), by=["n"], rows=10)
    assert len(found.rows) == 10
    assert found.note == "Counts of all 900 rows; the 10 largest of 30 groups."


def test_values_of_python_are_grouped_up_to_a_number_of_rows_and_the_sample_is_said() -> None:
    found = part({"n": [number % 2 for number in range(250_000)]}, by=["n"])
    assert found.note == "Counts of each 3rd row, 83,334 of 250,000, 2 groups."
    assert sum(row[1] for row in found.rows) == 83_334  # type: ignore[misc]  # counts


def test_values_are_numbers_and_short_texts() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(pd.Series(["2026-01-02", None])),
            "money": [Decimal("1.50"), None],
            "not": [float("nan"), float("inf")],
            "deep": [[1, 2], {"a": 1}],
            "long": ["x" * 1000, "short"],
        }
    )
    found = part(frame)
    assert found.rows[0] == ("2026-01-02 00:00:00", 1.5, None, "[nested]", "[long text]")
    assert found.rows[1] == (None, None, None, "[nested]", "short")


def test_lists_of_numbers_dicts_of_numbers_and_arrays_are_tables() -> None:
    assert part([3, 1, 2]).rows == ((0, 3), (1, 1), (2, 2))
    assert part({"a": 3, "b": 1}).rows == (("a", 3), ("b", 1))
    assert part([[1, 2], [3, 4]]).rows == ((1, 2), (3, 4))
    assert part(np.array([[1, 2], [3, 4]])).rows == ((1, 2), (3, 4))
    assert part(pd.Series([5, 6], name="s")).rows == ((5,), (6,))
    assert part(pl.Series("s", [5, 6])).columns[0].name == "s"


def test_a_dict_of_names_is_pairs() -> None:
    pairs = part({"a": ["b", "c"], "b": ["c"], "c": []}, edges=True)
    assert pairs.rows == (("a", "b"), ("a", "c"), ("b", "c"))
    assert [column.name for column in pairs.columns] == ["source", "target"]
    assert part(pd.DataFrame(DATA), edges=True).total == 6


class Loud(pd.DataFrame):
    """A class of the user's."""

    def __len__(self) -> int:
        raise AssertionError("its code ran")

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError("its code ran")


class Sly(dict[str, Any]):
    """Another one."""

    def values(self) -> Any:
        raise AssertionError("its code ran")


@pytest.mark.parametrize(
    "value",
    [
        object.__new__(Loud),
        Sly(a=[1]),
        [Sly(a=1)],
        collections.UserDict(a=[1]),
        pl.LazyFrame({"a": [1]}),
        [],
        {},
        {"a": [1], "b": [1, 2]},
        [1, [2]],
        "text",
        5,
        type("Table", (), {"__arrow_c_stream__": lambda _: 1 / 0}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_by_its_exact_class_is_refused_and_none_of_its_code_runs(value: object) -> None:
    with pytest.raises(BridgeError) as refusal:
        part(value)
    assert refusal.value.code == "not_a_table"


def test_attributes_of_a_frame_that_have_code_are_not_copied() -> None:
    class Copied:
        def __deepcopy__(self, memo: object) -> None:
            raise AssertionError("its code ran")

    frame = pd.DataFrame(DATA)
    frame.attrs["meta"] = Copied()
    assert part(frame, rows=2).total == 6
    assert part(frame, by=["city"]).rows[0] == ("Oslo", 3)
    assert isinstance(frame.attrs["meta"], Copied)


def test_an_unknown_column_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(BridgeError, match=r"'prise'.*price"):
        part(pd.DataFrame(DATA), columns=["prise"])
    with pytest.raises(BridgeError, match="takes one column of numbers"):
        part(pd.DataFrame(DATA), by=["city"], columns=["city"], how="mean")


# In the kernel


def test_it_is_read_between_runs_alone_and_changes_nothing(lab: FrontEnd, connect: Any) -> None:
    agent = connect("lab")
    lab.run("one", "df = {'a': [1, 2]}")
    before = agent.ask(wire.ListCells())["result"]
    reply = agent.ask(wire.ReadTable(name="df"), "shell")
    assert wire.decode_reply(reply, TablePart).rows == ((1,), (2,))
    with pytest.raises(BridgeError, match="between runs"):
        wire.decode_reply(agent.ask(wire.ReadTable(name="df")), TablePart)
    with pytest.raises(BridgeError, match="no variable 'nosuch'"):
        wire.decode_reply(agent.ask(wire.ReadTable(name="nosuch"), "shell"), TablePart)
    assert agent.ask(wire.ListCells())["result"] == before
