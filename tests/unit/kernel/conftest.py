"""Kernels in this process."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Configurable

from marimo_kernel_bridge.runtime import supported_api
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory

_plugins = cache(entry_points)
_version_of_marimo = cache(supported_api.installed)
_sections: Any = cache(vars(Configurable)["section_names"].__func__)


@pytest.fixture(scope="module", autouse=True)
def _what_is_installed_is_looked_for_once() -> Iterator[None]:
    """Read once, and not for each kernel, what takes a third of its start.

    What packages register for marimo, marimo's version, and the sections of the configuration that a class of IPython has.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marimo._entrypoints.registry.entry_points", _plugins)
        patch.setattr(supported_api, "installed", _version_of_marimo)
        patch.setattr(Configurable, "section_names", classmethod(_sections))
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
