"""What a session's file gets of the kernel's cells, and keeps of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marimo_kernel_bridge.exporting.session_file import session_document
from marimo_kernel_bridge.notebooks.ipynb import Notebook, parse_notebook
from marimo_kernel_bridge.notebooks.marimo_file import code_cell, markdown_cell
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs

PRINTED = {"output_type": "stream", "name": "stdout", "text": "1\n"}


def disk(*cells: str) -> Notebook:
    """A file with cells: `"a: x = 1"`, or `"# about"` for Markdown."""
    made = [
        markdown_cell(text[2:], text, {})
        if text.startswith("# ")
        else code_cell(text.partition(": ")[0], text.partition(": ")[2], {"tags": ["kept"]})
        for text in cells
    ]
    return parse_notebook(
        Path("a.ipynb"), {"nbformat": 4, "nbformat_minor": 4, "metadata": {"mine": 1}, "cells": made}
    )


def live(cell_id: str, code: str, notebook_cell_id: str | None = None) -> CellWithOutputs:
    cell = Cell(cell_id, notebook_cell_id, code, 1, "ok", False, 7, "ann", "ann", None, None, None)  # noqa: FBT003
    return CellWithOutputs(cell, (PRINTED,))


def shown(document: dict[str, Any]) -> list[str]:
    """Return what `disk` takes."""
    return [
        cell["id"] + ": " + "".join(cell["source"])
        if cell["cell_type"] == "code"
        else "".join(cell["source"])
        for cell in document["cells"]
    ]


def test_the_kernels_code_and_outputs_go_into_the_cells_of_the_same_ids() -> None:
    document = session_document(disk("# top", "a: x = 1", "# end"), [live("Hbol", "x = 2", "a")], {"a"})
    assert shown(document) == ["# top", "a: x = 2", "# end"]
    cell = document["cells"][1]
    assert (cell["execution_count"], cell["outputs"]) == (7, [PRINTED])
    assert cell["metadata"] == {"tags": ["kept"]}
    assert (document["metadata"], document["nbformat_minor"]) == ({"mine": 1}, 5)


def test_the_order_is_the_kernels_and_markdown_goes_with_the_cell_before_it() -> None:
    document = session_document(
        disk("a: 1", "# of a", "b: 2", "# of b"), [live("B", "2", "b"), live("A", "1", "a")], {"a", "b"}
    )
    assert shown(document) == ["b: 2", "# of b", "a: 1", "# of a"]


def test_a_new_cell_stands_where_the_kernel_has_it_under_the_kernels_id() -> None:
    document = session_document(disk("a: 1", "# of a"), [live("A", "1", "a"), live("New1", "3")], {"a"})
    assert shown(document) == ["a: 1", "# of a", "New1: 3"]


def test_the_kernels_own_id_finds_a_cell_whose_code_has_changed() -> None:
    document = session_document(
        disk("New1: 3", "# of it", "b: 2"), [live("New1", "4"), live("B", "2", "b")], {"New1"}
    )
    assert shown(document) == ["New1: 4", "# of it", "b: 2"]
    assert document["cells"][0]["metadata"] == {"tags": ["kept"]}


def test_a_cell_that_the_kernel_has_no_more_is_gone_and_the_markdown_behind_it_stays() -> None:
    document = session_document(disk("a: 1", "b: 2", "# of b"), [live("A", "1", "a")], {"a", "b"})
    assert shown(document) == ["a: 1", "# of b"]


def test_code_that_the_kernel_never_had_stays() -> None:
    document = session_document(disk("a: 1", "b: 2"), [live("A", "1", "a")], {"a"})
    assert shown(document) == ["a: 1", "b: 2"]


def test_what_was_written_changes_nothing_when_it_is_written_again() -> None:
    cells = [live("A", "1", "a"), live("New1", "3")]
    once = session_document(disk("a: 1", "# of a"), cells, {"a"})
    again = session_document(parse_notebook(Path("a.ipynb"), once), cells, {"a", "New1"})
    assert again == once


def test_a_cell_that_has_not_run_in_this_kernel_keeps_the_outputs_of_its_last_run() -> None:
    file = disk("a: 1")
    file.document["cells"][0]["outputs"] = [PRINTED]
    loaded = Cell("A", "a", "1 + 1", 1, "new", True, None, "", None, None, None, None)  # noqa: FBT003
    (cell,) = session_document(file, [CellWithOutputs(loaded, ())], {"a"})["cells"]
    assert (cell["source"], cell["outputs"]) == (["1 + 1"], [PRINTED])
