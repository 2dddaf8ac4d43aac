"""Make the pictures of docs/editor.md: a notebook in marimo's own editor, on the kernel of a JupyterLab, and a recording of both.

.venv/bin/python tests/browser/editor_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from document_pictures import lab_and_browser, opened, save
from lab_server import REPOSITORY
from live_page import expect_live
from moving_picture import KEY, Film
from playwright.sync_api import expect

if TYPE_CHECKING:
    from lab_page import LabPage
    from playwright.sync_api import Page

CELLS = (
    "import marimo as mo\nimport random\n\nrandom.seed(3)\nreadings = [random.gauss(20, 4) for _ in range(500)]",
    "limit = mo.ui.slider(10, 30, value=26)\nlimit",
    "high = [value for value in readings if value > limit.value]",
    "mo.md(f'**{len(high)}** of {len(readings)} readings are above {limit.value}')",
    "%marimo open",
)
SLIDER, HIGH, TEXT, OPEN = 1, 2, 3, 4
EDITORS = ".marimo-cell .cm-content"
LOOK, STEP, END = 1600, 160, 2600  # milliseconds
ADDED = " and value < 25"


def main(folder: Path) -> None:
    with lab_and_browser() as (browser, server):
        lab = opened(browser, server, "readings.ipynb", CELLS)
        page = _editor_of(lab)
        page.wait_for_timeout(1_500)  # until it has stopped moving
        save(page.screenshot(), folder / "editor.png")
    with lab_and_browser() as (browser, server):  # else this Lab would open the other notebook as well
        lab = opened(browser, server, "both.ipynb", CELLS, height=620, scale=0.75)
        _recorded(lab, _editor_of(lab), folder)


def _editor_of(lab: LabPage) -> Page:
    """Run the notebook, and open marimo's editor in a tab beside it."""
    lab.run_all()
    link = lab.outputs(OPEN).first.get_by_role("link")
    expect(link).to_be_visible()
    page = lab.page.context.new_page()
    page.goto(str(link.get_attribute("href")))
    expect(page.get_by_text("readings are above 26").first).to_be_visible()
    return page


def _recorded(lab: LabPage, editor: Page, folder: Path) -> None:
    thumb = expect_live(lab, SLIDER).get_by_role("slider").first
    film = Film(lab.page, editor)
    film.take("One notebook in JupyterLab and in marimo's editor, on one kernel", LOOK)
    for value in range(25, 20, -1):
        lab.page.bring_to_front()
        thumb.press("ArrowLeft")
        for one in (lab.page, editor):
            expect(one.get_by_text(f"readings are above {value}").first).to_be_visible()
        film.take("A slider that moves in one moves in the other ...", STEP)
    film.take("... and what reads it follows in both", LOOK)
    editor.bring_to_front()
    cell = editor.locator(EDITORS).nth(HIGH)
    cell.click()
    editor.keyboard.press("Control+End")
    editor.keyboard.press("ArrowLeft")
    for letter in ADDED:
        editor.keyboard.insert_text(letter)
        film.take("Code that you change and run in marimo's editor ...", KEY)
    before = lab.outputs(TEXT).inner_text()
    editor.keyboard.press("Control+Enter")
    expect(lab.editor(HIGH)).to_contain_text(ADDED.strip())
    expect(lab.outputs(TEXT)).not_to_have_text([before])
    lab.expect_status("idle")
    film.take("... is changed, and has run, in the notebook that JupyterLab saves", END)
    film.save(folder / "editor.gif")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images")
