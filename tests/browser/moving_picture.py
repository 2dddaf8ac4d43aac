"""Make docs/images/lab.gif: a person, then an agent, changes a cell in JupyterLab, and the cells below follow.

    .venv/bin/python tests/browser/moving_picture.py [FILE.gif]

Every frame is a screenshot of a real JupyterLab with the marimo kernel; the agent is the MCP SDK's client on this
package's server. Only the line at the bottom is drawn. Needs Debian's chromium, like the browser tests.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chromium import launch
from lab_agents import change, mcp_agent
from lab_page import LabPage
from lab_server import REPOSITORY, running_lab
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import ViewportSize, expect, sync_playwright

if TYPE_CHECKING:
    from lab_server import LabServer
    from playwright.sync_api import Browser

SPECIES, TABLE, SUMMARY, CHART = 5, 6, 7, 8
WINDOW: ViewportSize = {"width": 1060, "height": 1010}
SCALE = 0.75  # of the window, so that a page shows enough of the notebook
CAPTION = 40  # pixels
COLORS = 96
KEY, LOOK, END = 90, 2200, 3200  # milliseconds


class Film:
    """Frames and how long each is shown."""

    def __init__(self, lab: LabPage) -> None:
        self._lab = lab
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []

    def take(self, caption: str, duration: int) -> None:
        """Add a frame of the page as it is now."""
        shot = Image.open(io.BytesIO(self._lab.page.screenshot())).convert("RGB")
        frame = Image.new("RGB", (shot.width, shot.height + CAPTION), "#0f172a")
        frame.paste(shot)
        middle = (shot.width // 2, shot.height + CAPTION // 2)
        font = ImageFont.load_default(size=17)
        ImageDraw.Draw(frame).text(middle, caption, fill="white", anchor="mm", font=font)
        self._frames.append(frame)
        self._durations.append(duration)

    def save(self, target: Path) -> None:
        """Write the film as a GIF, with one palette for all frames so that what stays still stays equal."""
        sheet = Image.new("RGB", (self._frames[0].width, self._frames[0].height * 3))
        for number, index in enumerate((0, len(self._frames) // 2, -1)):
            sheet.paste(self._frames[index], (0, number * self._frames[0].height))
        palette = sheet.quantize(COLORS)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames]
        target.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(
            target, save_all=True, append_images=frames[1:], duration=self._durations, loop=0, optimize=True
        )


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as directory, running_lab(Path(directory) / "lab") as server:
        shutil.copytree(REPOSITORY / "examples", server.notebooks, dirs_exist_ok=True)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            film = _filmed(browser, server)
            film.save(target)
            browser.close()


def _filmed(browser: Browser, server: LabServer) -> Film:
    context = browser.new_context(viewport=WINDOW, device_scale_factor=SCALE)
    lab = LabPage(context.new_page(), server, server.notebooks / "penguins.ipynb")
    lab.open()
    lab.page.keyboard.press("ControlOrMeta+B")  # hides the file browser
    lab.run_all()
    expect(lab.images(CHART)).to_have_count(1)
    lab.expect_status("idle")
    lab.cell(SPECIES).evaluate("cell => cell.scrollIntoView({block: 'start'})")
    film = Film(lab)
    film.take("A notebook in JupyterLab, on marimo's reactive runtime", LOOK)
    _person_types(lab, film, "Gentoo")
    _agent_edits(lab, film, server, "Chinstrap")
    return film


def _person_types(lab: LabPage, film: Film, species: str) -> None:
    caption = "You change one cell ..."
    lab.editor(SPECIES).click()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("ArrowLeft")
    film.take(caption, LOOK // 3)
    for _ in "Adelie":
        lab.page.keyboard.press("Backspace")
        film.take(caption, KEY)
    for letter in species:
        lab.page.keyboard.insert_text(letter)
        film.take(caption, KEY)
    before = lab.images(CHART).get_attribute("src")
    assert before is not None
    lab.page.keyboard.press("Control+Enter")
    expect(lab.outputs(SUMMARY)).to_contain_text([species])
    expect(lab.images(CHART)).not_to_have_attribute("src", before)
    lab.expect_status("idle")
    film.take("... and the table, the summary and the chart follow by themselves", END)


def _agent_edits(lab: LabPage, film: Film, server: LabServer, species: str) -> None:
    with mcp_agent(server.home / "runtime") as agent:
        agent.call("connect_to_kernel", connection_file=str(lab.connection_file))
        cell = next(
            cell for cell in agent.call("list_cells")["cells"] if "species" in cell.get("defines", ())
        )
        before = lab.images(CHART).get_attribute("src")
        assert before is not None
        film.take(f'An agent joins the same kernel over MCP: edit_cells(species = "{species}")', LOOK)
        agent.call("edit_cells", edits=[change(cell, f'species = "{species}"')])
        expect(lab.outputs(SUMMARY)).to_contain_text([species])
        expect(lab.outputs(SPECIES)).to_contain_text([species])  # the notice of what the kernel runs
        expect(lab.images(CHART)).not_to_have_attribute("src", before)
        lab.expect_status("idle")
        film.take("Its change runs in your kernel, and shows on your page", END)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images/lab.gif")
