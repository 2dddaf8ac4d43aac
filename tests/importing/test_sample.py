"""Notebooks written as people write them, each full of what is hard: they show the same, and each cell can run again."""

import io
import re
import shutil
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from reactive import Reactive, in_order

from marimo_kernel_bridge.importing import stars
from marimo_kernel_bridge.importing.cells import prepare
from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.importing.verifying.verify import verify
from marimo_kernel_bridge.notebooks.ipynb import read_notebook

SAMPLE = Path(__file__).parent / "sample"
ADDRESS = re.compile(r"0x[0-9a-f]+")


def same(text):
    return ADDRESS.sub("0x", text)


@pytest.mark.parametrize("name", ["cleaning", "descent", "drawing", "course"])
def test_a_notebook_shows_the_same_and_each_cell_can_run_again(name):
    notebook = read_notebook(SAMPLE / f"{name}.ipynb")
    codes = {cell.position: cell.source for cell in notebook.cells if cell.kind == "code"}
    with redirect_stderr(io.StringIO()):
        expected = dict(zip(codes, in_order(list(codes.values())), strict=True))
        result = prepare(notebook, lambda _: None, lambda module: stars.names_of(module, None))
        reactive = Reactive([cell.code for cell in result.cells])
        assert reactive.problems() == []
        first = reactive.run()
        for number, cell in enumerate(result.cells):
            if cell.positions:
                shown = "".join(expected[each] for each in sorted(cell.positions))
                assert same(first[number]) == same(shown), cell.code
        for number in range(len(reactive.codes)):
            for other, text in reactive.run(reactive.downstream(number)).items():
                assert same(text) == same(first[other]), (
                    f"cell {number} again changed\n{reactive.codes[other]}"
                )


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.ipynb")), ids=lambda path: path.stem)
def test_marimo_takes_every_cell(path):
    conversion = convert(read_notebook(path))
    assert conversion.complete, conversion.check


def test_files_and_magics_are_the_same_under_real_kernels(home):
    notebook = read_notebook(SAMPLE / "files.ipynb")
    verdict = verify(notebook, convert(notebook), lambda _steps, _now: None, seconds=0)
    assert verdict.first.failing == ()
    assert verdict.differences == ()
    for path in home.temporary.glob("*/first.txt"):  # the notebook leaves the folders that it makes
        shutil.rmtree(path.parent)
