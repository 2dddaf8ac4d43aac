"""What agents see of the notebook that the person has open, of its file, and of what an editor without an extension tells."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.media import work
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.views import search
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ExpectedRun
from marimo_kernel_bridge.protocol.document_edits import CellChange, Changes, Comparison
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import FakeKernel, stream
from tests.unit.mcp_server.open_documents import cell, content

pytestmark = pytest.mark.anyio


@pytest.fixture
def document(kernel: FakeKernel) -> FakeKernel:
    """A heading, a cell that ran, one that was changed since, one that never ran, and a cell of the agent's."""
    kernel.add("aaaa", "x = 1")
    kernel.add("bbbb", "print(x)", stream("1\n"))
    kernel.add("mine", "y = 2", notebook_cell_id=None, edited_by="ann")
    kernel.content = content(
        cell("head", "# Distinct customers", "markdown"),
        cell("nb-aaaa", "x = 1"),
        cell("nb-bbbb", "print(x)\nx + 41", ran="changed"),
        cell("new1", "z = x", ran="never"),
        kernel_only=("mine",),
        editing="nb-bbbb",
        others=("notes.ipynb",),
    )
    return kernel


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the worker's tasks without one."""

    async def do(_: Presenter, task: str, *, bound: float | None = None, **arguments: Any) -> Any:
        del bound
        return json.loads(json.dumps(work.TASKS[task](**arguments)))

    monkeypatch.setattr(Presenter, "do", do)


# The open document


async def test_the_outline_is_that_of_the_open_document(connected: Agent, document: FakeKernel) -> None:
    answer = await connected("list_cells")
    assert [
        (line["cell_id"], line.get("type"), line.get("sync"), line["version"])
        for line in answer.data["cells"]
    ] == [
        ("head", "markdown", None, 7),
        ("aaaa", None, None, 7),
        ("bbbb", None, "changed", 7),
        ("new1", None, "never_run", 7),
        ("mine", None, "kernel_only", 1),
    ]
    origin = answer.data["origin"]
    assert (origin["front_end"], origin["unsaved"]) == ("JupyterLab", True)
    assert "shows" not in origin, "it is the document"
    assert "seconds_old" not in origin, "the page has just told of it"
    first, second, *lines = answer.text.splitlines()
    assert first.startswith("The document in JupyterLab (penguins.ipynb, with unsaved changes)")
    assert "The person is in cell bbbb. Also open: notes.ipynb in JupyterLab." in first
    assert second == "head v7 · markdown · # Distinct customers"
    assert lines[0].startswith("aaaa v7 · ")
    assert "in the kernel only: the person does not see its code" in lines[-1]


async def test_the_open_documents_outline_is_read_in_pages(connected: Agent, document: FakeKernel) -> None:
    answer = await connected("list_cells", offset=1, limit=2)
    assert [line["cell_id"] for line in answer.data["cells"]] == ["aaaa", "bbbb"]
    assert "list_cells(offset=3) gives the next." in answer.text


async def test_a_cell_is_read_as_the_person_sees_it_with_the_outputs_of_what_ran(
    connected: Agent, document: FakeKernel
) -> None:
    for name in ("bbbb", "nb-bbbb"):
        read = (await connected("read_cell", cell_id=name)).data
        assert (read["code"], read["outputs"], read["sync"]) == ("print(x)\nx + 41", "1", "changed")
        assert (read["version"], "origin" in read) == (7, False)
    text = await connected("read_cell", cell_id="head")
    assert (text.data["type"], text.data["code"]) == ("markdown", "# Distinct customers")
    assert "--- outputs" not in text.text
    never = await connected("read_cell", cell_id="new1")
    assert (never.data["status"], "never ran" in never.text) == ("new", True)
    assert (await connected("read_cell", cell_id="nosuch")).refused("no_such_cell")


async def test_a_search_finds_markdown_and_text_that_never_ran_once(
    connected: Agent, document: FakeKernel
) -> None:
    async def found(query: str) -> list[tuple[str, str, int]]:
        matches = (await connected("search_cells", query=query)).data["matches"]
        return [(match["cell_id"], match.get("where", "code"), match["line"]) for match in matches]

    assert await found("CUSTOMERS") == [("head", "markdown", 1)]
    assert await found("x") == [
        ("aaaa", "code", 1),
        ("bbbb", "code", 1),
        ("bbbb", "code", 2),
        ("new1", "code", 1),
    ]
    assert await found("41") == [("bbbb", "code", 2)]
    assert await found("y =") == [("mine", "code", 1)]


async def test_a_search_asks_for_lines_of_outputs_beside_those_of_the_kernels_code(
    connected: Agent, document: FakeKernel
) -> None:
    answer = await connected("search_cells", query="x", limit=3)
    assert (answer.data["total"], len(answer.data["matches"])) == (4, 3)
    assert document.requests[-1] == wire.SearchCells(query="x", limit=5)


@pytest.mark.usefixtures("in_this_process")
async def test_a_regular_expression_is_searched_in_texts_and_outputs(
    connected: Agent, document: FakeKernel
) -> None:
    answer = await connected("search_cells", query=r"^\d$|d\w+ct", regex=True)
    found = [(match["cell_id"], match.get("where", "code")) for match in answer.data["matches"]]
    assert found == [("head", "markdown"), ("bbbb", "output")]
    assert (await connected("search_cells", query="(", regex=True)).refused("bad_request")


async def test_a_pattern_that_takes_long_is_stopped(
    connected: Agent, document: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[float | None] = []

    async def do(_: Presenter, task: str, *, bound: float | None = None, **arguments: Any) -> Any:
        del task, arguments
        bounds.append(bound)
        raise BridgeError("too_large", "It took more than 5 s.")

    monkeypatch.setattr(Presenter, "do", do)
    answer = await connected("search_cells", query="(a+)+$", regex=True)
    assert answer.refused("bad_request")
    assert "Use a simpler pattern" in answer.text
    assert bounds == [search._BOUND]


# Older kernels


async def test_an_older_kernel_answers_as_before_and_that_is_said_once(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.knows_documents = False
    kernel.add("aaaa", "x = 1")
    first, second = [await connected("list_cells") for _ in range(2)]
    assert [line["cell_id"] for line in first.data["cells"]] == ["aaaa"]
    assert "This kernel is older" in first.data["note"]
    assert "note" not in second.data
    assert kernel.asked == ["read_outline", "read_outline"]
    assert (await connected("propose_edit", edits=[{"action": "add", "code": "1"}])).refused(
        "unsupported_version"
    )
    await kernel.restart()
    kernel.knows_documents = True
    kernel.content = content(cell("head", "# T", "markdown"))
    await connected("kernel_status")
    assert "shows" not in (await connected("list_cells")).data["origin"], "it is the document"


# The saved file


@pytest.fixture
def saved(tmp_path: Path, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook in the working directory, of which the kernel says that it is its own."""
    path = tmp_path / "work" / "penguins.ipynb"
    path.parent.mkdir()
    monkeypatch.chdir(path.parent)
    cells = [
        {"cell_type": "markdown", "id": "head", "metadata": {}, "source": "# Penguins"},
        *(
            {
                "cell_type": "code",
                "id": name,
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for name, source in (("nb-aaaa", "x = 0"), ("never", "z = 3"), ("uri", "y = 2"))
        ),
    ]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    os.utime(path, (time.time() - 300,) * 2)
    kernel.description = replace(kernel.description, notebook=str(path))
    return path


async def test_without_a_document_the_outline_has_the_files_order_and_the_kernels_code(
    kernel: FakeKernel, saved: Path, connected: Agent
) -> None:
    kernel.add("aaaa", "x = 1")
    kernel.add("cccc", "x + 1")
    kernel.add("dddd", "y = 2", notebook_cell_id="vscode-notebook-cell:1")
    kernel.add("mine", "1", notebook_cell_id=None)
    answer = await connected("list_cells")
    assert [(line["cell_id"], line["code"], line.get("sync")) for line in answer.data["cells"]] == [
        ("head", "# Penguins", None),
        ("aaaa", "x = 1", "file_differs"),
        ("cccc", "x + 1", "not_saved"),
        ("never", "z = 3", "never_run"),
        ("dddd", "y = 2", None),
        ("mine", "1", "kernel_only"),
    ]
    assert answer.data["origin"]["shows"] == "file"
    assert f"The saved file ({saved}, 5 min old)" in answer.text
    assert "redact" in kernel.asked, "the kernel takes secrets out of it"
    assert (await connected("read_cell", cell_id="never")).data["code"] == "z = 3"


async def test_no_file_is_read_that_only_the_kernel_names_elsewhere(
    kernel: FakeKernel, saved: Path, connected: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    kernel.add("aaaa", "x = 1")
    answer = await connected("list_cells")
    assert answer.data["origin"] == {"shows": "kernel"}
    assert [line["cell_id"] for line in answer.data["cells"]] == ["aaaa"]


# Texts of an editor


async def test_texts_of_an_editor_take_the_place_of_what_is_known(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1")
    kernel.add("bbbb", "print(x)")
    kernel.add("cccc", "y = 1")
    structure = [
        {"cell_id": "t", "type": "markdown", "code": "# T"},
        {"cell_id": "cell 2", "code": "print(x)"},
        {"cell_id": "nb-aaaa"},
        {"cell_id": "n", "code": "new"},
        {"cell_id": "cccc", "code": ""},  # emptied since
    ]
    answer = await connected("list_cells", structure_override=structure, code_override={"nb-aaaa": "x = 2"})
    assert [(line["cell_id"], line["code"], line.get("sync")) for line in answer.data["cells"]] == [
        ("t", "# T", None),
        ("bbbb", "print(x)", None),
        ("aaaa", "x = 2", "changed"),
        ("n", "new", "never_run"),
        ("cccc", "", "changed"),
    ]
    assert answer.data["origin"] == {"shows": "given"}
    read = await connected("read_cell", cell_id="aaaa", code_override={"aaaa": "x = 3"})
    assert (read.data["code"], read.data["sync"]) == ("x = 3", "changed")
    wrong = await connected("list_cells", code_override={"nosuch": "1"})
    assert wrong.refused("no_such_cell")


# In step or not


async def test_the_open_document_is_compared_by_the_kernel(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.CompareDocument] = Comparison(
        "document",
        changed=("nb-bbbb",),
        never_run=("new1",),
        stale=(),
        failed=(),
        in_step=("nb-aaaa",),
        kernel_only=("mine",),
        to_run=("nb-bbbb", "new1"),
        would_run=(ExpectedRun("nb-bbbb", 0.5), ExpectedRun("new1", None)),
    )
    answer = await connected("detect_sync_needed")
    assert [(line["cell_id"], line["state"]) for line in answer.data["cells"]] == [
        ("bbbb", "changed"),
        ("new1", "never_run"),
        ("mine", "kernel_only"),
    ]
    assert (answer.data["sync_needed"], answer.data["in_step"], answer.data["unknown"]) == (True, 1, 1)
    assert "sync would run: bbbb, new1" in answer.text
    dry = await connected("sync", dry_run=True)
    assert (dry.data["to_run"], "nothing was run" in dry.text) == (["bbbb", "new1"], True)
    assert "sync_document" not in document.asked


async def test_the_file_is_compared_where_no_document_is_attached(
    kernel: FakeKernel, saved: Path, connected: Agent
) -> None:
    kernel.add("aaaa", "x = 1")
    kernel.add("dddd", "y = 2", notebook_cell_id="uri", stale=True)
    kernel.expected = [ExpectedRun("aaaa", 0.5), ExpectedRun("dddd", 0.5)]
    answer = await connected("detect_sync_needed")
    states = {line["cell_id"]: line["state"] for line in answer.data["cells"]}
    assert states == {"aaaa": "changed", "never": "never_run", "dddd": "stale"}
    assert [run["cell_id"] for run in answer.data["would_run"]] == ["aaaa", "dddd", "never"]
    assert "No document is attached that could run them" in answer.text
    given = await connected("detect_sync_needed", code_override={"aaaa": "x = 1", "never": ""})
    assert {line["cell_id"]: line["state"] for line in given.data["cells"]} == {"dddd": "stale"}
    assert (await connected("sync")).refused("no_document")


# Who changed what


async def test_changes_are_shown_as_differences_each_authors_apart(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 3")
    kernel.about_document[wire.ReadChanges] = Changes(
        (
            CellChange(4, 0.0, "notebook", "changed", "nb-aaaa", "x = 0\ny = 1", "x = 1\ny = 1"),
            CellChange(5, 0.0, "notebook", "changed", "nb-aaaa", "x = 1\ny = 1", "x = 2\ny = 1"),
            CellChange(6, 0.0, "ann", "changed", "nb-aaaa", "x = 2\ny = 1", "x = 3\ny = 1"),
            CellChange(7, 0.0, "ann", "ran", "nb-aaaa"),
            CellChange(8, 0.0, "ben", "added", "new", None, "z = 1"),
            CellChange(9, 0.0, "ben", "changed", "nb-aaaa", "x = 3", "x = 4"),
            CellChange(9, 0.0, "ben", "changed", "nb-aaaa", "x = 4", "x = 3"),
        ),
        point=8,
        incomplete=True,
    )
    answer = await connected("diff_since", point=3)
    changes = {
        entry["cell_id"]: [
            (change["by"], change["kind"], change.get("diff", "")) for change in entry["changes"]
        ]
        for entry in answer.data["cells"]
    }
    assert changes == {
        "aaaa": [
            ("the person", "changed", "@@ -1,2 +1,2 @@\n-x = 0\n+x = 2\n y = 1"),
            ("ann", "changed", "@@ -1,2 +1,2 @@\n-x = 2\n+x = 3\n y = 1"),
            ("ann", "ran", ""),
        ],
        "new": [("ben", "added", "@@ -0,0 +1 @@\n+z = 1")],
    }
    assert "--- aaaa, changed by the person at" in answer.text
    assert "diff_since(point=8) goes on from here. Older changes are not kept." in answer.text
    assert kernel.requests[-2] == wire.ReadChanges(after=3, client="ann")
