"""How a view gets into a real browser, and what pages elsewhere get of it."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect
from view_pages import view_thread

from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

pytestmark = pytest.mark.browser


@pytest.fixture
def views():
    with view_thread() as thread:
        yield thread


@pytest.fixture
def address(views):
    """Return a new address of the view of some rows."""
    data = Data("sales", "sales", "variable")

    def address():
        opening = views.server.control.open(
            data, PERSON, lambda: open_value([{"city": "Oslo"}, {"city": "Rome"}])
        )
        return views.submit(opening).result().url

    return address


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def elsewhere(tmp_path):
    """Serve a page on another port under another name, as a Jupyter server or evil.example is: `elsewhere(html)`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def elsewhere(html):
        (tmp_path / "page.html").write_text(f"<!doctype html>{html}")
        return f"http://localhost:{server.server_port}/page.html"

    yield elsewhere
    server.shutdown()
    server.server_close()


def test_a_link_on_a_page_of_another_site_opens_the_view(browser, elsewhere, address):
    """As in the output of `%marimo view`, where JupyterLab is at localhost: a strict cookie is not sent along at first."""
    page = browser.new_page()
    page.goto(elsewhere(f'<a href="{address()}" target="_blank" rel="noopener">View sales</a>'))
    with page.context.expect_page() as opened:
        page.get_by_text("View sales").click()
    view = opened.value
    expect(view.get_by_role("grid")).to_contain_text("Rome")
    assert "code" not in view.url
    view.reload()
    expect(view.get_by_role("grid")).to_contain_text("Oslo")
    view.close()
    page.close()


def test_the_file_that_leads_a_browser_there_opens_the_view(browser, tmp_path, address):
    """As a command opens the person's browser, so that no other user sees the code among the arguments of processes."""
    (tmp_path / "open.html").write_text(f'<meta http-equiv="refresh" content="0; url={address()}">')
    page = browser.new_page()
    page.goto((tmp_path / "open.html").as_uri())
    expect(page.get_by_role("grid")).to_contain_text("Rome")
    page.close()


PROBE = """
<iframe id="frame"></iframe>
<script>
async function probe(port, view) {
  const found = {};
  const base = `http://127.0.0.1:${port}`;
  for (const path of ["/health", `/view/${view}/`, `/view/${view}/ws`, "/control"]) {
    try { found[path] = await (await fetch(base + path, {credentials: "include"})).text(); }
    catch { found[path] = "nothing"; }
  }
  try {
    const answer = await fetch(base + "/control", {
      method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"},
      body: '{"op": "open_file", "path": "/etc/passwd", "session": "person"}'});
    found.post = answer.type;
  } catch { found.post = "nothing"; }
  found.socket = await new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/view/${view}/ws`);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("nothing");
  });
  const frame = document.getElementById("frame");
  frame.src = `${base}/view/${view}/`;
  await new Promise((resolve) => { frame.onload = resolve; });
  try { found.frame = frame.contentDocument.body.textContent; } catch { found.frame = "nothing"; }
  return found;
}
</script>
"""


def test_a_page_elsewhere_gets_nothing_of_a_view_that_is_open_in_the_same_browser(
    browser, elsewhere, address, views
):
    view = browser.new_page()
    view.goto(address())
    expect(view.get_by_role("grid")).to_contain_text("Rome")
    page = browser.new_page()
    page.goto(elsewhere(PROBE))
    (open_view,) = views.server.views
    found = page.evaluate("([port, view]) => probe(port, view)", [views.server.port, open_view.id])
    assert found.pop("post") in {"opaque", "nothing"}  # not readable, and refused: there is one view
    assert set(found.values()) == {"nothing"}, found
    assert len(list(views.server.views)) == 1
    assert len(open_view.pages) == 1
    page.close()
    view.close()
