"""Kernels from warm pools, in pools that end with the tests of their module."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pooled_kernel import Kernel

from marimo_kernel_bridge.launch.pool import protocol
from marimo_kernel_bridge.launch.pool.status import stop_pools
from tests import probes
from tests.isolation import Home


@pytest.fixture(scope="module", autouse=True)
def _pools_end_with_the_module(module_home: Home) -> Iterator[None]:
    yield
    stop_pools()


@pytest.fixture(autouse=True)
def _pools_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes begin with the interpreter, when a pool has few variables yet."""
    monkeypatch.setattr(protocol, "_READ_ONCE", (*protocol._READ_ONCE, probes.VARIABLE))


@pytest.fixture(autouse=True)
def runtime_dir(module_home: Home, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Jupyter's runtime folder. Tests share their pools, and a pool has one home."""
    monkeypatch.delenv(
        "PYTEST_CURRENT_TEST", raising=False
    )  # else ipykernel does not capture file descriptors
    with module_home.lived_in():
        yield module_home.runtime


@pytest.fixture
def start() -> Iterator[Callable[..., Kernel]]:
    """Start a kernel from a pool: `start(preload=["numpy"], cwd=...)`."""
    kernels: list[Kernel] = []

    def start(
        *,
        pooled: bool = True,
        preload: Sequence[str] = (),
        limit: int = 128,
        idle_timeout: float = 900.0,
        **options: Any,
    ) -> Kernel:
        config = {"preload": list(preload), "limit": limit, "idle_timeout": idle_timeout}
        kernels.append(Kernel(config if pooled else None, **options))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()
