"""What a person types on a page of marimo's editor while its server sets the same cell's code: `unsent.js` on a page of the tests' own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from marimo_kernel_bridge.runtime.editor.site import UNSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator, Page

pytestmark = pytest.mark.browser

# `Page.clock` would be that of all pages of the browser, also of later ones.
CLOCK = """
let now = 0, last = 0;
const timers = new Map();
window.setTimeout = (act, ms, ...words) => (timers.set(++last, { at: now + ms, act: () => act(...words) }), last);
window.clearTimeout = id => void timers.delete(id);
window.rest = ms => {
  const until = now + ms;
  for (;;) {
    const due = [...timers].filter(([, { at }]) => at <= until).sort(([, one], [, other]) => one.at - other.at)[0];
    if (!due) break;
    const [id, { at, act }] = due;
    timers.delete(id);
    now = at;
    act();
  }
  now = until;
};
"""
SERVER = """
window.WebSocket = class extends EventTarget {};
window.sent = [];
window.fetch = input => {
  sent.push(String(input.url ?? input));
  return new Promise(answer => { window.answer = () => answer(new Response("{}")); });
};
"""
CELLS = """
<div data-cell-id="a"><div class="cm-content" contenteditable><div>x = 1</div></div></div>
<div data-cell-id="b"><div class="cm-content" contenteditable><div>y = 1</div></div></div>
"""
MARIMO = """
window.socket = new WebSocket("ws://server/ws");
socket.addEventListener("message", ({data}) => {
  for (const {cellId, code} of JSON.parse(data).data.transaction.changes)
    document.querySelector(`[data-cell-id=${cellId}] .cm-content > div`).textContent = code;
});
"""
ORDERED = "data => window.socket.dispatchEvent(new MessageEvent('message', {data}))"
TELL = (
    "body => void window.fetch(new Request('http://server/api/document/transaction', {method: 'POST', body}))"
)
TELL_AND_RUN = """() => {
  window.fetch(new Request("http://server/api/document/transaction", {method: "POST", body: "{}"}));
  window.fetch("http://server/api/document/transaction", {method: "POST", body: new Blob(["no JSON"])});
  window.fetch("http://server/api/kernel/run", {method: "POST", body: "{}"});
  return window.sent.map(url => url.split("/").pop());
}"""
QUIET_MS = 1000  # more than it waits for


class Editor:
    """A page with two cells."""

    def __init__(self, page: Page) -> None:
        self.page = page
        scripts = "".join(f"<script>{script}</script>" for script in (CLOCK, SERVER, UNSENT))
        page.set_content(f"{scripts}{CELLS}<script>{MARIMO}</script>")

    def cell(self, cell_id: str) -> Locator:
        return self.page.locator(f"[data-cell-id={cell_id}] .cm-content")

    def press(self, cell_id: str, key: str) -> None:
        self.cell(cell_id).focus()
        self.page.keyboard.press(key)

    def order(self, **codes: str) -> None:
        """Have the server set codes."""
        changes = [{"type": "set-code", "cellId": cell_id, "code": code} for cell_id, code in codes.items()]
        message = {"op": "notebook-document-transaction", "data": {"transaction": {"changes": changes}}}
        self.page.evaluate(ORDERED, json.dumps(message))

    def tell(self, **codes: str) -> None:
        """Have the page tell its server what was typed."""
        changes: list[dict[str, Any]] = [
            {"type": "set-code", "cellId": cell_id, "code": code} for cell_id, code in codes.items()
        ]
        self.page.evaluate(TELL, json.dumps({"changes": changes}))
        self.page.wait_for_function("window.answer !== undefined")

    def rest(self) -> None:
        """Let a person do nothing for a while. Nothing else takes time, however long the browser takes."""
        self.page.evaluate("ms => rest(ms)", QUIET_MS)

    def shows(self, **texts: str) -> None:
        for cell_id, text in texts.items():
            expect(self.cell(cell_id)).to_have_text(text)


@pytest.fixture
def editor(browser: BrowserContext) -> Iterator[Editor]:
    page = browser.new_page()
    yield Editor(page)
    page.close()


def test_a_text_that_is_typed_and_not_told_stays_and_the_other_cells_get_theirs(editor: Editor) -> None:
    editor.press("a", "End")
    editor.page.keyboard.type("23")
    editor.order(a="x = 7", b="y = 7")
    editor.shows(a="x = 123", b="y = 7")
    editor.tell(a="x = 123")
    editor.rest()  # the answer takes its time
    editor.page.evaluate("window.answer()")
    editor.rest()
    editor.shows(a="x = 123")
    editor.order(a="x = 8")  # the server knows the text now
    editor.shows(a="x = 8")


def test_a_text_that_is_not_typed_is_replaced_at_once_also_where_somebody_moves_the_cursor(
    editor: Editor,
) -> None:
    editor.order(a="x = 7")
    editor.shows(a="x = 7")
    editor.press("a", "ArrowRight")
    editor.order(a="x = 8")
    editor.shows(a="x = 8")
    editor.press("a", "ArrowRight")
    editor.order(a="x = 9")
    editor.shows(a="x = 9")


def test_an_order_is_carried_out_late_where_nothing_is_told(editor: Editor) -> None:
    editor.press("a", "End")
    editor.page.keyboard.type("2")
    editor.order(a="x = 7")
    editor.order(a="x = 8")
    editor.shows(a="x = 12")
    editor.rest()
    editor.shows(a="x = 8")


def test_a_run_does_not_overtake_what_was_told_before_it_whatever_that_was(editor: Editor) -> None:
    assert editor.page.evaluate(TELL_AND_RUN) == ["transaction", "transaction", "run"]
