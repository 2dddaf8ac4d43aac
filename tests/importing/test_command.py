"""`marimo-kernel-bridge import`: many notebooks, targets, checks and how it ends."""

import json
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from reactive import Reactive, in_order

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.importing.verifying import verify as verifying

EXAMPLE = Path(__file__).parents[2] / "examples"


def write(path, *sources, outputs=()):
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {"tags": ["kept"]}, "source": source,
         "outputs": list(outputs) if number == 1 else [], "execution_count": None}
        for number, source in enumerate(sources, start=1)
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


def test_a_folder_is_imported_with_its_folders(tmp_path):
    write(tmp_path / "in" / "a.ipynb", "x = 1")
    write(tmp_path / "in" / "deep" / "b.ipynb", "y = 1")
    write(tmp_path / "in" / ".ipynb_checkpoints" / "a-checkpoint.ipynb", "z = 1")
    result = run(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.py")
    ) == [
        "a.py",
        "deep/b.py",
    ]
    assert "2 notebooks: 2 imported, 2 of them completely." in result.output


def test_a_folder_cannot_go_into_a_file(tmp_path):
    write(tmp_path / "in" / "deep" / "a.ipynb", "x = 1")
    taken = write(tmp_path / "ordinary.ipynb", "y = 1")
    result = run(tmp_path / "in", "-o", taken)
    assert result.exit_code == 2
    assert result.stderr == (
        f"marimo-kernel-bridge: {taken} names a file, but for several notebooks -o is a folder. Name a folder.\n"
    )
    assert run(taken, tmp_path / "in", "-o", tmp_path / "new.py").exit_code == 2
    assert not (tmp_path / "new.py").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").write_text("a file")
    result = run(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"{tmp_path / 'out' / 'deep'} cannot be made" in result.stderr


def test_a_folder_that_was_imported_already_is_left_alone_and_says_what_to_do(tmp_path):
    write(tmp_path / "a.ipynb", "x = 1")
    write(tmp_path / "b.ipynb", "x = 1")
    run(tmp_path)
    again = run(tmp_path)
    assert again.exit_code == 1
    assert again.stderr.splitlines()[0] == f"marimo-kernel-bridge: {tmp_path / 'a.py'} exists."
    assert again.stdout == "2 notebooks: the output files exist. --force overwrites them.\n"
    (tmp_path / "b.py").unlink()
    total = run(tmp_path).stdout.splitlines()[-1]
    assert total.startswith("2 notebooks: 1 imported, 1 of them completely; 1 skipped")
    assert run(tmp_path, "--force").exit_code == 0


def test_empty_cells_are_told_in_one_line(tmp_path):
    result = run(write(tmp_path / "a.ipynb", "", "x = 1", "", " "))
    assert "  cells 1, 3, 4 dropped: they are empty\n" in result.stdout
    assert result.stdout.count("dropped:") == 1


def test_one_bad_notebook_does_not_stop_the_others(tmp_path):
    write(tmp_path / "a.ipynb", "x = 1")
    (tmp_path / "b.ipynb").write_text("no JSON")
    write(tmp_path / "c.ipynb", "%%cython\nx")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["a.py", "c.py"]


def test_a_cell_that_cannot_be_carried_over_ends_with_3(tmp_path):
    result = run(write(tmp_path / "a.ipynb", "%%cython\nx"))
    assert result.exit_code == 3
    assert "cell 1 [c1] not converted: `%%cython` is commented out" in result.output


def test_check_writes_nothing(tmp_path):
    notebook = write(tmp_path / "a.ipynb", "x = 1", "x = x + 1", "x")
    result = run(notebook, "--check")
    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == [notebook]
    assert "would become" in result.output
    assert "`x` is called `x_1`" in result.output


def test_the_report_of_several_is_a_list(tmp_path):
    write(tmp_path / "a.ipynb", "x = 1")
    write(tmp_path / "b.ipynb", "x = 1")
    reports = json.loads(run(tmp_path, "--json").output)
    assert [Path(report["notebook"]).name for report in reports] == ["a.ipynb", "b.ipynb"]
    assert all(report["complete"] for report in reports)


def test_for_the_bridge_ipythons_syntax_stays_and_so_does_metadata(tmp_path):
    sources = [
        "%matplotlib inline\nx = 1",
        "%time x = x + 1",
        "print(x)\nfiles = !ls",
        "%%bash\necho x",
        "%%time\nx = 5",
        "x",
    ]
    run(write(tmp_path / "a.ipynb", *sources))
    result = run(tmp_path / "a.ipynb", "--target", "bridge")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "a-reactive.ipynb").read_text())
    assert ["".join(cell["source"]) for cell in document["cells"]] == [
        "%matplotlib inline\nx = 1",
        "%time x_1 = x + 1",
        "print(x_1)\nfiles = !ls",
        "%%bash\necho x",
        "%%time\nx_2 = 5",
        "x_2",
    ]
    assert [cell["id"] for cell in document["cells"]] == ["c1", "c2", "c3", "c4", "c5", "c6"]
    assert document["cells"][0]["metadata"] == {"tags": ["kept"]}
    assert document["metadata"]["kernelspec"]["name"] == "marimo"


def test_saved_outputs_are_there_when_marimo_opens_the_notebook(tmp_path):
    saved = [
        {"output_type": "stream", "name": "stdout", "text": ["hi\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1},
    ]
    write(tmp_path / "a.ipynb", "print('hi')\n1 + 1", "x = 1", outputs=saved)
    result = run(tmp_path / "a.ipynb", "--outputs", "keep")
    assert result.exit_code == 0, result.output
    session = json.loads((tmp_path / "__marimo__" / "session" / "a.py.json").read_text())
    first, second = session["cells"]
    assert first["outputs"] == [{"type": "data", "data": {"text/plain": "2"}}]
    assert first["console"][0]["text"] == "hi\n"
    assert second["outputs"] == []
    read = subprocess.run(
        [sys.executable, "-c", READ_SESSION, str(tmp_path / "a.py")],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    assert read.stdout.strip() == "2"


READ_SESSION = """
import sys, json, pathlib
from marimo._ast.app import InternalApp
from marimo._ast.load import load_app
from marimo._session.state.serialize import get_session_cache_file
from marimo._utils.code import hash_code
path = pathlib.Path(sys.argv[1])
cells = list(InternalApp(load_app(path)).cell_manager.cell_data())
session = json.loads(get_session_cache_file(path).read_text())
assert [cell["code_hash"] for cell in session["cells"]][:1] == [hash_code(cells[0].code)]
print(session["cells"][0]["outputs"][0]["data"]["text/plain"])
"""


class InMemory:
    """A notebook of plain Python that runs in this process, in place of one on a kernel."""

    def __init__(self, codes):
        self._codes = dict(codes)
        self._values = {}
        self._page = {}

    async def run(self, cell, code, _bound):
        self._codes[cell] = code
        cells = list(self._codes)
        notebook = Reactive(list(self._codes.values()), self._values)
        below = {
            each for each in notebook.downstream(cells.index(cell)) if cells[each] in {cell, *self._page}
        }
        for number, text in notebook.run(below).items():
            self._page[cells[number]] = outputs(text)

    def page(self):
        return {cell: self._page.get(cell, []) for cell in self._codes}

    async def stale(self):
        return frozenset()


def outputs(text):
    if text.endswith("Error\n"):
        return [{"output_type": "error", "ename": text.strip(), "evalue": "", "traceback": []}]
    return [{"output_type": "stream", "name": "stdout", "text": text}] if text else []


@pytest.fixture
def no_kernels(monkeypatch):
    """Verify in memory. The documentation's example below, and that of `test_sample`, run on kernels."""

    async def original(_folder, codes, done):
        texts = in_order(list(codes.values()))
        for cell in codes:
            done(cell)
        return {cell: outputs(text) for cell, text in zip(codes, texts, strict=True)}

    @asynccontextmanager
    async def running(_folder, codes, *, strict):
        yield InMemory(codes)

    monkeypatch.setattr(verifying, "original", original)
    monkeypatch.setattr(verifying, "running", running)


@pytest.mark.usefixtures("no_kernels")
def test_verify_runs_both_and_finds_no_difference(tmp_path):
    notebook = write(
        tmp_path / "a.ipynb",
        "rows = [1]",
        "rows",
        "rows.append(2)",
        "rows",
        "print('hello')",
        "rows = rows + [3]\nrows",
    )
    result = run(notebook, "--verify")
    assert result.exit_code == 0, result.output
    assert "verified: all 4 cells that show something show the same" in result.output


@pytest.mark.usefixtures("no_kernels")
def test_verify_tells_what_differs_and_sets_aside_what_is_not_the_importers_doing(tmp_path):
    notebook = write(
        tmp_path / "a.ipynb",
        "import random, time\nx = 1",
        "print(x)",
        "x = 2\nprint('x_' + '1' in globals())",
        "print('steady')\nprint(random.random())",
        "nowhere",
        "x",
    )
    result = run(notebook, "--verify", "--json")
    assert result.exit_code == 4, result.output
    verified = json.loads(result.stdout)["verified"]
    assert [each["cells"] for each in verified["differences"]] == [[3]]
    assert verified["varying"] == [4]
    assert verified["failing_in_the_original"] == [5]


@pytest.mark.usefixtures("no_kernels")
def test_verify_runs_cells_again_and_edits_them_and_says_what_is_wrong_then(tmp_path):
    notebook = write(tmp_path / "a.ipynb", "rows = [1]", "rows", "getattr(rows, 'append')(2)", "rows")
    result = run(notebook, "--verify")
    assert result.exit_code == 4, result.output
    assert "verified: all 2 cells that show something show the same" in result.stdout
    assert re.search(
        r"run again one by one: 4 cells, \d wrong\n    cell \d: after cell \d ran again: ", result.stdout
    )
    assert "cell 4: after cell 1 ran again: '[1, 2, 2]' became '[1, 2]'" in result.stdout
    assert "edited, one literal each: 1 cell, right" in result.stdout
    assert [line.strip() for line in result.stderr.splitlines()][1:] == [
        "the original, run 1 of 2",
        "the original, run 2 of 2",
        "the result",
        "run again",
        "in reverse order",
        "edits",
    ]


@pytest.mark.long  # `test_sample` verifies on kernels, too
def test_under_kernels_the_report_is_the_example_of_the_documentation(tmp_path):
    sources = [
        "from decimal import Decimal, getcontext",
        "Decimal(1) / 3",
        "setattr(getcontext(), 'prec', 5)",
        "Decimal(1) / 3",
    ]
    notebook = write(tmp_path / "a.ipynb", *sources)
    document = json.loads(notebook.read_text())
    text = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Thirds\n\n* one of three"}
    notebook.write_text(json.dumps({**document, "cells": [text, *document["cells"]]}))
    result = run(notebook, "--verify")
    assert result.exit_code == 4, result.output
    page = (Path(__file__).parents[2] / "docs" / "importing.md").read_text()
    assert page.partition("<!-- verified -->\n```\n")[2].partition("```")[0] in result.stdout


@pytest.mark.usefixtures("no_kernels")
def test_verify_stops_when_the_time_is_up(tmp_path):
    result = run(write(tmp_path / "a.ipynb", "x = 1", "x"), "--verify", "--within", "0")
    assert result.exit_code == 0, result.output
    assert "the time was up: not everything was tried" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"), [(["a.txt"], "is no .py file"), (["a.ipynb"], "is no .py file")]
)
def test_a_target_of_the_wrong_kind_is_refused(tmp_path, arguments, says):
    result = run(write(tmp_path / "in.ipynb", "x"), "-o", tmp_path / arguments[0])
    assert result.exit_code == 1
    assert says in result.output
