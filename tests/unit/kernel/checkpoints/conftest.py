"""The names of a notebook, and notebooks that outlive their kernels."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.kernel.checkpoints.lives import Lives
from tests.unit.kernel.checkpoints.notebook_values import Notebook


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    monkeypatch.chdir(tmp_path)
    lives = Lives(tmp_path, monkeypatch)
    yield lives
    lives.close()
