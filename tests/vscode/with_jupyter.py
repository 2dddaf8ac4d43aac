"""marimo's elements in a real VS Code with the real Jupyter extension: `make vscode-live`.

Not a part of `make vscode`: the Jupyter extension is built from its sources for this, which takes some minutes once.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error, expect

from marimo_kernel_bridge.kernel.live.carrier import NO_WIDGETS
from marimo_kernel_bridge.protocol.own_python import module_command
from tests.vscode.by_hand import build, build_widgets
from tests.vscode.editor import REPOSITORY, CodeServer, Window, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Frame, Locator

    from tests.isolation import Homes

BUILT = REPOSITORY / ".build/vscode-jupyter"
LONG = 300.0  # seconds: a kernel starts, and megabytes go through the extension host
CELLS = (
    "import marimo as mo",
    "e = mo.ui.slider(1, 9, value=3, label='Size')\ne",
    "print('value', e.value)",
    "m = mo.ui.multiselect(['a', 'b'])\nm",
    *(f"print('cell', {number})" for number in range(6)),
)
ELEMENT, READER = 1, 2


@contextmanager
def _code_server(homes: Homes, *, widgets: bool) -> Iterator[CodeServer]:
    if not (BUILT / "built/package.json").exists():
        build(BUILT / "source", BUILT / "built")
    if not (BUILT / "widgets/scripts").exists():
        build_widgets(BUILT / "widgets")
    server = CodeServer(homes.new("v").folder, BUILT / "built", widgets=widgets)
    try:
        subprocess.run(module_command("install", "--user"), env=server.environment, check=True)
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def with_widgets(homes: Homes) -> Iterator[CodeServer]:
    with _code_server(homes, widgets=True) as server:
        yield server


@pytest.fixture(scope="module")
def without_widgets(homes: Homes) -> Iterator[CodeServer]:
    with _code_server(homes, widgets=False) as server:
        yield server


@pytest.fixture
def window(request: pytest.FixtureRequest, with_widgets: CodeServer, browser: Browser) -> Iterator[Window]:
    """A notebook whose cells run."""
    with _running(request, with_widgets, browser) as window:
        yield window


@pytest.fixture
def bare_window(
    request: pytest.FixtureRequest, without_widgets: CodeServer, browser: Browser
) -> Iterator[Window]:
    """A notebook whose cells run, in a VS Code that shows no widgets."""
    with _running(request, without_widgets, browser) as window:
        yield window


@contextmanager
def _running(request: pytest.FixtureRequest, server: CodeServer, browser: Browser) -> Iterator[Window]:
    window = server.open(browser, server.notebook("live.ipynb", *CELLS), runs=False)
    with _shown(request, window):
        with suppress(TimeoutError):  # it is answered when all cells have run
            window.ask("run", str(window.path))
        yield window


@contextmanager
def _shown(request: pytest.FixtureRequest, window: Window) -> Iterator[None]:
    """Report what the window said, and close it."""
    said: list[str] = []
    window.page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    try:
        yield
    finally:
        request.node.add_report_section("call", "console", "\n".join(said))
        if "SCREENSHOTS" in os.environ:
            window.page.screenshot(path=Path(os.environ["SCREENSHOTS"], f"{request.node.name}.png"))
        window.page.close()


def _frame_of(window: Window) -> Frame:
    """Return the frame in which VS Code shows the outputs, once an element is live there."""

    def look() -> Frame | None:
        for frame in window.page.frames:
            try:
                if frame.locator(".mkb-live [role=slider]").count():
                    return frame
            except Error:  # it is going away
                continue
        return None

    return wait_for(look, "an element is live", LONG)


def _thumb(window: Window) -> Locator:
    return _frame_of(window).locator(".mkb-live [role=slider]").first


def test_a_slider_that_is_moved_runs_what_reads_it_and_the_file_has_the_static_form(window: Window) -> None:
    window.until(lambda w: "cell 5" in w.outputs[-1], "Run All ends", LONG)
    assert "value 3" in window.outputs[READER]
    thumb = _thumb(window)
    for value in (4, 5):
        thumb.press("ArrowRight")
        window.until(lambda w, value=value: f"value {value}" in w.outputs[READER], "the reader ran")
    expect(thumb).to_have_attribute("aria-valuenow", "5")

    expect(_frame_of(window).locator(".mkb-live marimo-multiselect")).to_have_count(1)
    assert window.ask("save", str(window.path))
    saved = json.loads(window.path.read_text())
    text = json.dumps(saved)
    assert "<marimo-" not in text
    assert "mkb-live" in text
    assert "widget-view" not in text
    assert saved["cells"][READER]["outputs"][0]["text"] == ["value 5\n"]


def test_a_vs_code_that_shows_no_widgets_has_the_static_form_and_says_why(bare_window: Window) -> None:
    bare_window.until(lambda w: NO_WIDGETS[:60] in w.outputs[ELEMENT], "it is said why nothing is live", LONG)
    assert "Size" in bare_window.outputs[ELEMENT]

    def shown() -> str | None:
        texts = [_text(frame) for frame in bare_window.page.frames]
        return next((text for text in texts if "ms-toolsai.jupyter-renderers" in text), None)

    picture = wait_for(shown, "the page shows it", LONG)
    assert "%marimo set e VALUE" in picture
    assert bare_window.ask("save", str(bare_window.path))
    saved = json.loads(bare_window.path.read_text())
    assert "widget-view" not in json.dumps(saved)
    shown_there = [output["data"] for output in saved["cells"][ELEMENT]["outputs"]]
    assert any("slider" in "".join(data["text/plain"]) for data in shown_there)


def _text(frame: Frame) -> str:
    try:
        return frame.locator("body").inner_text()
    except Error:  # it is going away
        return ""
