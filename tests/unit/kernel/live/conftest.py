"""A kernel whose pages show marimo's own elements; each test uses cells of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets  # type: ignore[import-untyped]  # it has no types
import pytest

from tests.unit.kernel.live.live_page import LivePage
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def live_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelInMemory]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kernel")
        patch.chdir(folder)
        kernel = KernelInMemory(folder, widgets=True)
        yield kernel
        ipywidgets.Widget.close_all()
        kernel.close()


@pytest.fixture(scope="module")
def notebook(live_kernel: KernelInMemory) -> FrontEnd:
    notebook = live_kernel.connect("lab")
    assert notebook.run("imports", "import marimo as mo").ok
    assert notebook.run("first", "mo.ui.text()").ok
    return notebook


@pytest.fixture(scope="module")
def page(notebook: FrontEnd) -> LivePage:
    """The page that runs the cells."""
    return LivePage.of(notebook)


@pytest.fixture(scope="module")
def other(live_kernel: KernelInMemory, page: LivePage) -> LivePage:
    """Another window with the same notebook."""
    return LivePage(live_kernel.connect("lab"), page.comm_id)


@pytest.fixture
def from_now_on(page: LivePage, other: LivePage) -> None:
    """Pages hear nothing of what was before the test."""
    page.forget()
    other.forget()
