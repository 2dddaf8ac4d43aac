"""The code that a kernel was given, and whose file did not have it yet when the kernel died: none of it is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client.runs import Reply, Run
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.sessions.unsaved_code import Listing, with_unsaved_code
from marimo_kernel_bridge.notebooks.ipynb import notebook_in
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, EditReport
from marimo_kernel_bridge.protocol.notebook import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.protocol.changes import Change

LISTED_AT = 100.0


def listed(*cells: tuple[str, str, str]) -> Listing:
    """Return cells with their ids, their ids in the file, and their code."""
    found = [
        Cell(cell_id, name, code, 1, "ok", stale=False, execution_count=1, edited_by="", last_run_by=None,
             last_run_at=None, duration=None, error=None)
        for cell_id, name, code in cells
    ]  # fmt: skip
    return Listing(tuple(found), LISTED_AT)


def edit(*changes: Change, added: tuple[str, ...] = (), ended: float | None = 101.0, **report: Any) -> Run:
    run = Run("0123456789-7", "edit_cells", "", sent_at=99.0, ended_at=ended, changes=changes)
    if ended is not None:
        run.reply = Reply("ok", result=EditReport(**{"applied": True, "added": added, **report}))
    return run


def execution(code: str, *cell_ids: str, ended: float | None = 101.0, number: int = 3) -> Run:
    changes = (AddCell(code),)
    run = Run(
        f"9876543210-{number}", "execute", code, 99.0, ended_at=ended, changes=changes, cell_ids=cell_ids
    )
    run.reply = None if ended is None else Reply("ok")
    return run


def sources(runs: Iterable[Run], known: Listing | None = None, **file: str) -> dict[str, str]:
    """Return the cells of a file, by id, after the runs."""
    cells = [{"cell_type": "code", "id": name, "source": text, "outputs": []} for name, text in file.items()]
    content = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    document, _ = with_unsaved_code(notebook_in(content.encode(), Path("a.ipynb")), runs, known or listed())
    return {cell["id"]: "".join(cell["source"]) for cell in document["cells"]}


def test_code_that_became_a_cell_after_the_last_look_is_added() -> None:
    assert sources([execution("y = x", "Hbol")], a="x = 1") == {"a": "x = 1", "Hbol": "y = x"}


def test_code_in_which_the_kernel_died_is_added_though_nobody_knows_its_id() -> None:
    assert sources([execution("die()", ended=None)], a="x = 1") == {"a": "x = 1", "9876543210-3-1": "die()"}


def test_runs_of_which_nobody_knows_the_cells_get_ids_of_their_own() -> None:
    runs = [execution("die()", ended=None), execution("queued()", ended=None, number=4)]
    assert sources(runs) == {"9876543210-3-1": "die()", "9876543210-4-1": "queued()"}


def test_a_cell_that_another_server_has_written_is_not_added_again() -> None:
    assert sources([execution("x = 1", "Hbol")], Hbol="x = 1  # there") == {"Hbol": "x = 1  # there"}


def test_what_the_kernel_had_when_it_was_asked_is_not_added_again() -> None:
    known = listed(("Hbol", "a", "x = 1"))
    runs = [
        execution("x = 1", "Hbol"),
        execution("x = 1", ended=None),
        execution("old()", "MJUe", ended=99.9),
    ]
    assert sources(runs, known, a="x = 1") == {"a": "x = 1"}


def test_a_batch_keeps_its_order_and_changes_cells_by_their_ids_in_the_file() -> None:
    known = listed(("Hbol", "a", "x = 1"), ("MJUe", "b", "z = x"))
    batch = edit(
        AddCell("one", after="Hbol"),
        AddCell("two", after="new1"),
        AddCell("zero", first=True),
        ChangeCell(cell_id="MJUe", version=1, code="z = 2 * x"),
        DeleteCell(cell_id="Hbol", version=1),
        added=("N1", "N2", "N3"),
    )
    later = edit(ChangeCell(cell_id="N2", version=1, code="two!"), ended=None)
    found = sources([batch, later], known, a="x = 1", b="z = x")
    assert list(found.items()) == [
        ("N3", "zero"),
        ("a", "x = 1"),
        ("N1", "one"),
        ("N2", "two!"),
        ("b", "z = 2 * x"),
    ]


@pytest.mark.parametrize("how", ["refused", "with problems", "aborted", "cancelled"])
def test_what_the_kernel_did_not_take_is_not_added(how: str) -> None:
    run = edit(AddCell("x ="), applied=False) if how in {"refused", "with problems"} else execution("x =")
    if how == "refused":
        run.reply = Reply("error", refusal=BridgeError("stale_version", "No."))
    elif how == "aborted":
        run.reply = Reply("aborted")
    elif how == "cancelled":
        run.reply, run.cancelled = None, True
    assert sources([run], a="x = 1") == {"a": "x = 1"}


def test_thousands_of_cells_are_added_in_time_that_grows_with_their_number() -> None:
    cells = [AddCell(f"x = {number}", after=f"new{number}" if number else "Hbol") for number in range(5_000)]
    batch = edit(*cells, added=tuple(f"n{number}" for number in range(5_000)))
    begun = time.process_time()
    found = list(sources([batch], listed(("Hbol", "a", "x = 1")), a="x = 1"))
    assert time.process_time() - begun < 1.5
    assert found == ["a", *(f"n{number}" for number in range(5_000))]
