from pathlib import Path

import pytest

from marimo_kernel_bridge.checkpoints.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "checkpoints", quota=10_000_000)
