"""The names of a notebook, and notebooks that outlive their kernels."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.checkpoints import after_runs, automatic, choice, planning
from tests.unit.kernel.checkpoints.lives import Lives
from tests.unit.kernel.checkpoints.notebook_values import Notebook


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


@pytest.fixture(autouse=True)
def _no_cell_is_costly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine is busy, a cell may take the seconds after which it is saved automatically, and that is the newest checkpoint then.

    Tests of automatic checkpoints say themselves how long such a cell takes.
    """
    for module in (after_runs, automatic, choice, planning):
        monkeypatch.setattr(module, "LONG", 3600.0)


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    monkeypatch.chdir(tmp_path)
    lives = Lives(tmp_path, monkeypatch)
    yield lives
    lives.close()
