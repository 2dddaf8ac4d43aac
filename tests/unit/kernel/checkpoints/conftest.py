import pytest

from tests.unit.kernel.checkpoints.notebook_values import Notebook


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)
