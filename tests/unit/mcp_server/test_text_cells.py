"""Batches for a notebook that the server saves: what the kernel gets of them, and what becomes of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.mcp_server.sessions.text_cells import FileCell, split
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.changes import Change

FILE = [FileCell("t", None), FileCell("a", "KA"), FileCell("u", None), FileCell("b", "KB")]


def text(code: str, after: str | None = None, *, first: bool = False) -> AddCell:
    return AddCell(code=code, type="markdown", after=after, first=first)


def code(code: str, after: str | None = None, *, first: bool = False) -> AddCell:
    return AddCell(code=code, after=after, first=first)


def file(*names: str) -> dict[str, Any]:
    return {"cells": [{"id": name, "cell_type": "code", "source": [name]} for name in names]}


def after(changes: Sequence[Change], *, with_code: list[str], new: tuple[str, ...] = ()) -> list[str]:
    """Return the sources of the file after a batch; the kernel's part has made `with_code` of it."""
    _, edits = split(changes, FILE)
    return ["".join(cell["source"]) for cell in edits.applied(file(*with_code), new)["cells"]]


def test_a_batch_of_code_is_the_kernels_alone() -> None:
    changes: list[Change] = [
        code("x"),
        ChangeCell(cell_id="KA", version=1, code="y"),
        DeleteCell(cell_id="b", version=1),
    ]
    for_kernel, edits = split(changes, FILE)
    assert for_kernel == tuple(changes)
    assert not edits


def test_texts_and_code_stand_in_the_order_in_which_they_are_added() -> None:
    changes: list[Change] = [text("# One"), code("x = 1"), text("# Two"), code("y = 2"), text("End")]
    assert split(changes, FILE)[0] == (code("x = 1"), code("y = 2"))
    found = after(changes, with_code=["t", "a", "u", "b", "N1", "N2"], new=("N1", "N2"))
    assert found == ["t", "a", "u", "b", "# One", "N1", "# Two", "N2", "End"]


def test_texts_alone_go_to_no_kernel() -> None:
    for_kernel, edits = split([text("# Title", first=True)], FILE)
    assert for_kernel == ()
    assert edits


@pytest.mark.parametrize(
    ("change", "order"),
    [
        (text("new", first=True), ["new", "t", "a", "u", "b"]),
        (text("new", "a"), ["t", "a", "new", "u", "b"]),
        (text("new", "KA"), ["t", "a", "new", "u", "b"]),
        (text("new", "u"), ["t", "a", "u", "new", "b"]),
        (MoveCell(cell_id="u", version=0, after="b"), ["t", "a", "b", "u"]),
        (MoveCell(cell_id="u", version=0), ["u", "t", "a", "b"]),
        (DeleteCell(cell_id="t", version=0), ["a", "u", "b"]),
        (ChangeCell(cell_id="t", version=0, code="other"), ["other", "a", "u", "b"]),
    ],
)
def test_a_text_is_added_moved_changed_and_deleted_in_the_file(change: Change, order: list[str]) -> None:
    assert after([change], with_code=["t", "a", "u", "b"]) == order


def test_code_after_a_text_follows_in_the_kernel_the_code_above_it() -> None:
    changes: list[Change] = [code("x", "u"), code("y", "t"), MoveCell(cell_id="KB", version=1, after="t")]
    assert split(changes, FILE)[0] == (
        code("x", "KA"),
        code("y", first=True),
        MoveCell(cell_id="KB", version=1),
    )


def test_new_cells_of_a_batch_are_named_as_the_kernel_counts_them() -> None:
    changes: list[Change] = [
        text("# Title"),
        code("x"),
        code("y", "new2"),
        text("below", "new3"),
        code("z", "new1"),
    ]
    assert split(changes, FILE)[0] == (code("x"), code("y", "new1"), code("z", "KB"))


def test_what_a_batch_adds_and_deletes_again_is_nowhere() -> None:
    for_kernel, edits = split([text("# Title"), DeleteCell(cell_id="new1", version=0)], FILE)
    assert for_kernel == ()
    assert (edits.new, bool(edits)) == ((), False)


def test_new_cells_are_told_in_the_order_of_the_batch() -> None:
    *_, edits = split(
        [code("x"), text("# A"), code("y"), text("# B"), DeleteCell(cell_id="new2", version=0)], FILE
    )
    (title,) = edits.ids.values()
    assert edits.new == ("", "", title)


def test_a_text_whose_neighbour_is_gone_keeps_its_place() -> None:
    assert after([text("new", "a")], with_code=["t", "u", "b"]) == ["t", "new", "u", "b"]
