"""`import --trace`: what a run of the original shows of its cells makes the result right where their text says nothing."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from reactive import Reactive, in_order, prepared

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.importing.cells import prepare
from marimo_kernel_bridge.importing.tracing import Trace
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

LIBRARY = """\
_last = []


class Model:
    def __init__(self):
        self.weights = [0]


def remember(model):
    _last.append(model)


def train(rounds):
    _last[-1].weights[0] += rounds


def scale(rows, by):
    rows[:] = [by * row for row in rows]
    return len(rows)
"""
CELLS = [
    "import tiny\nrows = [1, 2]\nmodel = tiny.Model()\ntiny.remember(model)",
    "count = tiny.scale(rows, 3)",
    "print(rows)",
    "model, tiny.train(2)",
    "print(model.weights)",
    "rows[7]",
]


@pytest.fixture
def notebook(tmp_path):
    (tmp_path / "tiny.py").write_text(LIBRARY)
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source,
         "outputs": [], "execution_count": None}
        for number, source in enumerate(CELLS, start=1)
    ]  # fmt: skip
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


@pytest.mark.long  # the next test has a trace of the example
def test_what_library_functions_change_is_seen_and_a_cell_that_fails_is_no_obstacle(notebook):
    result = run(notebook, "--trace", "--json")
    assert result.exit_code == 0, result.output
    traced = json.loads(result.stdout)["traced"]
    assert traced == {
        "cells": 6,
        "ran": 6,
        "failing": [6],
        "observed": {
            "2": {"changes": ["rows"], "shares": [], "held_elsewhere": []},
            "4": {"changes": ["model"], "shares": [], "held_elsewhere": []},
        },
    }
    text = notebook.with_suffix(".py").read_text()
    assert "tiny.scale(rows, 3)" in text.partition("rows = [1, 2]")[2].partition("@app.cell")[0]
    assert "def _(model):\n    print(model.weights)" in text
    assert "deepcopy" not in text  # something else may hold what only the run has shown to change


def test_the_report_is_the_example_of_the_documentation(notebook):
    result = run(notebook, "--trace")
    page = (Path(__file__).parents[2] / "docs" / "importing.md").read_text()
    assert page.partition("<!-- traced -->\n```\n")[2].partition("```")[0] in result.stdout


def test_when_the_time_is_up_the_notebook_is_imported_by_its_text(notebook):
    result = run(notebook, "--trace", "--within", "0")
    assert result.exit_code == 0, result.output
    assert "traced: 0 of 6 cells, then the time was up" in result.output
    assert "tiny.scale(rows, 3)" in notebook.with_suffix(".py").read_text()


@pytest.mark.parametrize(
    ("module", "offered"),
    [
        ("tiny", True),
        ("not_there_at_all", False),
        ("json", False),
        ("__main__", False),
        ("__main__, tiny", True),
    ],
)
def test_a_trace_is_offered_where_the_packages_are(notebook, module, offered):
    document = json.loads(notebook.read_text())
    document["cells"] = [{**document["cells"][0], "source": f"import {module}"}]
    notebook.write_text(json.dumps(document))
    result = run(notebook, "--check")
    assert ("--trace runs the notebook once" in result.output) is offered


def test_a_trace_names_the_packages_for_lack_of_which_cells_fail(notebook):
    document = json.loads(notebook.read_text())
    document["cells"] = [{**document["cells"][0], "source": "import not_there_at_all, tiny, json"}]
    notebook.write_text(json.dumps(document))
    assert "Not installed here: not_there_at_all." in run(notebook, "--check", "--trace").output
    assert json.loads(run(notebook, "--check", "--json").output)["missing_modules"] == ["not_there_at_all"]
    assert "Not installed" not in run(notebook, "--check").output


def test_an_object_that_a_cell_shows_is_held_by_nobody_else(notebook):
    document = json.loads(notebook.read_text())
    codes = ["rows = [1, 2]\nrows", "rows.append(3)", "rows"]
    document["cells"] = [
        {**cell, "source": code} for cell, code in zip(document["cells"], codes, strict=False)
    ]
    notebook.write_text(json.dumps(document))
    assert run(notebook, "--trace").exit_code == 0
    assert "rows_1 = rows.copy()" in notebook.with_suffix(".py").read_text()


def test_a_finder_that_fails_does_not_end_an_import(notebook, monkeypatch):
    class Finder:
        def find_spec(self, name, *_):
            if name == "found_by_nobody":
                raise RuntimeError(name)

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    document = json.loads(notebook.read_text())
    document["cells"] = [{**document["cells"][0], "source": "import found_by_nobody"}]
    notebook.write_text(json.dumps(document))
    assert run(notebook, "--check").exit_code == 0


def test_a_reader_runs_after_what_only_the_run_has_shown_to_change_its_object(tmp_path, monkeypatch):
    (tmp_path / "tiny.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    codes, observed = CELLS[:3], Trace({2: "\n...[rows]"}, 3, 3).observed
    cells = tuple(
        NotebookCell(number, f"c{number}", "code", code) for number, code in enumerate(codes, start=1)
    )
    traced = prepare(Notebook(cells, {}), lambda _: None, lambda _: None, observed=observed)
    reactive = Reactive([cell.code for cell in traced.cells])
    assert reactive.run()[2] == in_order(codes)[2]
    assert 2 in reactive.downstream(1)
    assert 2 not in Reactive([cell.code for cell in prepared(codes).cells]).downstream(1)
