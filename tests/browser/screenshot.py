"""Take docs/images/lab.png: the penguins example in JupyterLab on the marimo kernel.

    .venv/bin/python tests/browser/screenshot.py [FILE.png]

Opens the example, runs it, changes the species in one cell, runs only that, and takes the picture when the table and
the chart below have followed. Needs Debian's chromium, like the browser tests.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from chromium import launch
from lab_page import LabPage
from lab_server import REPOSITORY, running_lab
from playwright.sync_api import ViewportSize, expect, sync_playwright

SPECIES, TABLE, SUMMARY, CHART = 5, 6, 7, 8
WINDOW: ViewportSize = {"width": 1600, "height": 1080}
SCALE = 0.8  # of the window: the picture is 1280 by 864


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as directory, running_lab(Path(directory) / "lab") as server:
        shutil.copytree(REPOSITORY / "examples", server.notebooks, dirs_exist_ok=True)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            context = browser.new_context(viewport=WINDOW, device_scale_factor=SCALE)
            lab = LabPage(context.new_page(), server, server.notebooks / "penguins.ipynb")
            lab.open()
            lab.run_all()
            expect(lab.images(CHART)).to_have_count(1)
            before = lab.images(CHART).get_attribute("src")
            lab.edit(SPECIES, 'species = "Gentoo"')
            lab.run(SPECIES)
            expect(lab.outputs(SUMMARY)).to_contain_text(["Gentoo"])
            expect(lab.images(CHART)).not_to_have_attribute("src", before)
            lab.expect_status("idle")
            lab.cell(SPECIES).evaluate("cell => cell.scrollIntoView({block: 'start'})")
            target.parent.mkdir(parents=True, exist_ok=True)
            lab.screenshot(target)
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images/lab.png")
