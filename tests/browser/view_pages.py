"""A server of views in a thread of this process, and a view's page as a person has it before them."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from npm_packages import npm_packages
from playwright.sync_api import expect

from marimo_kernel_bridge.protocol.views import StateChange
from marimo_kernel_bridge.viewing.server.thread import ViewThread
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

    from marimo_kernel_bridge.protocol.views import OpenedView
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import View

VIOLATIONS = (
    "async () => (await axe.run()).violations.map((v) => [v.id, ...v.nodes.map((n) => n.html.slice(0, 200))])"
)


@contextmanager
def view_thread() -> Iterator[ViewThread]:
    thread = ViewThread()
    try:
        yield thread
    finally:
        thread.stop()


class ViewPage:
    """A view of a value or of a table, and a page that shows it."""

    keys = itertools.count()

    def __init__(
        self, thread: ViewThread, browser: Browser | BrowserContext, shown: Any, title: str = "orders"
    ) -> None:
        """`shown` is a value, or a function that makes a `Table`."""
        self.thread = thread
        self.data = Data(f"{title} {next(self.keys)}", title, "variable")
        self.opened = self.open(shown)
        self.page = browser.new_page()
        self.errors: list[str] = []
        watch(self.page, self.errors)
        self.page.goto(self.opened.url)

    def open(self, shown: Any) -> OpenedView:
        make: Callable[[], Table] = shown if callable(shown) else lambda: open_value(shown)
        return self.thread.submit(self.thread.server.control.open(self.data, PERSON, make)).result()

    def another(self, *, dark: bool = False) -> Page:
        """Open one more page of the view, in the same browser."""
        page = self.page.context.new_page()
        watch(page, self.errors)
        if dark:
            page.emulate_media(color_scheme="dark")
        page.goto(self.open(None).url)
        return page

    # -- the view's other side

    def in_thread(self, act: Callable[[View], object]) -> None:
        async def do() -> None:
            (view,) = [view for view in self.thread.server.views if view.id == self.opened.description.view]
            act(view)

        self.thread.submit(do()).result()

    def agent_sets(self, **change: Any) -> None:
        self.in_thread(lambda view: view.change(StateChange(**change), by="agent"))

    def renew(self, value: Any) -> None:
        self.in_thread(lambda view: self.thread.server.views.discard(view.replace(open_value(value))))

    @property
    def state(self) -> Any:
        found: list[Any] = []
        self.in_thread(lambda view: found.append(view.state))
        return found[0]

    # -- what is on the page

    @property
    def grid(self) -> Locator:
        return self.page.get_by_role("grid")

    @property
    def count(self) -> Locator:
        return self.page.locator("#count")

    def head(self, name: str) -> Locator:
        return self.page.locator(".th").filter(has=self.page.get_by_text(name, exact=True))

    def column(self, number: int) -> Locator:
        """The cells of a column, from the first row that is seen; `number` counts from 0 in the source."""
        return self.page.locator(f'.td[aria-colindex="{number + 2}"]')

    @property
    def numbers(self) -> Locator:
        """The numbers of the rows that are seen."""
        return self.page.locator(".row .no")

    @property
    def active(self) -> Locator:
        return self.page.locator("#active")

    @property
    def chips(self) -> Locator:
        return self.page.locator("#chips .chip button:first-child")

    @property
    def notices(self) -> Locator:
        return self.page.locator("#notices")

    def ready(self) -> ViewPage:
        """Wait for rows."""
        expect(self.page.locator(".row .td").first).to_be_visible()
        expect(self.page.locator(".wait")).to_have_count(0)
        expect(self.page.locator("#grid.stale")).to_have_count(0)
        return self

    def press(self, *keys: str) -> None:
        self.grid.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def card(self, name: str) -> Locator:
        """Open the box of a column by its button."""
        self.head(name).hover()
        self.head(name).get_by_role("button").click()
        return self.page.get_by_role("dialog", name=f"Column {name}")

    def filter(self, name: str, condition: str, *values: str) -> None:
        """Filter a column by its box; a value ticks a choice of that name, or fills the next field."""
        card = self.card(name)
        card.get_by_label("Condition").select_option(label=condition)
        fields = card.locator(".fields > input:visible")
        for at, value in enumerate(values):
            if condition == "is one of":
                card.get_by_role("checkbox", name=re.compile(rf"^{re.escape(value)}\b")).check()
            else:
                fields.nth(at).fill(value)
        card.get_by_role("button", name="Apply").click()
        expect(card).to_have_count(0)
        self.ready_or_empty()

    def ready_or_empty(self) -> None:
        expect(self.page.locator(".wait")).to_have_count(0)
        expect(self.page.locator("#grid.stale")).to_have_count(0)
        expect(self.count).not_to_contain_text("…")

    def expect_count(self, rows: str, columns: int = 7) -> None:
        """Wait until so many rows are said to be there, as "20" or "20 of 100"."""
        expect(self.count).to_have_text(f"{rows} rows \N{MULTIPLICATION SIGN} {columns} columns")

    def first_row(self) -> int:
        return int(self.numbers.first.inner_text())


def watch(page: Page, errors: list[str]) -> None:
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)


def violations(page: Page) -> list[Any]:
    """What axe finds wrong for people who use a screen reader, keys alone, or need contrast."""
    if not page.evaluate("!!window.axe"):
        page.evaluate((npm_packages() / "axe-core/axe.min.js").read_text(encoding="utf-8"))
    found: list[Any] = page.evaluate(VIOLATIONS)
    return found
