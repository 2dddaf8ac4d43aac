"""Make the picture of docs/editor.md: a notebook in marimo's own editor, on the kernel of a JupyterLab.

.venv/bin/python tests/browser/editor_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from document_pictures import lab_and_browser, opened, save
from lab_server import REPOSITORY
from playwright.sync_api import expect

CELLS = (
    "import marimo as mo\nimport random\n\nrandom.seed(3)\nreadings = [random.gauss(20, 4) for _ in range(500)]",
    "limit = mo.ui.slider(10, 30, value=26)\nlimit",
    "high = [value for value in readings if value > limit.value]",
    "mo.md(f'**{len(high)}** of {len(readings)} readings are above {limit.value}')",
    "%marimo open",
)


def main(folder: Path) -> None:
    with lab_and_browser() as (browser, server):
        lab = opened(browser, server, "readings.ipynb", CELLS)
        lab.run_all()
        link = lab.outputs(4).first.get_by_role("link")
        expect(link).to_be_visible()
        page = lab.page.context.new_page()
        page.goto(str(link.get_attribute("href")))
        expect(page.get_by_text("readings are above 26").first).to_be_visible()
        page.wait_for_timeout(1_500)  # until it has stopped moving
        save(page.screenshot(), folder / "editor.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images")
