"""Make the pictures of docs/live.md: marimo's elements in a real JupyterLab, in both themes, and a recording of a few gestures.

.venv/bin/python tests/browser/live_pictures.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from document_pictures import lab_and_browser, opened, save
from lab_server import REPOSITORY
from live_page import DARK, LIGHT, THEME, expect_live, live
from moving_picture import Film
from playwright.sync_api import expect

if TYPE_CHECKING:
    from lab_page import LabPage

CELLS = (
    "import marimo as mo\nimport pandas as pd\n\npenguins = pd.read_csv('penguins.csv').dropna()",
    """mass = mo.ui.range_slider(2500, 6500, step=100, value=[3000, 5000], label="body mass", show_value=True)
species = mo.ui.multiselect(sorted(penguins.species.unique()), value=["Adelie", "Gentoo"], label="species")
mo.hstack([mass, species], justify="start", gap=2)""",
    """chosen = penguins[penguins.body_mass_g.between(*mass.value) & penguins.species.isin(species.value)]
print(len(chosen), "of", len(penguins), "penguins")""",
    """table = mo.ui.table(chosen[["species", "island", "body_mass_g", "flipper_length_mm"]], page_size=5)
table""",
    """print("selected:", *table.value.flipper_length_mm)""",
)
CONTROLS, COUNT, TABLE, SELECTED = 1, 2, 3, 4
LOOK, STEP, END = 1600, 160, 2600  # milliseconds


def main(folder: Path) -> None:
    with lab_and_browser() as (browser, server):
        (server.notebooks / "penguins.csv").write_bytes((REPOSITORY / "examples/penguins.csv").read_bytes())
        _take(opened(browser, server, "penguins.ipynb", CELLS, height=860, scale=1.0), folder)


def _take(lab: LabPage, folder: Path) -> None:
    lab.run_all()
    controls = expect_live(lab, CONTROLS)
    table = expect_live(lab, TABLE)
    expect(lab.outputs(COUNT)).to_contain_text(["penguins"])
    expect(table.locator("tbody tr")).to_have_count(5)

    film = Film(lab.page)
    film.take("marimo's own elements, in the cells of JupyterLab", LOOK)
    thumb = controls.get_by_role("slider").first
    for _ in range(8):
        before = lab.outputs(COUNT).inner_text()
        thumb.press("ArrowRight")
        _settled(lab, before)
        film.take("A change runs the cells that use it ...", STEP)
    film.take("... and only those", LOOK)
    menu = controls.get_by_role("combobox").or_(controls.locator("button")).first
    menu.click()
    option = controls.get_by_role("option", name="Chinstrap")
    film.take("Menus, tables and charts work as in marimo", LOOK)
    before = lab.outputs(COUNT).inner_text()
    option.click()
    _settled(lab, before)
    film.take("Menus, tables and charts work as in marimo", LOOK)
    lab.page.keyboard.press("Escape")
    table.locator("tbody [role=checkbox]").nth(1).click()
    expect(lab.outputs(SELECTED)).to_contain_text(["selected: 1"])
    film.take("What you select is a value in Python", END)
    film.save(folder / "live.gif")

    for theme, name in ((LIGHT, "live-light.png"), (DARK, "live-dark.png")):
        lab.page.evaluate(THEME, theme)
        menu.click()
        expect(option).to_be_visible()
        lab.page.wait_for_timeout(500)  # the theme's style sheet
        save(lab.page.screenshot(), folder / name, colors=96)
        lab.page.keyboard.press("Escape")


def _settled(lab: LabPage, before: str) -> None:
    """Wait until all that follows has its new content: JupyterLab takes the old one away before."""
    expect(lab.outputs(COUNT)).to_have_text([re.compile("penguins")])
    expect(lab.outputs(COUNT)).not_to_have_text([before])
    expect(live(lab, TABLE).locator("tbody tr")).to_have_count(5)
    expect(lab.outputs(SELECTED)).to_contain_text(["selected"])
    lab.expect_status("idle")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images")
