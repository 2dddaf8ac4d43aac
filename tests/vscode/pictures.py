"""Take the picture of docs/vscode.md from a real VS Code: `make vscode-pictures`."""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.chromium import launch
from tests.vscode.agent import Agent
from tests.vscode.editor import REPOSITORY, CodeServer, wait_for

CELLS = (
    "prices = {'apple': 3, 'pear': 4, 'plum': 2}",
    "discount = 0.1",
    "{name: round(price * (1 - discount), 2) for name, price in prices.items()}",
    "max(prices, key=prices.get)",
)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        (Path(home) / "run").mkdir()
        server = CodeServer(Path(home))
        try:
            window = server.open(launch(playwright), server.notebook("prices.ipynb", *CELLS))
            with closing(Agent(server.kernel_files()[-1])) as agent:
                wait_for(lambda: agent.read().active, "the document is attached")
                agent.edit(agent.change(CELLS[1], "discount = 0.25"))
                mean = agent.add("sum(prices.values()) / len(prices)", CELLS[3])
                shorter = "max(prices, key=lambda name: prices[name])"
                agent.edit(agent.change(CELLS[3], shorter), mean, propose=True, note="The mean as well")
                window.until(
                    lambda w: sum("\N{MINUS SIGN}" in mark for mark in w.marks()) == 2, "the proposals"
                )
                window.page.keyboard.press("Control+b")  # hides the side bar
                window.click_mark("change +")
                window.until(lambda w: w.ask("diffs") == ["Proposal of claude"], "the difference")
                window.page.locator(".monaco-diff-editor .char-insert").first.wait_for()
                shot = window.page.screenshot()
        finally:
            server.end()
    # Few colors: a quarter of the size.
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(folder / "vscode-proposal.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images")
