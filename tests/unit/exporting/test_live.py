"""The notebook of a running kernel, merged into the notebook on disk."""

from dataclasses import replace
from pathlib import Path

import pytest

from marimo_kernel_bridge.exporting.live import LiveNotebook, merged, of_document
from marimo_kernel_bridge.exporting.sources import from_live
from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.notebooks.ipynb import Notebook, parse_notebook
from marimo_kernel_bridge.protocol.document import CellType
from marimo_kernel_bridge.protocol.document_edits import DocumentContent, NotebookCell, OpenDocument
from marimo_kernel_bridge.protocol.messages import METADATA_KEY
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs


def live(cell_id: str, code: str, in_notebook: str | None = None, **output: object) -> CellWithOutputs:
    cell = Cell(cell_id, in_notebook, code, 1, "ok", False, 7, "person", None, None, None, None)  # noqa: FBT003
    return CellWithOutputs(cell, (output,) if output else ())


def on_disk(*cells: tuple[str, str, str]) -> Notebook:
    """Return a notebook of cells (kind, id, source)."""
    more: dict[str, object] = {"outputs": [], "execution_count": None}
    return parse_notebook(
        Path("n.ipynb"),
        {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {"kept": True},
            "cells": [
                {"cell_type": kind, "id": cell_id, "metadata": {}, "source": source}
                | (more if kind == "code" else {})
                for kind, cell_id, source in cells
            ],
        },
    )


def sources(notebook: LiveNotebook) -> list[tuple[str, str]]:
    return [(cell["id"], "".join(cell["source"])) for cell in notebook.document["cells"]]


def test_without_a_file_the_cells_that_ran_are_the_notebook() -> None:
    notebook = merged(None, [live("k1", "x = 1", "c1"), live("k2", "x", "c2")])
    assert sources(notebook) == [("c1", "x = 1"), ("c2", "x")]
    assert notebook.notes() == [
        "It is not known which notebook the kernel belongs to: the export has only the cells that have run."
    ]


def opened(*cells: tuple[CellType, str, str]) -> DocumentContent:
    """Return a document of cells (kind, key, text)."""
    shown = tuple(
        NotebookCell(key, None, kind, code, 1, "notebook", None, "new", stale=False)
        for kind, key, code in cells
    )
    document = OpenDocument(
        "c",
        "JupyterLab",
        "n.ipynb",
        dirty=True,
        focused=True,
        editing=None,
        writable=True,
        heard_at=0.0,
        cells=2,
    )
    return DocumentContent(document, (document,), shown, (), 1)


def test_an_open_document_is_exported_with_its_text_its_order_and_the_ids_of_the_file() -> None:
    disk = on_disk(("code", "c1", "x = 1"), ("code", "c2", "y = 2"), ("markdown", "t", "# T"))
    content = opened(
        ("markdown", "t", "# Title"), ("code", "c2", "y = 2"), ("code", "c1", "x = 10"), ("raw", "r", "raw")
    )
    output = {"output_type": "stream", "name": "stdout", "text": "1"}
    notebook = of_document(content, disk, [live("k1", "x = 1", "c1", **output)])
    assert sources(notebook) == [("t", "# Title"), ("c2", "y = 2"), ("c1", "x = 10"), ("r", "raw")]
    assert [cell["cell_type"] for cell in notebook.document["cells"]] == ["markdown", "code", "code", "raw"]
    assert notebook.document["cells"][2]["outputs"] == [output]
    assert notebook.document["metadata"] == {"kept": True}
    assert (notebook.path, notebook.added, notebook.newer) == (disk.path, (), ())
    assert notebook.notes() == [
        "This is the document that is open in JupyterLab, with text that is not saved.",
        "Not run in this kernel, and so exported as in the document: cell c2.",
    ]


def test_cells_of_an_open_document_with_ids_of_vs_code_keep_the_files_and_are_never_doubled() -> None:
    disk = on_disk(("code", "c1", "x = 1"), ("code", "c2", "x = 1"))
    keys = [f"vscode-notebook-cell:/n.ipynb#W{number}" for number in range(3)]
    content = opened(("code", keys[0], "x = 1"), ("code", keys[1], "x = 1"), ("code", keys[2], "new"))
    cells = [live("k1", "x = 1", keys[0]), live("k2", "x = 1", keys[1]), live("k3", "old", keys[2])]
    notebook = of_document(content, disk, cells)
    assert sources(notebook) == [("c1", "x = 1"), ("c2", "x = 1"), ("cell-3", "new")]
    assert of_document(content, None, cells).path is None


def test_an_id_that_nbformat_refuses_is_not_used() -> None:
    notebook = merged(None, [live("k1", "x", "vscode-notebook-cell:/n.ipynb#W0sZmlsZQ==")])
    assert sources(notebook) == [("k1", "x")]


def test_the_kernels_code_and_outputs_replace_those_of_the_file() -> None:
    disk = on_disk(("markdown", "t", "# T"), ("code", "c1", "x = 1"))
    output = {"output_type": "stream", "name": "stdout", "text": "2"}
    notebook = merged(disk, [live("k1", "x = 2", "c1", **output)])
    assert sources(notebook) == [("t", "# T"), ("c1", "x = 2")]
    assert notebook.document["cells"][1]["outputs"] == [output]
    assert notebook.document["cells"][1]["execution_count"] == 7
    assert notebook.document["metadata"] == {"kept": True}
    assert notebook.newer == ("c1",)


def test_cells_with_ids_of_another_front_end_are_recognized_by_their_code() -> None:
    notebook = merged(on_disk(("code", "c1", "x = 1")), [live("k1", "x = 1", "vscode-cell:W0")])
    assert sources(notebook) == [("c1", "x = 1")]
    assert (notebook.newer, notebook.added) == ((), ())


def test_a_cell_that_is_not_in_the_file_goes_below_the_cell_that_ran_before_it() -> None:
    disk = on_disk(("code", "c1", "a"), ("code", "c2", "b"))
    notebook = merged(disk, [live("k1", "a", "c1"), live("k3", "new"), live("k2", "b", "c2")])
    assert sources(notebook) == [("c1", "a"), ("k3", "new"), ("c2", "b")]
    assert notebook.added == ("k3",)
    assert notebook.document["nbformat_minor"] == 5


def test_cells_of_the_file_that_have_not_run_are_named() -> None:
    disk = on_disk(("code", "c1", "a"), ("code", "c2", "b"), ("code", "c3", " "))
    notebook = merged(disk, [live("k1", "a", "c1")])
    assert notebook.not_run == ("c2",)
    assert notebook.notes() == ["Not run in this kernel, and so exported as in the saved notebook: cell c2."]


def test_notices_of_the_kernel_are_not_outputs_of_the_notebook() -> None:
    notice = {"output_type": "display_data", "data": {}, "metadata": {METADATA_KEY: {"notice": "edited"}}}
    notebook = merged(None, [live("k1", "x", "c1", **notice)])
    assert notebook.document["cells"][0]["outputs"] == []


def test_a_result_gets_the_count_of_its_cell_and_loses_what_is_transient() -> None:
    result = {"output_type": "execute_result", "data": {}, "metadata": {}, "transient": {"display_id": "d"}}
    notebook = merged(None, [live("k1", "x", "c1", **result)])
    assert notebook.document["cells"][0]["outputs"] == [
        {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": 7}
    ]


def test_no_file_is_read_of_a_folder_that_only_the_kernel_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\nprivate")
    (tmp_path / "trap.py").write_text("open('sprung', 'w').close()\nprivate = 1")
    monkeypatch.chdir(tmp_path)
    disk = on_disk(
        ("markdown", "m", "![x](p.png)"),
        ("code", "c2", "from trap import *\nprivate"),
    )
    notebook = replace(merged(disk, []), path=tmp_path / "n.ipynb")
    named_by_the_kernel = convert(from_live(notebook, "n").notebook).text
    assert ";base64" not in named_by_the_kernel
    assert not (tmp_path / "sprung").exists()
    named_by_the_person = convert(from_live(notebook, "n", has_folder=True).notebook, imports="none").text
    assert ";base64" in named_by_the_person
