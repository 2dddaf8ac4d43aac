"""New notebooks: what templates there are, and what becomes of one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import templates
from marimo_kernel_bridge.notebooks.marimo_file import code_cell, markdown_cell

PATH = Path("new.ipynb")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    folder = tmp_path / "marimo_kernel_bridge" / "templates"
    folder.mkdir(parents=True)
    return folder


def shown(document: dict[str, Any]) -> list[str]:
    return [f"{cell['id']}: {''.join(cell['source'])}" for cell in document["cells"]]


def test_a_users_template_is_listed_behind_the_shipped_ones_and_may_replace_one(own: Path) -> None:
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [markdown_cell("m", "# Weekly\nx", {})],
    }
    (own / "weekly.ipynb").write_text(json.dumps(notebook))
    (own / "blank.py").write_text("import marimo")
    (own / "broken.ipynb").write_text("{")
    (own / "notes.txt").write_text("no template")
    assert [(one.name, one.description) for one in templates.templates()] == [
        ("data_analysis", "Loads a CSV file with pandas, looks it over, and has a place for results."),
        ("blank", "A marimo notebook."),
        ("broken", "It cannot be read."),
        ("weekly", "Weekly"),
    ]
    assert templates.template_named("weekly").path == own / "weekly.ipynb"


def test_a_template_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BridgeError, match="nosuch") as refused:
        templates.template_named("nosuch")
    assert "blank, data_analysis" in refused.value.hint


def test_a_shipped_template_is_a_valid_notebook_with_cells_that_compile() -> None:
    for template in templates.SHIPPED:
        document = templates.new_document(PATH, templates.shipped_cells(template.name), {})
        ids = [cell["id"] for cell in document["cells"]]
        assert len(set(ids)) == len(ids)
        for cell in document["cells"]:
            if cell["cell_type"] == "code":
                compile("".join(cell["source"]), cell["id"], "exec")


def test_a_new_notebook_has_nothing_of_a_run_of_its_template() -> None:
    ran = code_cell("a", "1") | {"execution_count": 3, "outputs": [{"output_type": "stream", "text": "x"}]}
    document = templates.new_document(
        PATH, [ran, {**ran, "id": "a"}, {**ran, "id": "x" * 65}], {}, {"kernelspec": 1, "mine": 2}
    )
    assert shown(document) == ["a: 1", "cell-2: 1", "cell-3: 1"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in document["cells"])
    assert document["metadata"]["mine"] == 2
    assert document["metadata"]["kernelspec"]["name"] == "marimo"
    assert document["nbformat_minor"] == 5


def test_parameters_are_papermills_cell_at_the_top() -> None:
    document = templates.new_document(
        PATH, [code_cell("a", "1")], {"n": 3, "name": "it's", "on": True, "no": None}
    )
    assert shown(document) == [
        'parameters: # Parameters\nn = 3\nname = "it\'s"\non = True\nno = None',
        "a: 1",
    ]
    assert document["cells"][0]["metadata"] == {"tags": ["parameters"]}


def test_parameters_come_behind_those_of_the_template_in_place_of_an_earlier_runs() -> None:
    cells = [
        code_cell("a", "n = 1", {"tags": ["parameters"]}),
        code_cell("old", "n = 2", {"tags": ["injected-parameters"]}),
        code_cell("b", "n"),
    ]
    document = templates.new_document(PATH, cells, {"n": float("nan")})
    assert shown(document) == ["a: n = 1", 'injected-parameters: # Parameters\nn = float("nan")', "b: n"]


@pytest.mark.parametrize(
    "parameters", [{"not a name": 1}, {"class": 1}, {"__name__": 1}, {"x": [float("nan")]}]
)
def test_parameters_that_are_no_assignments_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(BridgeError) as refused:
        templates.new_document(PATH, [], parameters)
    assert refused.value.code == "bad_request"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_template_is_read_only_if_it_is_a_file_of_a_notebooks_size(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "LARGEST_NOTEBOOK", 1000)
    (own / "large.ipynb").write_text(json.dumps({"cells": "x" * 1000}))
    os.mkfifo(own / "pipe.ipynb")
    (own / "zero.ipynb").symlink_to("/dev/zero")
    found = {one.name: one.description for one in templates.templates()}
    assert found["large"] == "It cannot be read."
    assert not {"pipe", "zero"} & found.keys()
