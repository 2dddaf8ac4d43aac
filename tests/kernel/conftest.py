"""Kernel processes for the tests of this folder. A spare one starts while a test runs, so none waits for marimo."""

import os
from collections.abc import Iterator

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager


def _started(folders: pytest.TempPathFactory) -> KernelManager:
    # Ports are chosen before a kernel binds them, and another process may take them: sockets in a folder are ours.
    sockets = str(folders.mktemp("k") / "s")
    manager = KernelManager(kernel_name="marimo", transport="ipc", ip=sockets)
    # ipykernel does not capture file descriptors where it finds pytest's variable.
    manager.start_kernel(
        env={key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    )
    return manager


@pytest.fixture(scope="session")
def _spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[KernelManager]]:
    spare = [_started(tmp_path_factory)]
    yield spare
    for manager in spare:
        manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(_spare: list[KernelManager], tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    """A running kernel of its own, from the installed kernelspec."""
    manager = _spare.pop()
    _spare.append(_started(tmp_path_factory))
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def shared(_spare: list[KernelManager], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """One front end on one kernel, for the tests of a module that do not mind each other."""
    manager = _spare.pop()
    _spare.append(_started(tmp_path_factory))
    front_end = FrontEnd(manager.connection_file)
    yield front_end
    front_end.close()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def connect(kernel: KernelManager) -> Iterator:
    """Make a front end on the kernel: `connect("lab")`."""
    front_ends = []

    def connect(dialect: str = "lab") -> FrontEnd:
        front_ends.append(FrontEnd(kernel.connection_file, dialect))
        return front_ends[-1]

    yield connect
    for front_end in front_ends:
        front_end.close()


@pytest.fixture
def lab(connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def strict(lab: FrontEnd) -> FrontEnd:
    """A front end whose person wants marimo's rules: one cell defines a name."""
    assert lab.run("strict", "%marimo strict").ok
    return lab
