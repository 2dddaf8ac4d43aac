"""A table in a host with MCP Apps: ext-apps' own bridge, the real server and a real kernel.

The person sees and moves rows; the model gets none, and learns what the person made of the view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_host import ADDRESS, PAGES, AppHost
from lab_agents import mcp_agent
from playwright.sync_api import expect

from marimo_kernel_bridge.launch.pool.status import stop_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from tests.isolation import Homes

pytestmark = pytest.mark.browser

MAKE = """people = [{"name": f"ROW-{number}", "age": number % 90, "city": ["Oslo", "Rome"][number % 2]} for number in range(100_000)]"""
OLDER = """people = [{**one, "age": one["age"] + 1000} for one in people]"""


@pytest.fixture
def host(browser: BrowserContext, homes: Homes) -> Iterator[AppHost]:
    """A host that is connected to a kernel with a table."""
    home = homes.new("app")
    with mcp_agent(home.runtime, "--allow", "all", name="host", extensions=[PAGES]) as agent:
        agent.call("start_kernel")
        agent.call("execute_code", code=MAKE)
        host = AppHost(browser, agent)
        yield host
        host.close()
        agent.call("control_kernel", action="shut_down")
    with home.lived_in():
        stop_pools()


@pytest.mark.long  # `test_view_page.py` has the page, `tests/unit/mcp_server/test_viewing.py` what the model gets
def test_the_person_gets_rows_and_the_model_what_the_person_made_of_them(host: AppHost) -> None:
    tools = host.tools()
    assert "view_data" in tools["forModel"]
    assert tools["forApp"] == ["view_rows"]

    told = host.show("people", theme="dark")
    assert "100,000 rows, 3 columns" in told
    frame = host.frame
    expect(frame.get_by_role("gridcell", name="ROW-0", exact=True)).to_be_visible()
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")

    # The person sorts; the model reads it, by the tool and by what the host tells it
    frame.get_by_role("columnheader", name="age").get_by_text("age", exact=True).click()
    expect(frame.get_by_role("columnheader", name="age")).to_have_attribute("aria-sort", "ascending")
    host.page.wait_for_function("log.contexts.some(text => text.includes('age'))")
    read = host.call("read_view")
    assert read.structured_content is not None
    assert read.structured_content["sort"] == ["age"]

    # The model filters; the person sees it
    host.call("view_data", data="people", filter=[{"column": "city", "value": "Rome"}])
    expect(frame.locator("#count")).to_contain_text("50,000")
    expect(frame.get_by_role("gridcell", name="Oslo", exact=True)).to_have_count(0)

    # The cell that makes the table runs with other values: the page keeps sort and filter
    host.call("execute_code", code=OLDER)
    expect(frame.get_by_role("gridcell", name="1001", exact=True).first).to_be_visible()
    expect(frame.get_by_role("columnheader", name="age")).to_have_attribute("aria-sort", "ascending")

    assert "ROW-" in "".join(host.passed)
    assert not [text for text in [*host.seen, *host.log["contexts"]] if "ROW-" in text]
    assert set(host.log["calls"]) == {"view_rows"}
    assert [url for url in host.requests if url not in {ADDRESS, "about:srcdoc"}] == []
