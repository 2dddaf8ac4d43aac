"""Two whole jobs of an agent in a real JupyterLab: what it does is on the person's page, and costs few calls and tokens.

`tests/mcp` plays the same jobs beside a page in memory.
"""

from __future__ import annotations

import pytest
from lab_agents import mcp_agent
from playwright.sync_api import expect

from tests.agent_jobs import (
    BUILD_CALLS,
    BUILD_TOKENS,
    BUYERS,
    FIND_AND_FIX_CALLS,
    FIND_AND_FIX_TOKENS,
    ORDERS,
    SALES,
    build,
    find_and_fix,
    within,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]

SLOWLY = 300_000  # milliseconds: the imports of a notebook, on a machine that computes


def place(beginning: str) -> int:
    """The place of the cell of the orders that begins so."""
    return next(number for number, (_, text) in enumerate(ORDERS) if text.startswith(beginning))


def test_a_wrong_cell_in_an_unknown_notebook_is_found_and_mended_on_the_persons_page(
    live_lab, server_with_extension
):
    page = live_lab(*ORDERS)
    page.run_all()
    page.show(place("summary = "))
    expect(page.outputs(place("summary = "))).not_to_have_count(0, timeout=SLOWLY)
    with mcp_agent(server_with_extension.home / "runtime", name="ann") as agent:
        cost = agent.plays(lambda counting: find_and_fix(counting, notebook=page.path.name))
    page.show(place("by_region = "))
    expect(page.editor(place("by_region = "))).to_contain_text("('customer', 'nunique')")
    page.show(place("best = "))
    expect(page.outputs(place("best = "))).to_contain_text(["best region"])
    within(cost, FIND_AND_FIX_CALLS, FIND_AND_FIX_TOKENS)


def test_an_analysis_is_built_on_the_empty_page_of_the_person(live_lab, server_with_extension):
    page = live_lab("")
    (page.path.parent / "sales.csv").write_text(SALES)
    (page.path.parent / "buyers.csv").write_text(BUYERS)
    page.expect_status("idle")
    with mcp_agent(server_with_extension.home / "runtime", name="ben") as agent:
        cost = agent.plays(lambda counting: build(counting, page.path.parent, notebook=page.path.name))
    saved = page.save()
    texts = [cell.source for cell in saved.cells]
    assert "# Sales by region" in texts
    (slider,) = (number for number, text in enumerate(texts) if text.startswith("least = "))
    page.show(slider)
    expect(page.outputs(slider)).not_to_have_count(0)
    pictures = [
        cell
        for cell in saved.cells
        if any("image/png" in one.get("data", {}) for one in cell.get("outputs", ()))
    ]
    assert len(pictures) >= 2, "of three charts, two are Matplotlib's"
    within(cost, BUILD_CALLS, BUILD_TOKENS)
