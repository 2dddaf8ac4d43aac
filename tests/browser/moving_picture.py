"""Make docs/images/lab.gif: a person changes a cell in JupyterLab, an agent proposes a change of another one, the chart follows.

    .venv/bin/python tests/browser/moving_picture.py [FILE.gif]

Every frame is a screenshot of a real JupyterLab with the marimo kernel and our extension; the agent is the MCP SDK's client
on this package's server. Only the line at the bottom and the pointer are drawn. Needs Debian's chromium, like the browser tests.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chromium import launch
from lab_agents import mcp_agent
from lab_page import LabPage
from lab_server import REPOSITORY, running_lab
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import ViewportSize, expect, sync_playwright

if TYPE_CHECKING:
    from lab_server import LabServer
    from playwright.sync_api import Browser, Locator, Page

SPECIES, TABLE, SUMMARY, CHART = 5, 6, 7, 8
MEAN = 'axes.axhline(mean_mass, color="grey", linestyle="--", label="mean")'
FIT = """flipper = chosen["flipper_length_mm"].mean()
axes.axline((flipper, mean_mass), slope=slope, color="grey", label="fit")"""
WINDOW: ViewportSize = {"width": 1060, "height": 1050}
SCALE = 0.75  # of the window, so that a page shows enough of the notebook
CAPTION = 40  # pixels
COLORS = 96
POINTER = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12))
KEY, LOOK, END = 90, 2200, 3200  # milliseconds


class Film:
    """Frames and how long each is shown. Pages are side by side."""

    def __init__(self, *pages: Page) -> None:
        self._pages = pages
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []

    def take(self, caption: str, duration: int) -> None:
        """Add a frame of the pages as they are now."""
        shots = [Image.open(io.BytesIO(page.screenshot())).convert("RGB") for page in self._pages]
        width, height = sum(shot.width for shot in shots), max(shot.height for shot in shots)
        frame = Image.new("RGB", (width, height + CAPTION), "#0f172a")
        for number, shot in enumerate(shots):
            frame.paste(shot, (sum(before.width for before in shots[:number]), 0))
        middle = (width // 2, height + CAPTION // 2)
        font = ImageFont.load_default(size=17)
        ImageDraw.Draw(frame).text(middle, caption, fill="white", anchor="mm", font=font)
        self._frames.append(frame)
        self._durations.append(duration)

    def point(self, target: Locator, caption: str, duration: int) -> None:
        """Add a frame in which the person is about to click."""
        target.hover()
        self.take(caption, duration)
        box = target.bounding_box()
        assert box is not None
        x, y = (box["x"] + box["width"] / 2) * SCALE, (box["y"] + box["height"] / 2) * SCALE
        pointer = [(x + right, y + down) for right, down in POINTER]
        ImageDraw.Draw(self._frames[-1]).polygon(pointer, fill="black", outline="white")

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
    with (
        tempfile.TemporaryDirectory() as directory,
        running_lab(Path(directory) / "lab", extension=True) as server,
    ):
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
    film = Film(lab.page)
    film.take("A notebook in JupyterLab, on marimo's reactive runtime", LOOK)
    follow = "... and the table, the summary and the chart follow by themselves"
    _person_types(lab, film, "Gentoo", "Adelie", doing="You change one cell ...", done=follow)
    _agent_proposes(lab, film, server)
    too = "... and the agent's line follows, too"
    _person_types(lab, film, "Chinstrap", "Gentoo", doing="You go on ...", done=too)
    return film


def _person_types(lab: LabPage, film: Film, species: str, instead_of: str, *, doing: str, done: str) -> None:
    lab.editor(SPECIES).click()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("ArrowLeft")
    film.take(doing, LOOK // 3)
    for _ in instead_of:
        lab.page.keyboard.press("Backspace")
        film.take(doing, KEY)
    for letter in species:
        lab.page.keyboard.insert_text(letter)
        film.take(doing, KEY)
    before = lab.images(CHART).get_attribute("src")
    assert before is not None
    lab.page.keyboard.press("Control+Enter")
    expect(lab.outputs(SUMMARY)).to_contain_text([species])
    expect(lab.images(CHART)).not_to_have_attribute("src", before)
    lab.expect_status("idle")
    film.take(done, END)


def _agent_proposes(lab: LabPage, film: Film, server: LabServer) -> None:
    with mcp_agent(server.home / "runtime", "--allow", "propose", name="claude") as agent:
        agent.call("connect_to_kernel", connection_file=str(lab.connection_file))
        cells = agent.call("list_cells")["cells"]
        chart = next(cell for cell in cells if "figure" in cell.get("defines", ()))
        expect(lab.chip()).to_have_text("● claude")
        film.take("An agent joins the kernel that you have open, over MCP. It may propose", LOOK)
        edit = {"action": "change", "cell_id": chart["cell_id"], "old": MEAN, "new": FIT}
        agent.call("propose_edit", edits=[edit], note="draws the slope")
        expect(lab.cards(CHART)).to_have_count(1)
        expect(lab.cards(CHART).locator(".cm-changedLine")).to_have_count(2)
        film.take("Its proposal is in no cell and no file until you accept it", END)
        before = lab.images(CHART).get_attribute("src")
        assert before is not None
        accept = lab.cards(CHART).locator(".mkb-accept")
        film.point(accept, "You accept it ...", LOOK // 2)
        accept.click()
        expect(lab.images(CHART)).not_to_have_attribute("src", before)
        expect(lab.pill(CHART)).to_have_text("claude")
        lab.expect_status("idle")
        film.take("... and it runs in your notebook, with its author and an undo", END)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images/lab.gif")
