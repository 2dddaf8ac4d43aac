"""`%run` of another notebook: its cells stand where it ran."""

import json

from marimo_kernel_bridge.importing.magics import translated
from marimo_kernel_bridge.importing.translation import Notebooks, Translated


def notebook(*sources: str) -> str:
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


FILES = {
    "helpers.ipynb": notebook("def double(x):\n    return 2 * x", "double(4)"),
    "two.ipynb": notebook("%run helpers.ipynb", "%pwd\nk = double(5)"),
    "itself.ipynb": notebook("%run itself.ipynb", "k = 1"),
    "lines.ipy": "w = 5\n%pwd\n",
    "broken.ipynb": "no JSON",
}


def python_of(source: str) -> Translated:
    return translated(source, Notebooks(frozenset(), FILES.get, translate=translated))


def test_the_cells_of_the_other_notebook_stand_in_the_cell() -> None:
    result = python_of("import os\n%run helpers.ipynb\ndouble(1)")
    assert not result.lost
    assert result.code == (
        "import os\n# the cells of helpers.ipynb\n\ndef double(x):\n    return 2 * x\n\ndouble(4)\n\nNone\ndouble(1)"
    )


def test_the_values_of_the_other_notebook_are_not_shown() -> None:
    assert python_of("%run helpers.ipynb").code.endswith("\nNone")


def test_its_magics_are_translated_too() -> None:
    for path in ("two.ipynb", "lines.ipy"):
        result = python_of(f"%run {path}")
        assert "os.getcwd()" in result.code
        assert result.needs == {"os"}
    assert "def double" in python_of("%run two.ipynb").code


def test_a_notebook_that_runs_itself_ends() -> None:
    result = python_of("%run itself.ipynb")
    assert "k = 1" in result.code
    assert len(result.lost) == 1


def test_what_cannot_be_read_is_told_once() -> None:
    for path in ("broken.ipynb", "missing.ipynb"):
        result = python_of(f"%run {path}")
        assert result.lost == [
            f"`%run {path}` is commented out: it runs another notebook, which cannot be read"
        ]
        assert result.notes == []
