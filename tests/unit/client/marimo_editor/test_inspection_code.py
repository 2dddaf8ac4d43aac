"""The code that reads variables in marimo's kernel: what it says of values, and that it runs none of their code."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.client.marimo_editor import scratch
from marimo_kernel_bridge.client.marimo_editor.inspection_code import listed, sampled, text


class Hostile:
    """An object whose methods fail."""

    def __repr__(self) -> str:
        raise AssertionError

    __str__ = __len__ = __iter__ = __repr__


def test_variables_are_listed_with_type_and_size_modules_last() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    names = {"math": math, "x": 1, "_private": 2, "frame": frame, "bad": Hostile(), "f": lambda a, b: a + b}
    found = listed(names)
    assert [(one["name"], one["type"].rpartition(".")[2], one["summary"]) for one in found] == [
        ("x", "int", "1"),
        ("frame", "DataFrame", "2 rows, 1 columns"),
        ("bad", "Hostile", f"<{__name__}.Hostile>"),
        ("f", "function", "function of 2 arguments"),
        ("math", "module", "module"),
    ]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}), [["2", "nan"], ["3", "'z'"]]),
        (pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}), [["2", "None"], ["3", "'z'"]]),
    ],
)
def test_rows_of_tables_are_read_from_a_place_on(value: object, said: list[list[str]]) -> None:
    content = sampled("t", value, 2, 1)
    assert (content["rows"], content["total_rows"], content["total_columns"]) == (said, 3, 2)
    assert [column["name"] for column in content["columns"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "items", "total"),
    [
        (pd.Series([1, 2, 3]), ["2", "3"], 3),
        (pl.Series([1, 2, 3]), ["2", "3"], 3),
        (np.arange(4).reshape(2, 2), ["1", "2"], 4),
        (np.arange(8).reshape(2, 4)[:, ::2], ["2", "4"], 4),
        ([1, [2], Hostile()], ["<list of 1>", f"<{__name__}.Hostile>"], 3),
        ({"a": 1, "b": b"x", "c": None}, ["'b': b'x'", "'c': None"], 3),
        (Hostile(), None, None),
    ],
)
def test_items_of_containers_are_read_from_a_place_on(
    value: object, items: list[str] | None, total: int | None
) -> None:
    content = sampled("v", value, 2, 1)
    assert (content.get("items"), content.get("total_items")) == (items, total)


def test_long_values_are_cut() -> None:
    assert len(text("x" * 10**6)) == 80
    assert text(10**400) == "an integer of 1329 bits"
    assert text(np.float64(1.5)) == "1.5"
    assert text(pd.Timestamp("2026-02-03")) == "2026-02-03 00:00:00"


def test_the_code_that_is_sent_is_whole() -> None:
    names: dict[str, Any] = {"x": 3}
    code = scratch.read_variable("x", 5, 0)
    head, _, last = code.strip().rpartition("\n")
    exec(head, names)
    mime_type, data = eval(last, names)._mime_()
    assert mime_type == "application/json"
    assert scratch.value_in(data)["variable"]["summary"] == "3"
    compile(scratch.list_variables(), "scratch", "exec")
    assert "for _cell in ['a', \"b'\"]" in scratch.run_cells(["a", "b'"])
