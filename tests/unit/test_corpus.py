"""`make corpus`: the kernels in the measuring process run what a kernel in a process of its own runs."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.forks import forked
from tests.corpus.kernels import Outputs, PlainKernel, ReactiveKernel

PLOT = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\nprint(__doc__)"
DOCUMENTED = "Automatically created module for IPython interactive environment\n"
"""What a notebook that runs in a process of its own has in `__doc__`."""


def plain() -> dict[str, Outputs]:
    kernel = PlainKernel()
    kernel.run("plot", PLOT)
    return kernel.outputs()


def reactive() -> dict[str, Outputs]:
    kernel = ReactiveKernel(60)
    kernel.run("plot", PLOT)
    return kernel.outputs()


@pytest.mark.parametrize("run", [plain, reactive])
def test_inline_figures_are_shown_and_the_module_is_the_one_that_ipython_makes(
    run: Callable[[], dict[str, Outputs]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the child ends without cleaning up
    shown = forked(run, 60)["plot"]
    assert [output["output_type"] for output in shown] == ["stream", "display_data"], shown
    assert shown[0]["text"] == DOCUMENTED
    assert "image/png" in shown[1]["data"]


def test_a_measured_kernel_waits_as_long_as_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def bounded() -> str:
        kernel = ReactiveKernel(0.0)
        try:
            kernel.run("slow", "import time\ntime.sleep(0.2)")
        except AssertionError as error:
            return str(error)
        return "waited"

    assert "no reply" in forked(bounded, 60)
