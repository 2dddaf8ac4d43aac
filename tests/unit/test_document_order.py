"""The order of a notebook's cells: from the file, and from requests that come at once."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.cells import Address, CellTable
from marimo_kernel_bridge.kernel.notebook.document import NotebookDocument
from marimo_kernel_bridge.kernel.notebook.request_bursts import sent_at_once

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def saved(path: Path, *ids: str, at: float) -> None:
    path.write_text(json.dumps({"cells": [{"id": one, "cell_type": "code"} for one in ids]}))
    os.utime(path, (at, at))


def test_the_file_has_news_each_time_it_is_saved(tmp_path: Path) -> None:
    order, path = NotebookDocument(), tmp_path / "n.ipynb"
    assert order.new_order(str(path)) is None
    saved(path, "a", "b", at=1)
    assert order.new_order(str(path)) == ["a", "b"]
    assert order.new_order(str(path)) is None
    saved(path, "b", "a", at=2)
    assert order.new_order(str(path)) == ["b", "a"]


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 1}', '{"cells": [1, {"id": 2}]}'])
def test_a_file_that_is_no_notebook_has_no_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "n.ipynb").write_text(text)
    assert not NotebookDocument().new_order(str(tmp_path / "n.ipynb"))


@pytest.mark.parametrize(
    ("seconds", "expected"), [([0, 0.01, 0.02], True), ([0, 0.01, 3], False), ([0], True), ([], True)]
)
def test_requests_of_a_run_all_follow_each_other_at_once(seconds: list[float], expected: object) -> None:
    dates = [NOW + timedelta(seconds=each) for each in seconds]
    assert sent_at_once([{"date": date} for date in dates]) is expected
    assert sent_at_once([{"date": date.isoformat()} for date in dates]) is expected


def test_requests_without_a_time_tell_no_order() -> None:
    assert not sent_at_once([{"date": NOW}, {}])
    assert not sent_at_once([{"date": "soon"}, {"date": NOW}])


@pytest.mark.parametrize(
    ("known", "order", "expected"),
    [
        ("abc", "cab", "cab"),
        ("abc", "ca", "cab"),
        ("abcd", "db", "adbc"),
        ("abc", "", "abc"),
        ("abc", "xcb", "acb"),
    ],
)
def test_cells_outside_of_an_order_stay_behind_the_cell_that_they_are_behind(
    known: str, order: str, expected: object
) -> None:
    cells = CellTable()
    ids = {}
    for letter in known:
        address = Address("lab", {"msg_id": letter}, "s")
        ids[letter] = cells.add(letter, letter, "notebook", address).cell.cell_id
    cells.arrange([ids.get(letter, letter) for letter in order])
    assert "".join(entry.cell.code for entry in cells) == expected
