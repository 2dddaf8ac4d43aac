"""Make the pictures of docs/view-data.md: the viewer's page with a million rows, in both themes.

.venv/bin/python tests/browser/view_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd
from chromium import launch
from document_pictures import save
from lab_server import REPOSITORY
from playwright.sync_api import expect, sync_playwright
from view_pages import ViewPage, view_thread

from marimo_kernel_bridge.protocol.views import Filter, SortKey

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from marimo_kernel_bridge.viewing.server.thread import ViewThread

Scheme: TypeAlias = Literal["light", "dark"]

SCHEMES: tuple[Scheme, ...] = ("light", "dark")
ROWS = 1_000_000
STATES = {"CA": 0.3, "NY": 0.2, "TX": 0.16, "FL": 0.12, "WA": 0.1, "IL": 0.07, "OR": 0.05}
REVENUE, STATE, TAGS = 4, 2, 7


def orders() -> pd.DataFrame:
    random = np.random.default_rng(7)
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta(random.beta(2, 1.4, ROWS) * 540 // 1, unit="D")
    return pd.DataFrame(
        {
            "order": np.arange(ROWS) + 100_000,
            "day": days,
            "state": pd.Categorical(random.choice(list(STATES), ROWS, p=list(STATES.values()))),
            "customer": [f"C-{number:05d}" for number in random.integers(0, 48_000, ROWS)],
            "revenue": np.minimum(random.gamma(3.2, 31, ROWS), 700).round(2),
            "items": random.poisson(3.4, ROWS) + 1,
            "discount": np.where(random.random(ROWS) < 0.37, np.nan, random.beta(2, 9, ROWS).round(3)),
            "tags": [{"channel": "web", "codes": [1, 2]} if number % 3 else None for number in range(ROWS)],
            "returned": random.random(ROWS) < 0.06,
        }
    )


def main(folder: Path) -> None:
    frame = orders()
    with view_thread() as thread, sync_playwright() as playwright:
        browser = launch(playwright)
        for scheme in SCHEMES:
            _take(thread, browser, frame, scheme, folder)
        browser.close()


def _take(thread: ViewThread, browser: Browser, frame: pd.DataFrame, scheme: Scheme, folder: Path) -> None:
    context = browser.new_context(
        viewport={"width": 1080, "height": 520}, device_scale_factor=1.25, color_scheme=scheme
    )
    shown = ViewPage(thread, context, frame)
    shown.ready_or_empty()
    shown.agent_sets(
        sort=[SortKey(REVENUE, descending=True)], filters=[Filter(STATE, "one_of", ["CA", "NY"])]
    )
    expect(shown.chips).to_have_count(2)
    shown.ready_or_empty()
    for name in ("revenue", "customer"):
        expect(shown.head(name).locator(".range")).not_to_be_empty(timeout=120_000)
    expect(shown.page.locator(".th.old")).to_have_count(0, timeout=120_000)
    shown.column(REVENUE).nth(1).click()
    shown.press("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowRight")
    shown.page.mouse.move(5, 515)
    save(shown.page.screenshot(), folder / f"view-{scheme}.png", colors=96)
    if scheme == "light":
        shown.page.get_by_role("button", name="Dismiss").click()
        shown.page.set_viewport_size({"width": 1080, "height": 620})
        shown.column(TAGS).filter(has_text="web").first.dblclick()
        expect(shown.page.locator("#detail .value")).not_to_have_text("…")
        card = shown.card("revenue")
        expect(card.locator("dd").nth(3)).to_be_visible(timeout=120_000)
        save(shown.page.screenshot(), folder / "view-column.png", colors=96)
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs/images")
