"""Figures are shown by the backend, and in the format, that the cells above have set. In a fork: pyplot has one backend."""

import tempfile
from pathlib import Path

import pytest

from tests.corpus.forks import forked
from tests.corpus.kernels import ReactiveKernel

CELLS = {
    "0": "%matplotlib inline\nimport matplotlib.pyplot as plt",
    "1": "plt.axes();",
    "2": "%config InlineBackend.figure_format = 'svg'",
    "3": "plt.axes();",
    "4": "%matplotlib agg",
}


def shown() -> list[list[str]]:
    kernel = ReactiveKernel(60)
    seen = []
    kernel.run_all(CELLS)
    for cell, code in (*((cell, CELLS[cell]) for cell in "13"), ("2", CELLS["2"].replace("svg", "jpeg"))):
        kernel.run(cell, code)
        outputs = kernel.outputs()
        seen.append(
            [kind for each in "13" for output in outputs[each] for kind in output["data"] if "image" in kind]
        )
    return seen


def test_figures_are_shown_by_the_backend_and_in_the_format_of_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the child ends without cleaning up
    as_before = ["image/png", "image/svg+xml"]
    assert forked(shown, 60) == [as_before, as_before, ["image/png", "image/jpeg"]]
