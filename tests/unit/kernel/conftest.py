"""Kernels in this process."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture(scope="session", autouse=True)
def _plugins_are_looked_for_once() -> Iterator[None]:
    """Let marimo read what each installed package registers once, and not for each kernel: a fifth of its start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marimo._entrypoints.registry.entry_points", cache(entry_points))
        yield


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelInMemory]:
    monkeypatch.chdir(tmp_path)  # marimo reads pyproject.toml several times, and this project's is long
    kernel = KernelInMemory(tmp_path)
    yield kernel
    kernel.close()


@pytest.fixture
def connect(kernel: KernelInMemory) -> Connect:
    """Make a front end on the kernel: `connect("vscode")`."""
    return kernel.connect


@pytest.fixture
def lab(kernel: KernelInMemory) -> FrontEnd:
    return kernel.connect("lab")


@pytest.fixture
def strict(lab: FrontEnd) -> FrontEnd:
    """A front end whose person wants marimo's rules: one cell defines a name."""
    assert lab.run("strict", "%marimo strict").ok
    return lab
