"""Kernels in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[KernelInMemory]:
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
