"""Two whole jobs of an agent on a real kernel, beside a page that has the notebook open, and what they cost it in calls and tokens.

The page is the reference front end; `tests/browser` does the same jobs in a real JupyterLab.
"""

from pathlib import Path

import pytest
from open_page import OpenPage
from person import until

from tests.agent_jobs import (
    BUILD_CALLS,
    BUILD_TOKENS,
    BUYERS,
    FIND_AND_FIX_CALLS,
    FIND_AND_FIX_TOKENS,
    ORDERS,
    SALES,
    CountingAgent,
    build,
    find_and_fix,
    page_cells,
    within,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def opened(reactive_kernel):
    """Open a notebook of these cells: `opened({"aaaa": "x = 1"})`."""
    pages = []

    def opened(cells, path):
        pages.append(page := OpenPage(reactive_kernel.connection_file, cells, path))
        page.start()
        return page

    yield opened
    for page in pages:
        page.close()


def file_of(manager) -> str:
    return Path(manager.connection_file).name


async def test_a_wrong_cell_in_an_unknown_notebook_is_found_and_mended_in_few_calls_and_tokens(
    opened, serve, reactive_kernel
):
    cells = page_cells(ORDERS)
    page = opened(cells, "orders.ipynb")
    keys = [key for key, text in cells.items() if not text.startswith("#%md ")]
    page.do(lambda: [page.document.run(key) for key in keys])
    await until(lambda: "per customer" in page.shown(keys[-1]))
    agent = CountingAgent((await serve("auto", name="ann")).client)
    await find_and_fix(agent, connection_file=file_of(reactive_kernel))
    mended = page.document.codes[f"{12:08x}"]
    assert "('customer', 'nunique')" in mended, "the person sees it"
    assert mended.count("'count')") == 1
    await until(lambda: "best region: " in page.shown(f"{15:08x}"))
    within(agent.cost, FIND_AND_FIX_CALLS, FIND_AND_FIX_TOKENS)


@pytest.mark.long  # the test before it has the other job
async def test_an_analysis_is_built_in_an_empty_notebook_in_few_calls_and_tokens(
    opened, serve_here, reactive_kernel, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    page = opened({"first": "import os\nos.chdir(" + repr(str(tmp_path)) + ")"}, "sales.ipynb")
    page.do(lambda: page.document.run("first"))
    (tmp_path / "sales.csv").write_text(SALES)
    (tmp_path / "buyers.csv").write_text(BUYERS)
    agent = CountingAgent((await serve_here("auto", name="ben")).client)
    await build(agent, tmp_path, connection_file=file_of(reactive_kernel))
    codes = list(page.document.codes.values())
    assert "#%md # Sales by region" in codes or "# Sales by region" in codes, "the person sees it"
    assert page.document.saved
    within(agent.cost, BUILD_CALLS, BUILD_TOKENS)
