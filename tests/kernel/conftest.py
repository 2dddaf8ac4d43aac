"""Kernel processes for the tests of this folder. A spare one starts while a test runs, so none waits for marimo."""

from collections.abc import Callable, Iterator

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol.names import Dialect
from tests.isolation import Homes


def _started(homes: Homes) -> KernelManager:
    home = homes.new("k")
    manager = KernelManager(
        kernel_name="marimo",
        connection_file=str(home.runtime / "kernel.json"),
        # Ports are chosen before a kernel binds them, and another process may take them: sockets in a folder are ours.
        transport="ipc",
        ip=str(home.folder / "s"),
    )
    manager.start_kernel(env=home.environment())
    return manager


@pytest.fixture(scope="session")
def _spare(homes: Homes) -> Iterator[list[KernelManager]]:
    spare = [_started(homes)]
    yield spare
    for manager in spare:
        manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(_spare: list[KernelManager], homes: Homes) -> Iterator[KernelManager]:
    """A running kernel of its own, from the installed kernelspec."""
    manager = _spare.pop()
    _spare.append(_started(homes))
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def shared(_spare: list[KernelManager], homes: Homes) -> Iterator[FrontEnd]:
    """One front end on one kernel, for the tests of a module that do not mind each other."""
    manager = _spare.pop()
    _spare.append(_started(homes))
    front_end = FrontEnd(manager.connection_file)
    yield front_end
    front_end.close()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def connect(kernel: KernelManager) -> Iterator[Callable[..., FrontEnd]]:
    """Make a front end on the kernel: `connect("lab")`."""
    front_ends: list[FrontEnd] = []

    def connect(dialect: Dialect = "lab") -> FrontEnd:
        front_ends.append(FrontEnd(kernel.connection_file, dialect))
        return front_ends[-1]

    yield connect
    for front_end in front_ends:
        front_end.close()


@pytest.fixture
def lab(connect: Callable[..., FrontEnd]) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def strict(lab: FrontEnd) -> FrontEnd:
    """A front end whose person wants marimo's rules: one cell defines a name."""
    assert lab.run("strict", "%marimo strict").ok
    return lab
