"""Make the pictures of docs/jupyterlab.md: an agent's change and its proposals in a real JupyterLab with the extension.

.venv/bin/python tests/browser/document_pictures.py [FOLDER]
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromium import launch
from document_agent import document_agent
from lab_page import LabPage
from lab_server import REPOSITORY, WARM, running_lab
from PIL import Image
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_server import LabServer
    from playwright.sync_api import Browser

CELLS = (
    "import random\n\nrandom.seed(3)\nreadings = [random.gauss(20, 4) for _ in range(500)]",
    "limit = 26",
    "high = [value for value in readings if value > limit]",
    "print(len(high), 'of', len(readings), 'readings are above', limit)",
)
PROPOSED = (
    "low = [value for value in readings if value < 14]\nhigh = [value for value in readings if value > limit]"
)


@contextmanager
def lab_and_browser(*, extension: bool = True) -> Iterator[tuple[Browser, LabServer]]:
    """Start a JupyterLab, with the extension or without, and a browser."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_lab(Path(directory) / "lab", extension=extension) as server,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        yield browser, server
        browser.close()


def opened(
    browser: Browser,
    server: LabServer,
    name: str,
    sources: Sequence[str],
    *,
    height: int = 600,
    scale: float = 1.5,
) -> LabPage:
    """Open a new notebook in a window of its own, `height` CSS pixels high, without the file browser."""
    cells: list[dict[str, Any]] = [
        {"id": f"c{number}", "cell_type": "code", "source": source, "metadata": {}}
        | {"execution_count": None, "outputs": []}
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": WARM, "display_name": WARM, "language": "python"}}
    path = server.notebooks / name
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}))
    context = browser.new_context(viewport={"width": 1000, "height": height}, device_scale_factor=scale)
    lab = LabPage(context.new_page(), server, path)
    lab.open()
    lab.page.keyboard.press("ControlOrMeta+B")  # hides the file browser
    return lab


def main(folder: Path) -> None:
    with lab_and_browser() as (browser, server):
        lab = opened(browser, server, "readings.ipynb", CELLS)
        lab.run_all()
        expect(lab.outputs(3)).to_contain_text(["above 26"])
        _take(lab, folder)


def _take(lab: LabPage, folder: Path) -> None:
    with document_agent(lab) as agent:
        agent.change(1, "limit = 24")
        expect(lab.outputs(3)).to_contain_text(["above 24"])
        lab.page.locator(".lm-TabBar-tab", has_text="Dataflow").click()
        expect(lab.page.locator(".mkb-Graph-node")).to_have_count(4)
        save(lab.page.screenshot(), folder / "lab-document.png")
        lab.page.locator(".lm-TabBar-tab", has_text="Dataflow").click()
        agent.change(2, PROPOSED, propose=True, note="the low ones are missing")
        agent.add(3, "print(len(low), 'are below 14')", propose=True, note="and should be counted")
        expect(lab.cards()).to_have_count(2)
        expect(lab.cards().first.locator(".cm-changedLine")).to_have_count(1)
        save(lab.page.screenshot(), folder / "lab-proposal.png")


def save(shot: bytes, target: Path, colors: int = 64) -> None:
    """Write a picture with few colors, a quarter of its size."""
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(
        target, optimize=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images")
