"""The viewer's page in the frame of a host of MCP Apps: what passes between them, with a host that is a few lines of this test."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect
from view_pages import ViewPage, view_thread, watch

from marimo_kernel_bridge.protocol.views import Filter, SortKey
from marimo_kernel_bridge.viewing.page import page_html
from marimo_kernel_bridge.viewing.views import PERSON

pytestmark = [pytest.mark.browser, pytest.mark.long]

HOST = """
async ({ html, view, context }) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.style = "width: 900px; height: 500px";
  window.said = [];
  const post = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  window.tell = (method, params) => post({ method, params });
  addEventListener("message", async ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    window.said.push(data);
    if (data.method === "ui/notifications/initialized")
      tell("ui/notifications/tool-result", {
        content: [], structuredContent: { view }, _meta: { "marimo-kernel-bridge/view": { key: "the key" } },
      });
    if (data.id === undefined || !data.method) return;
    let result = {};
    if (data.method === "ui/initialize")
      result = { protocolVersion: "2026-01-26", hostInfo: { name: "host", version: "1" },
        hostCapabilities: { updateModelContext: { text: {} }, downloadFile: {}, serverTools: {} }, hostContext: context };
    if (data.method === "tools/call")
      result = { content: [{ type: "text", text: await answer(JSON.stringify(data.params)) }] };
    post({ id: data.id, result });
  });
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">`;
  frame.srcdoc = html.replace("<head>", "<head>" + policy);
  document.body.append(frame);
}
"""
CONTEXT = {"theme": "dark", "availableDisplayModes": ["inline", "fullscreen"], "displayMode": "inline"}


@pytest.fixture
def views():
    with view_thread() as thread:
        yield thread


CITIES = {"id": list(range(300)), "city": ["Oslo", "Rome", "Lima"] * 100}
LARGE = {
    "texts": {f"text {at}": [f"{row} " + "x" * 250 for row in range(300)] for at in range(40)},
    "columns": {f"a rather long name of column {at}": [at, 2, 3] for at in range(10_000)},
}


@pytest.fixture
def app(request, views, browser):
    """A page of a host with the App of a view, and the view."""
    table = LARGE.get(getattr(request, "param", ""), CITIES)
    view = ViewPage(views, browser, table, "cities")
    view.page.close()
    calls = []

    def answer(parameters):
        calls.append(call := json.loads(parameters))
        arguments = call["arguments"]
        asked = views.server.control.ask(arguments["view"], PERSON, arguments["request"])
        return views.submit(asked).result().answer

    host = browser.new_page()
    errors = []
    watch(host, errors)
    host.expose_function("answer", answer)
    host.goto("about:blank")
    host.evaluate(HOST, {"html": page_html(), "view": view.opened.description.view, "context": CONTEXT})
    view.page, view.calls = host, calls
    yield view
    host.close()
    assert errors == []


def context(host):
    """Return what the model was told last."""
    return host.evaluate(
        "said.filter((m) => m.method === 'ui/update-model-context').at(-1)?.params.content[0].text"
    )


def test_rows_come_by_the_tool_and_the_model_is_told_what_the_person_sees_but_no_row(app):
    host, frame = app.page, app.page.frame_locator("iframe")
    expect(frame.locator(".row").first).to_contain_text("Oslo")
    assert {(call["name"], call["arguments"]["key"]) for call in app.calls} == {("view_rows", "the key")}
    frame.locator(".th .label").nth(0).click()
    frame.locator(".th .label").nth(0).click()
    expect(frame.locator('.td[aria-colindex="2"]').first).to_have_text("299")
    frame.locator(".th .bar").filter(has=frame.locator("i")).last.click()
    expect(frame.locator("#count")).to_have_text("100 of 300 rows \N{MULTIPLICATION SIGN} 2 columns")
    frame.locator('.td[aria-colindex="3"]').nth(1).click()
    host.wait_for_function(
        "said.some((m) => m.method === 'ui/update-model-context' && /selected/.test(m.params.content[0].text))"
    )
    told = context(host)
    assert told.startswith("The person looks at cities (300 rows")
    assert "sorted by id descending" in told
    assert "100 rows match" in told
    assert '"Oslo"' in told or '"Rome"' in told or '"Lima"' in told
    assert len(told) < 400


def test_an_agents_change_and_the_hosts_theme_reach_the_frame_and_its_size_the_host(app):
    host, frame = app.page, app.page.frame_locator("iframe")
    expect(frame.locator(".row").first).to_contain_text("Oslo")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    app.agent_sets(sort=[SortKey(0, descending=True)], filters=[Filter(1, "=", "Rome")])
    expect(frame.locator("#notices")).to_contain_text("The agent has sorted by id ↓ and filtered by city.")
    expect(frame.locator('.td[aria-colindex="2"]').first).to_have_text("298")
    host.evaluate("tell('ui/notifications/host-context-changed', { theme: 'light' })")
    expect(frame.locator("html")).to_have_attribute("data-theme", "light")
    sizes = host.evaluate(
        "said.filter((m) => m.method === 'ui/notifications/size-changed').map((m) => m.params.height)"
    )
    assert sizes[0] == 560
    frame.get_by_role("button", name="Full screen").click()
    host.wait_for_function(
        "said.some((m) => m.method === 'ui/request-display-mode' && m.params.mode === 'fullscreen')"
    )


def test_an_export_goes_to_the_host_as_a_file(app):
    host, frame = app.page, app.page.frame_locator("iframe")
    expect(frame.locator(".row").first).to_contain_text("Oslo")
    frame.get_by_role("button", name="Export").click()
    frame.get_by_role("button", name="CSV").click()
    host.wait_for_function("said.some((m) => m.method === 'ui/download-file')")
    resource = host.evaluate("said.find((m) => m.method === 'ui/download-file').params.contents[0].resource")
    assert resource["mimeType"] == "text/csv"
    assert resource["uri"].endswith("/cities.csv")
    assert len(resource["text"].splitlines()) == 301


@pytest.mark.parametrize(
    ("app", "last"),
    [("texts", f"299 {'x' * 250}"), ("columns", "3")],
    indirect=["app"],
    ids=["texts", "columns"],
)
def test_what_is_too_large_for_one_answer_is_shown_to_its_last_cell(app, last):
    frame = app.page.frame_locator("iframe")
    expect(frame.locator(".row .td").first).to_be_visible()
    frame.locator(".td").first.click()
    app.page.keyboard.press("Control+End")
    expect(frame.locator(".td.active")).to_have_text(last)
    expect(frame.locator("#notices")).to_be_empty()
