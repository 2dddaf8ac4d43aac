"""Fixtures: one JupyterLab server, one Chromium and one page for the session, a notebook and a kernel for each test."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from chromium import launch_with_profile
from lab_agents import McpAgent, mcp_agent
from lab_page import LabPage
from lab_server import WARM, LabServer, running_lab
from playwright.sync_api import BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.isolation import Homes

OPEN_PAGE = pytest.StashKey[LabPage]()
PROFILE = pytest.StashKey[BrowserContext]()
TABS = pytest.StashKey[dict[str, Page]]()
FAILED = pytest.StashKey[bool]()


def browser_folder(request: pytest.FixtureRequest) -> pytest.Dir:
    """Return the folder of these tests, which keeps what they share."""
    return next(node for node in request.node.iter_parents() if isinstance(node, pytest.Dir))


@pytest.fixture
def browser(request: pytest.FixtureRequest, homes: Homes) -> BrowserContext:
    """One browser profile: its cache saves each test but the first half of Lab's loading time.

    It ends with the tests of this folder: until then Playwright keeps an event loop running in this thread, where other
    tests start their own.
    """
    folder = browser_folder(request)
    if PROFILE not in folder.stash:
        ending = ExitStack()
        folder.addfinalizer(ending.close)
        home = homes.new("b")
        with home.lived_in():  # it outlives this test and its module
            profile = launch_with_profile(ending.enter_context(sync_playwright()), home.folder / "profile")
        ending.callback(profile.close)
        folder.stash[PROFILE] = profile
    return folder.stash[PROFILE]


@pytest.fixture(scope="session")
def server(homes: Homes) -> Iterator[LabServer]:
    with running_lab(homes.new("lab").folder) as server:
        yield server


@pytest.fixture(scope="session")
def server_with_extension(homes: Homes) -> Iterator[LabServer]:
    with running_lab(homes.new("ext").folder, extension=True) as server:
        yield server


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, browser: BrowserContext, server: LabServer
) -> Iterator[Callable[..., LabPage]]:
    """Open a new notebook made of these cells: `lab("a = 1", "a + 1")`. Lab is without our extension, Notebook 7 has it."""
    with opening(request, browser, server) as open_notebook:
        yield open_notebook


@pytest.fixture
def live_lab(
    request: pytest.FixtureRequest, browser: BrowserContext, server_with_extension: LabServer
) -> Iterator[Callable[..., LabPage]]:
    """Open a new notebook in a Lab that has our extension."""
    with opening(request, browser, server_with_extension) as open_notebook:
        yield open_notebook


@contextmanager
def opening(
    request: pytest.FixtureRequest, browser: BrowserContext, server: LabServer
) -> Iterator[Callable[..., LabPage]]:
    """Lab takes seconds to load, so tests share it as a person does who closes one notebook and opens the next.

    One that reloads the page has its own, and after one that failed Lab is loaded anew.
    """
    kept = browser_folder(request).stash.setdefault(TABS, {})
    own: list[Page] = []

    def open_notebook(
        *cells: str | tuple[str, str], kernel: str = WARM, app: str = "lab", own_page: bool = False
    ) -> LabPage:
        notebook = nbformat.v4.new_notebook(cells=list(map(_cell, cells)))
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        # JupyterLab 4.4 opens no address that has parentheses
        path = server.notebooks / re.sub(r"\W+", "-", request.node.name).strip("-") / "notebook.ipynb"
        path.parent.mkdir()
        nbformat.write(notebook, path)
        if own_page or app != "lab":
            own.append(tab := browser.new_page())
        elif server.url in kept:
            tab = kept[server.url]
        else:
            kept[server.url] = tab = browser.new_page()
        request.node.stash[OPEN_PAGE] = page = LabPage(tab, server, path, app)
        page.open()
        return page

    yield open_notebook
    for tab in own:
        tab.close()
    if not own and OPEN_PAGE in request.node.stash:
        if request.node.stash.get(FAILED, False):
            kept.pop(server.url).close()
        else:
            request.node.stash[OPEN_PAGE].leave()
    server.end_kernels()


def _cell(cell: str | tuple[str, str]) -> nbformat.NotebookNode:
    """A cell of a notebook: code, or a pair of "markdown" or "code" and the text."""
    kind, text = ("code", cell) if isinstance(cell, str) else cell
    made: nbformat.NotebookNode = (
        nbformat.v4.new_markdown_cell(text) if kind == "markdown" else nbformat.v4.new_code_cell(text)
    )
    return made


@pytest.fixture(scope="module")
def _mcp_server(server: LabServer) -> Iterator[McpAgent]:
    with mcp_agent(server.home / "runtime") as agent:
        yield agent


@pytest.fixture
def agent(_mcp_server: McpAgent) -> Iterator[McpAgent]:
    """An agent that is connected to nothing."""
    yield _mcp_server
    _mcp_server.leave()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """A failure says what the page showed and what the server and the kernel logged."""
    report = yield
    page = item.stash.get(OPEN_PAGE, None)
    if report.failed:
        item.stash[FAILED] = True
    if report.when == "call" and report.failed and page is not None:
        picture = page.server.home / f"{item.name}.png"
        with suppress(PlaywrightError):  # the page may be what failed
            page.screenshot(picture)
            report.sections.append(("screenshot", str(picture)))
        report.sections.append(("errors on the page", "\n".join(page.page_errors)))
        report.sections.append(("jupyter lab log, last lines", "\n".join(page.server.log.splitlines()[-60:])))
    return report
