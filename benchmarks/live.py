"""marimo's elements on a page: a real JupyterLab with our extension, in a real Chromium.

Times are the page's own, from an event on the element until the output of its reader has changed; what the browser then
paints is not in them. Bytes are those of the front end's files, on the WebSockets of the page.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

from benchmarks.measuring import OURS, Row, Sample, Settings, check, median, p95, say
from tests.browser.chromium import launch_with_profile
from tests.browser.lab_page import LabPage
from tests.browser.lab_server import WARM, running_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator, WebSocket

    from tests.browser.lab_server import LabServer

SLIDER = "import marimo as mo\ne = mo.ui.slider(0, 1000, full_width=True)\ne"
READER = "print('value', e.value)"
ROWS = 1_000_000
TABLE = f"""import marimo as mo, numpy as np, pandas as pd
frame = pd.DataFrame({{'n': np.random.default_rng(1).permutation({ROWS}), 'm': np.arange({ROWS})}})
mo.ui.table(frame, selection=None, show_column_summaries=False)"""
MOVES, SECONDS = 60, 5.0
FILES = 100_000  # bytes of a message that can only be the front end's files
THUMB = "[role=slider]"

_WATCH = r"""
([output, thumb]) => {
  const times = window.times = {events: [], set: [], shown: []};
  const shown = () => {
    const value = Number(/value (\d+)/.exec(output.textContent)?.[1]);
    if (value !== times.shown.at(-1)?.[0]) times.shown.push([value, performance.now()]);
  };
  shown();
  new MutationObserver(shown).observe(output, {childList: true, subtree: true, characterData: true});
  new MutationObserver(() => times.set.push([Number(thumb.getAttribute("aria-valuenow")), performance.now()]))
    .observe(thumb, {attributeFilter: ["aria-valuenow"]});
  thumb.addEventListener("keydown", () => times.events.push(performance.now()), true);
}
"""
_FIRST = """() => {
  window.times = {};
  const look = () => {
    const place = document.querySelector(".mkb-live");
    if (place) times.placeholder ??= performance.now();
    if (place?.shadowRoot?.querySelector("marimo-slider")?.shadowRoot?.querySelector("[role=slider]")) times.live ??= performance.now();
    if (!times.live) requestAnimationFrame(look);
  };
  look();
}"""
_SORTED = """([table, first]) => new Promise(resolve => {
  const started = performance.now();
  const look = () => table.querySelector("marimo-table").shadowRoot.querySelector("tbody td").textContent.replaceAll(",", "").trim() === first
    ? resolve(performance.now() - started) : setTimeout(look, 1);
  look();
})"""


class _Files:
    """Bytes of the front end's files that a page got from its kernel."""

    def __init__(self) -> None:
        self.bytes = 0

    def follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._received)

    def _received(self, frame: str | bytes) -> None:
        if len(frame) > FILES:
            self.bytes += len(frame)


def _opened(browser: BrowserContext, server: LabServer, name: str, *cells: str) -> tuple[LabPage, _Files]:
    """Open a notebook in a new tab."""
    path = server.notebooks / f"{name}.ipynb"
    found: list[dict[str, Any]] = [
        {"id": f"c{number}", "cell_type": "code", "source": source, "metadata": {}}
        | {"execution_count": None, "outputs": []}
        for number, source in enumerate(cells)
    ]
    metadata = {"kernelspec": {"name": WARM, "display_name": WARM, "language": "python"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": found}))
    files, tab = _Files(), browser.new_page()
    tab.on("websocket", files.follow)
    lab = LabPage(tab, server, path)
    lab.workspace = name
    lab.open()
    return lab, files


def _first_element(browser: BrowserContext, server: LabServer, name: str) -> tuple[LabPage, float, int]:
    """Return a page with a slider and its reader, the seconds from the placeholder to the live slider, and the bytes."""
    lab, files = _opened(browser, server, name, SLIDER, READER)
    lab.page.evaluate(_FIRST)
    lab.run_all()
    expect(lab.outputs(1)).to_have_text(["value 0"])
    expect(lab.outputs(0).locator(THUMB)).to_have_count(1)
    times = lab.page.evaluate("window.times")
    return lab, (times["live"] - times["placeholder"]) / 1000, files.bytes


def _watched(lab: LabPage) -> Locator:
    thumb = lab.outputs(0).locator(THUMB)
    lab.page.evaluate(
        _WATCH, [lab.cell(1).locator(".jp-OutputArea").element_handle(), thumb.element_handle()]
    )
    return thumb


def _pressed(lab: LabPage, rounds: int) -> list[Sample]:
    """Return the seconds from each key on a slider to the output of its reader."""
    thumb = _watched(lab)
    for number in range(rounds + 3):
        thumb.press("ArrowRight")
        expect(lab.outputs(1)).to_have_text([f"value {number + 1}"])
    times = lab.page.evaluate("window.times")
    shown = dict(times["shown"])
    return [
        Sample((shown[number + 1] - event) / 1000)
        for number, event in enumerate(times["events"])
        if number > 2
    ]


def _dragged(lab: LabPage) -> list[Sample]:
    """Return how many seconds the reader's output was behind the slider at each of its moves."""
    thumb = _watched(lab)
    box = lab.outputs(0).locator("[data-orientation=horizontal]").first.bounding_box()
    assert box is not None
    mouse, top = lab.page.mouse, box["y"] + box["height"] / 2
    step = box["width"] / (MOVES + 10)
    mouse.move(box["x"] + step, top)
    mouse.down()
    for number in range(MOVES):
        mouse.move(box["x"] + step * (number + 2), top)
        lab.page.wait_for_timeout(SECONDS / MOVES * 1000)
    mouse.up()
    value = thumb.get_attribute("aria-valuenow")
    expect(lab.outputs(1)).to_have_text([f"value {value}"])
    times = lab.page.evaluate("window.times")
    check(len(times["set"]) >= MOVES * 0.9, f"the slider moved {len(times['set'])} times")
    return [
        Sample(
            max(0.0, next(at for value, at in times["shown"] if value >= moved and at >= when) - when) / 1000
        )
        for moved, when in times["set"]
    ]


def _sorted(browser: BrowserContext, server: LabServer, rounds: int) -> list[Sample]:
    lab, _ = _opened(browser, server, "table", TABLE)
    lab.run_all()
    table = lab.outputs(0).first.locator("[data-vscode-output-container]")
    expect(table.locator("tbody td").first).to_be_visible()
    samples = []
    for _ in range(rounds):
        for first in ("0", str(ROWS - 1)):
            table.locator("[data-testid=data-table-sort-button]").first.click(no_wait_after=True)
            samples.append(Sample(lab.page.evaluate(_SORTED, [table.element_handle(), first]) / 1000))
        table.locator("[data-testid=data-table-sort-button]").first.click()  # not sorted any more
    lab.page.close()
    return samples


def _row(what: str, limit: float, samples: list[Sample], value: float | None) -> Row:
    return Row(what, f"≤ {limit:.0f} ms", limit, (value or 0.0) * 1000, "ms", samples={OURS: samples})


def run(settings: Settings) -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder) / "lab", extension=True) as server,
        sync_playwright() as playwright,
    ):
        browser = launch_with_profile(playwright, Path(folder) / "profile")
        try:
            yield from _measured(browser, server, settings)
        finally:
            browser.close()


def _measured(browser: BrowserContext, server: LabServer, settings: Settings) -> Iterator[Row]:
    lab, cold, size = _first_element(browser, server, "first")
    yield _row("the first live element on a page, nothing cached", 2500, [Sample(cold)], cold)
    megabytes = size / 1e6
    yield Row("marimo's front end without charts, sent to a page", "≤ 2.2 MB", 2.2, megabytes, "MB")
    say(".", end="")
    samples = _pressed(lab, settings.pick(60, 15))
    yield _row("a key on a slider to its reader's output, p50", 80, samples, median(samples))
    yield _row("a key on a slider to its reader's output, p95", 150, samples, p95(samples))
    say(".", end="")
    behind = _dragged(lab)
    yield _row(f"behind a slider that is dragged, {MOVES} moves in 5 s, p95", 100, behind, p95(behind))
    lab.page.close()
    say(".", end="")
    cached: list[Sample] = []
    for number in range(settings.pick(5, 2)):
        lab, seconds, size = _first_element(browser, server, f"cached{number}")
        check(size == 0, f"{size} bytes of the front end were sent again")
        cached.append(Sample(seconds))
        lab.page.close()
    yield _row("the first live element on a page, from the cache", 1200, cached, median(cached))
    say(".", end="")
    samples = _sorted(browser, server, settings.pick(3, 1))
    yield _row("a table of 1,000,000 rows sorted", 1000, samples, median(samples))
