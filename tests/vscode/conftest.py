"""One VS Code and one browser for all stories, and a window with an agent for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import launch
from tests.vscode.agent import Agent
from tests.vscode.editor import CodeServer, Window, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.isolation import Homes


@pytest.fixture(scope="session")
def server(homes: Homes) -> Iterator[CodeServer]:
    home = homes.new("v")
    server = CodeServer(home.folder)
    yield server
    server.end()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launch(playwright)


Opened = tuple[Window, Agent]


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, server: CodeServer, browser: Browser
) -> Iterator[Callable[..., Opened]]:
    """Open a notebook with these cells, which run, and attach an agent: `window, agent = opened("a = 1", "a + 1")`.

    `prepare` gets the file before it is opened.
    """
    agents: list[Agent] = []
    windows: list[Window] = []

    def open_notebook(
        *cells: str, name: str = "claude", prepare: Callable[[Path], None] = lambda _: None
    ) -> Opened:
        path = server.notebook(f"n{len(list(server.notebooks.iterdir()))}.ipynb", *cells)
        prepare(path)
        windows.append(window := server.open(browser, path))
        agents.append(agent := Agent(server.kernel_files()[-1], name))
        wait_for(lambda: agent.read().active, "the document is attached", 20)
        return window, agent

    yield open_notebook
    for agent in agents:
        agent.close()
    for window in windows:
        if "SCREENSHOTS" in os.environ:
            window.page.screenshot(path=Path(os.environ["SCREENSHOTS"], f"{request.node.name}.png"))
        window.page.close()
