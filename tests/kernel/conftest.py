"""Kernel processes for the tests of this folder. Most are forked from a pool: that takes a tenth of a start."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.launch.install import install_kernelspec
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER, PoolOptions
from marimo_kernel_bridge.protocol.names import Dialect
from tests.isolation import Home, Homes

OF_NO_SANDBOX = {
    "test_marimos_editor.py": "its page is on the kernel's own loopback",
    "test_views.py": "its page is on the kernel's own loopback",
    "os.getcwd()]": "a kernel in a sandbox has another folder here than that of the tests",
}
"""What is left out where all kernels of this folder's tests are in a sandbox (`KERNELS_IN_SANDBOX=light`): the end of its id -> why."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "KERNELS_IN_SANDBOX" in os.environ:
        left_out = [
            item
            for item in items
            if item.path.name in OF_NO_SANDBOX or item.name.endswith(tuple(OF_NO_SANDBOX))
        ]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def in_pool(pool_home: Home) -> Callable[[], AbstractContextManager[str]]:
    """Have programs that start kernels themselves get them from that pool: `with in_pool() as kernelspec`."""
    install_kernelspec(name="pooled", prefix=pool_home.folder, pool=PoolOptions())

    @contextmanager
    def in_pool() -> Iterator[str]:
        with pool_home.lived_in(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(pool_home.folder / "share/jupyter"))
            yield "pooled"

    return in_pool


@contextmanager
def _running(
    homes: Homes, writable: Path, pool: Home | None = None, folder: Path | None = None
) -> Iterator[KernelManager]:
    """Run a kernel of its own from the installed kernelspec, forked by a pool or spawned.

    `writable` is the folder of all that tests write, which a sandbox lets it write as well.
    """
    home = homes.new("k")
    manager = KernelManager(
        kernel_name="marimo",
        connection_file=str(home.runtime / "kernel.json"),
        # Ports are chosen before a kernel binds them, and another process may take them: sockets in a folder are ours.
        transport="ipc",
        ip=str(home.folder / "s"),
    )
    if engine := os.environ.get("KERNELS_IN_SANDBOX"):  # all of this folder's tests in one: `light`
        assert manager.kernel_spec is not None
        sandbox = {"engine": engine, "writable": [str(writable)]}
        manager.kernel_spec.argv.insert(-2, f"--sandbox={json.dumps(sandbox)}")
        folder = folder or home.folder / "work"  # not that of the tests, which is on Python's path
        folder.mkdir(exist_ok=True)
    if pool is None:
        manager.start_kernel(env=home.environment(), cwd=folder)
    else:
        assert manager.kernel_spec is not None
        manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
        # A pool is named by its home and lies in its runtime folder; IPython's folder is the kernel's own.
        own = {"TMPDIR": str(home.temporary), "IPYTHONDIR": str(home.folder / ".ipython")}
        with pool.lived_in():
            manager.start_kernel(env=pool.environment(**own), cwd=folder)
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(
    homes: Homes, pool_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelManager]:
    """A running kernel of its own."""
    with _running(homes, tmp_path_factory.getbasetemp(), pool_home) as manager:
        yield manager


@pytest.fixture
def restart(kernel: KernelManager, pool_home: Home) -> Callable[[], None]:
    """Replace the process of the kernel by another one of its pool."""

    def restart() -> None:
        with pool_home.lived_in():
            kernel.restart_kernel()

    return restart


@pytest.fixture(scope="module")
def folder() -> Path | None:
    """The folder that `spawned` starts in; None is that of the tests."""
    return None


@pytest.fixture(scope="module")
def spawned(
    homes: Homes, folder: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelManager]:
    """A running kernel in a new interpreter, for tests of a module whose subject is the start of the process."""
    with _running(homes, tmp_path_factory.getbasetemp(), folder=folder) as manager:
        yield manager


@pytest.fixture(scope="module")
def shared_kernel(
    homes: Homes, pool_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelManager]:
    """A running kernel for the tests of a module that do not mind each other."""
    with _running(homes, tmp_path_factory.getbasetemp(), pool_home) as manager:
        yield manager


@pytest.fixture(scope="module")
def shared(shared_kernel: KernelManager) -> Iterator[FrontEnd]:
    """One front end on the kernel that the tests of a module share."""
    front_end = FrontEnd(shared_kernel.connection_file)
    yield front_end
    front_end.close()


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
