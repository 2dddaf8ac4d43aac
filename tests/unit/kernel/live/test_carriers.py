"""What carries messages to pages, in kernels that show their first element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets  # type: ignore[import-untyped]  # it has no types
import pytest

from tests.unit.kernel.live.live_page import LivePage, widgets
from tests.unit.kernel.notebook_in_memory import KernelInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., KernelInMemory]]:
    monkeypatch.chdir(tmp_path)
    kernels: list[KernelInMemory] = []

    def make(**options: bool) -> KernelInMemory:
        kernels.append(KernelInMemory(tmp_path, **options))
        return kernels[-1]

    yield make
    ipywidgets.Widget.close_all()
    for kernel in kernels:
        kernel.close()


def test_the_widget_is_opened_with_the_first_element_and_once(make: Callable[..., KernelInMemory]) -> None:
    kernel = make(widgets=True)
    lab = kernel.connect("lab")
    assert lab.run("a", "import marimo as mo\nmo.md('words')").ok
    assert widgets(lab) == []
    assert lab.run("b", "mo.ui.text()").ok
    assert lab.run("c", "mo.ui.text()").ok
    assert len(widgets(lab)) == 1
    assert lab.run("d", "import ipywidgets; ipywidgets.Widget.close_all()").ok
    assert lab.run("e", "mo.ui.text()").ok
    assert len(widgets(lab)) == 2
    assert LivePage.of(lab).get("e")["html"]


def test_without_anywidget_only_a_page_with_the_extension_has_placeholders(
    make: Callable[..., KernelInMemory],
) -> None:
    kernel = make()
    lab = kernel.connect("lab")
    assert lab.run("a", "import marimo as mo\nknob = mo.ui.slider(1, 9)\nknob").ok
    assert "mkb-live" not in str(lab.outputs("a"))
    lab.open({"a": "", "b": ""})
    assert lab.run("a", "import marimo as mo\nknob = mo.ui.slider(1, 9)\nknob").ok
    assert lab.run("b", "print(knob.value)").ok
    assert widgets(lab) == []
    assert "mkb-live" in str(lab.outputs("a"))
