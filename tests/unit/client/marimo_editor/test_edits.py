"""Batches of changes as edits of marimo's host API."""

from __future__ import annotations

from typing import Any

import pytest

from marimo_kernel_bridge.client.marimo_editor.edits import edit_of
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import AddCell, Change, ChangeCell, DeleteCell, MoveCell
from tests.unit.client.marimo_editor.test_cells import chain, notebook, tell


def order_after(*changes: Change) -> list[str]:
    """Return the order that an edit asks for, new cells as new1, new2, ..., by doing what the API says."""
    edit = edit_of(chain(), changes)
    order = ["a", "b", "c", "d"]
    for change in edit.body["changes"]:
        match change["kind"]:
            case "put_cell" if change["base_etag"] is None:
                at = order.index(change["before"]) if "before" in change else len(order)
                order.insert(at, change["cell"]["id"])
            case "delete_cell":
                order.remove(change["id"])
            case "set_order":
                assert sorted(order) == sorted(change["order"])
                order = change["order"]
    return [f"new{edit.added.index(name) + 1}" if name in edit.added else name for name in order]


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ([AddCell("1")], ["a", "b", "c", "d", "new1"]),
        ([AddCell("1", first=True)], ["new1", "a", "b", "c", "d"]),
        ([AddCell("1", after="b"), AddCell("2", after="new1")], ["a", "b", "new1", "new2", "c", "d"]),
        ([MoveCell("c", 1, None)], ["c", "a", "b", "d"]),
        ([MoveCell("a", 1, "c"), DeleteCell("d", 1), AddCell("1")], ["b", "c", "a", "new1"]),
    ],
)
def test_cells_come_where_the_batch_says(changes: list[Change], order: list[str]) -> None:
    assert order_after(*changes) == order


def test_a_change_keeps_name_and_settings_and_names_what_was_read() -> None:
    mirror = chain()
    settings = {"column": None, "disabled": True, "expand_output": False, "hide_code": True}
    cell: dict[str, Any] = {"id": "a", "code": "x = 1", "code_hash": "h", "etag": "seen", "version": 4}
    tell(mirror, "cell", {**cell, "name": "first", "config": settings})
    edit = edit_of(mirror, [ChangeCell("a", 4, "x = 2")])
    assert edit.body == {
        "changes": [
            {
                "kind": "put_cell",
                "base_etag": "seen",
                "cell": {"id": "a", "name": "first", "config": settings, "code": "x = 2"},
            }
        ]
    }
    assert (edit.written, edit.added) == (("a",), ())


def test_what_is_deleted_is_not_run() -> None:
    assert edit_of(chain(), [ChangeCell("a", 1, "1"), DeleteCell("a", 1)]).written == ()


def test_nothing_comes_before_the_setup_cell() -> None:
    mirror = notebook(("setup", "import os", ("os",), ()), ("a", "1", (), ()))
    (change,) = edit_of(mirror, [AddCell("2", first=True)]).body["changes"]
    assert change["before"] == "a"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (ChangeCell("a", 2, "1"), "stale_version"),
        (DeleteCell("nope", 1), "no_such_cell"),
        (AddCell("1", after="nope"), "no_such_cell"),
        (AddCell("1", after="new3"), "no_such_cell"),
        (AddCell("# Title", type="markdown"), "bad_request"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(change: Change, code: str) -> None:
    with pytest.raises(BridgeError) as refusal:
        edit_of(chain(), [AddCell("1"), change])
    assert refusal.value.code == code
