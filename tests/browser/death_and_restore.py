"""The story of a kernel that dies and of what the next one restores, as a person plays it: for a test and for a picture.

.venv/bin/python tests/browser/death_and_restore.py [FOLDER]    takes the picture of docs/checkpoints.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from document_pictures import lab_and_browser, opened, save
from lab_server import REPOSITORY
from playwright.sync_api import expect

if TYPE_CHECKING:
    from lab_page import LabPage

CELLS = (
    "import random\nrandom.seed(3)",
    "rows = [random.random() for _ in range(100_000)]",
    "total = sum(rows)\nprint(f'{total:.0f} in all')",
    "%marimo save",
    "import ctypes\nctypes.string_at(0)",
)
CRASH = 4
HELD = 3
"""The cell that saved, and restores."""


def die(page: LabPage) -> None:
    """Run the notebook, whose last cell ends the kernel. Lab starts another one, in which the first cell runs."""
    page.run_all()
    dialog = page.page.locator(".jp-Dialog", has_text="died")
    dialog.get_by_role("button").first.click()
    expect(dialog).to_have_count(0)
    page.run(0)
    expect(page.outputs(0)).to_contain_text(["The kernel died at "])


def restore(page: LabPage) -> None:
    """Restore what was saved."""
    page.edit(HELD, "%marimo restore")
    page.run(HELD)
    expect(page.outputs(HELD)).to_contain_text(["restored "])


def main(folder: Path) -> None:
    with lab_and_browser(extension=False) as (browser, server):
        page = opened(browser, server, "simulation.ipynb", CELLS)
        die(page)
        restore(page)
        save(page.page.screenshot(), folder / "lab-restore.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images")
