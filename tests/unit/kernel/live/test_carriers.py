"""What carries messages to pages, in kernels that show their first element."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ipywidgets  # type: ignore[import-untyped]  # it has no types
import pytest

from marimo_kernel_bridge.kernel.live import carriers
from marimo_kernel_bridge.kernel.live.carrier import NO_WIDGETS
from marimo_kernel_bridge.kernel.outputs.router import OutputRouter
from marimo_kernel_bridge.runtime.live.assets import FrontEndFiles
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


def test_an_element_that_is_shown_before_the_extension_has_the_notebook_can_be_made_live_by_it(
    make: Callable[..., KernelInMemory],
) -> None:
    kernel = make()
    lab = kernel.connect("lab")
    assert lab.run("a", "import marimo as mo\nknob = mo.ui.slider(1, 9, value=3)\nknob").ok
    assert "(slider · from 1 to 9" in str(lab.outputs("a"))
    assert widgets(lab) == []
    [out] = re.findall('class="mkb-live".*? data-mkb-out="([0-9]+)"', str(lab.outputs("a")))
    assert "<marimo-slider" in (kernel.kernel.notebook.runtime.live.html(out) or "")


def test_a_front_end_that_attaches_is_told_which_files_draw_elements_as_pages_are_later(
    make: Callable[..., KernelInMemory],
) -> None:
    lab = make(widgets=True).connect("lab")
    attached = lab.open({"a": ""}).attached
    assert attached is not None
    assert attached.live == LivePage(lab).assets


def test_a_chart_waits_for_no_page_that_nobody_knows_of(make: Callable[..., KernelInMemory]) -> None:
    lab = make().connect("lab")
    data = "alt.Chart(alt.Data(values=[{'x': 1}])).mark_point().encode(x='x:Q')"
    code = f"import altair as alt, marimo as mo\nmo.ui.altair_chart({data})"
    assert lab.run("a", code).ok
    assert "mkb-" not in str(lab.outputs("a"))
    lab.open({"a": ""})
    assert lab.run("a", code).ok
    assert "mkb-live" in str(lab.outputs("a"))


def test_a_widget_that_cannot_be_imported_leaves_the_static_form(
    make: Callable[..., KernelInMemory], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_receive: object) -> None:
        raise ImportError("no ipywidgets")

    monkeypatch.setattr(carriers, "LoaderWidget", fail)
    lab = make(widgets=True).connect("lab")
    assert lab.run("a", "import marimo as mo\nmo.ui.text()").ok
    assert ">(text)</small>" in str(lab.outputs("a"))
    assert "no ipywidgets" in caplog.text


def test_without_marimos_front_end_elements_keep_their_static_form(
    make: Callable[..., KernelInMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrontEndFiles, "fault", lambda _: "index.html is gone")
    lab = make(widgets=True).connect("lab")
    assert lab.run("a", "import marimo as mo\nmo.ui.text()").ok
    assert "mkb-live" not in str(lab.outputs("a"))
    assert widgets(lab) == []


def test_in_vs_code_the_widgets_view_goes_once_vs_code_is_quiet(
    make: Callable[..., KernelInMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [True]
    monkeypatch.setattr(OutputRouter, "vscode_is_busy", property(lambda _: busy[0]))
    monkeypatch.setattr(carriers, "_AGAIN", 0.001)
    code = make(widgets=True).connect("vscode")
    assert code.run("a", "import marimo as mo\nmo.ui.text()").ok
    LivePage.of(code)
    assert "widget-view" in str(code.outputs("a"))
    busy.clear()
    busy.append(False)
    assert code.kernel.run_until(lambda: "widget-view" not in str(code.outputs("a")))


@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "busy"])
def test_a_vs_code_that_shows_no_widgets_is_told_why_in_place_of_the_view_until_a_page_says_hello(
    make: Callable[..., KernelInMemory], monkeypatch: pytest.MonkeyPatch, *, busy: bool
) -> None:
    is_busy = [busy]
    monkeypatch.setattr(OutputRouter, "vscode_is_busy", property(lambda _: is_busy[-1]))
    monkeypatch.setattr(carriers, "_PATIENCE", 0.02)
    monkeypatch.setattr(carriers, "_AGAIN", 0.001)
    code = make(widgets=True).connect("vscode")
    assert code.run("a", "import marimo as mo\nmo.ui.text()").ok
    if busy:
        page = LivePage.of(code)  # it says hello while the reason waits
        is_busy.append(False)
    assert code.kernel.run_until(lambda: "widget-view" not in str(code.outputs("a")))
    told, element = code.outputs("a")
    assert "(text)" in element["data"]["text/html"]
    html = "" if busy else f"<small>{NO_WIDGETS}</small>"
    assert told["data"] == {"text/html": html, "text/plain": "" if busy else NO_WIDGETS}
    if not busy:
        page = LivePage.of(code)
        assert code.kernel.run_until(lambda: NO_WIDGETS not in str(code.outputs("a")))
    assert page.get("a", 1)["html"]


def test_a_view_that_was_out_of_sight_comes_back_with_the_next_element_and_no_more_once_a_page_says_hello(
    make: Callable[..., KernelInMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriers, "_PATIENCE", 0.02)
    monkeypatch.setattr(carriers, "_AGAIN", 0.001)
    code = make(widgets=True).connect("vscode")
    assert code.run("a", "import marimo as mo\nmo.ui.text()").ok
    assert code.kernel.run_until(lambda: "widget-view" not in str(code.outputs("a")))
    monkeypatch.setattr(carriers, "_PATIENCE", 60)
    assert code.run("b", "mo.ui.text()").ok
    assert "widget-view" in str(code.outputs("b"))
    LivePage.of(code)
    assert code.kernel.run_until(lambda: "widget-view" not in str(code.outputs("b")))
    assert code.run("c", "mo.ui.text()").ok
    assert "widget-view" not in str(code.outputs("c"))


def test_nothing_is_sent_on_a_comm_that_its_page_has_closed(make: Callable[..., KernelInMemory]) -> None:
    lab = make(widgets=True).connect("lab")
    assert lab.run("a", "import marimo as mo\nknob = mo.ui.slider(1, 9)\nknob").ok
    page, extension = LivePage.of(lab), LivePage(lab)
    extension.close()
    extension.forget()
    assert lab.run("b", "%marimo set knob 4").ok
    page.settle()
    assert page.updates()
    assert extension.heard() == []
