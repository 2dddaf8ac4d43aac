"""The viewer's page in a browser, with the server of views that kernels have: what a person does with a table, and sees."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect
from view_pages import ViewPage, view_thread, violations
from wide_and_long import Loading, Synthetic

from marimo_kernel_bridge.protocol.views import Filter, SortKey

pytestmark = pytest.mark.browser

ROW = 25  # pixels
MARKUP = '<img src=x onerror="window.ran = 1">'
STATES = ["CA", "NY", "TX", "WA"]
LIVE_HEAP = 30 * 2**20


@pytest.fixture
def views():
    with view_thread() as thread:
        yield thread


@pytest.fixture
def show(views, browser):
    """Show a value or a table: `show(frame)`. No page may have had an error by the end."""
    shown: list[ViewPage] = []

    def show(value, title="orders", *, loaded=True):
        value = lists(value) if isinstance(value, pd.DataFrame) else value
        shown.append(ViewPage(views, browser, value, title))
        if loaded:
            shown[-1].ready_or_empty()
        return shown[-1]

    yield show
    for page in shown:
        page.page.close()
        assert page.errors == []


def orders(rows=3000):
    """Return rows in which `id` counts up, so that a row says where it is in the source."""
    place = np.arange(rows)
    return pd.DataFrame(
        {
            "id": place,
            "revenue": (place * 7919 % rows) / 4,
            "state": np.array(STATES)[place % 4],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(place % 365, unit="D"),
            "customer": [f"customer {number % 977}" for number in place],
            "discount": np.where(place % 10 == 0, np.nan, place / 3),
            "paid": place % 3 == 0,
        }
    )


def lists(frame):
    """Return the columns as Python's own values: what holds a table matters to no page."""
    return frame.to_dict("list")


def texts(locator):
    return locator.all_inner_texts()


def test_a_table_is_scrolled_sorted_filtered_and_copied_and_is_accessible_in_both_themes(show):
    frame = orders(3000)
    shown = show(frame)
    shown.expect_count("3,000")
    for place in range(3):
        expect(shown.column(0).nth(place)).to_have_text(str(place))
    expect(shown.head("discount").locator(".range")).not_to_be_empty()
    assert violations(shown.page) == []

    shown.press("Control+End")
    expect(shown.active).to_have_text("false")
    expect(shown.numbers.last).to_have_text("3000")
    room = shown.page.locator(".rows").bounding_box()["height"]
    assert shown.page.locator(".row").count() <= room / ROW + 2

    shown.head("revenue").locator(".label").click()
    expect(shown.column(1).first).to_have_text("0.0")
    shown.head("revenue").locator(".label").click()
    expect(shown.column(1).first).to_have_text("749.75")
    expect(shown.head("revenue")).to_have_attribute("aria-sort", "descending")
    shown.filter("state", "is one of", "NY", "TX")
    shown.expect_count("1,500 of 3,000")
    expect(shown.column(2).first).to_have_text(re.compile("NY|TX"))
    assert set(texts(shown.column(2))) <= {"NY", "TX"}
    assert texts(shown.chips) == ["revenue ↓", "state is one of NY, TX"]

    shown.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.column(1).nth(0).click()
    shown.press("Shift+ArrowDown", "Shift+ArrowRight", "ControlOrMeta+c")
    expect(shown.page.locator("footer")).to_contain_text("Copied 4 cells")
    best = frame[frame.state.isin(["NY", "TX"])].sort_values("revenue", ascending=False)[
        ["revenue", "state"]
    ][:2]
    copied = shown.page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t") for line in copied.splitlines()] == [[f"{a:g}", b] for a, b in best.to_numpy()]

    dark = shown.another(dark=True)
    expect(dark.locator(".row .td").first).to_be_visible()
    expect(dark.locator(".chip")).to_have_count(2)
    dark.keyboard.press("Enter")
    expect(dark.locator("#detail")).to_contain_text("customer")
    dark.keyboard.press("Alt+ArrowDown")
    expect(dark.locator("#box dd").first).to_be_visible()
    assert violations(dark) == []


@pytest.mark.long
def test_values_are_shown_for_what_they_are_and_markup_is_text(show):
    table = {
        MARKUP: [MARKUP, "", None, " two\nlines"],
        "number": [1.5, float("nan"), None, float("-inf")],
        "big": [2**62, -(2**62), None, 2**53 + 1],
        "amount": [
            decimal.Decimal("0.10"),
            None,
            decimal.Decimal("12345678901234567.89"),
            decimal.Decimal(0),
        ],
        "at": [dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC), None, None, None],
        "raw": [b"\x00\xff", b"", None, b"abc"],
        "nested": [{"a": [1, {"b": None}]}, None, None, None],
        "long": ["x" * 5000, None, None, None],
    }
    shown = show(table)
    shown.page.set_viewport_size({"width": 1700, "height": 700})
    shown.ready()
    assert texts(shown.column(0)) == [MARKUP, "empty", "null", " two↵lines"]
    assert texts(shown.column(1)) == ["1.5", "NaN", "null", "-inf"]
    assert texts(shown.column(2)) == [str(2**62), str(-(2**62)), "null", str(2**53 + 1)]
    assert texts(shown.column(3))[2] == "12345678901234567.89"
    assert (
        "+00:00" in texts(shown.column(4))[0]
        or "Z" in texts(shown.column(4))[0]
        or "UTC" in texts(shown.column(4))[0]
    )
    assert texts(shown.column(6))[0].startswith("{")
    assert texts(shown.column(7))[0] == "x" * 300 + "…"
    shown.column(6).first.dblclick()
    value = shown.page.locator("#detail .value")
    value.get_by_text("a", exact=True).click()
    expect(value.locator("ul ul")).to_contain_text("1")
    shown.column(7).first.click()
    expect(value).to_have_text("x" * 5000)
    shown.head(MARKUP).locator(".more").click()
    expect(shown.page.locator("#box h2")).to_contain_text(MARKUP)
    assert shown.page.locator("img").count() == 0
    assert shown.page.evaluate("window.ran") is None


@pytest.mark.long
def test_ten_thousand_columns_are_drawn_as_far_as_they_are_seen(show):
    shown = show(lambda: Synthetic(rows=100, columns=10_000))
    shown.ready()
    assert shown.page.locator(".th").count() < 20
    shown.press("End")
    shown.ready()
    expect(shown.active).to_have_attribute("aria-colindex", "10001")
    expect(shown.active).to_have_text("0.9999")
    assert shown.page.locator(".td").count() < 1000
    shown.page.get_by_role("button", name="Columns").click()
    shown.page.get_by_label("Find a column").fill("c5000")
    shown.page.keyboard.press("Enter")
    shown.ready()
    expect(shown.active).to_have_text("0.5000")
    shown.card("c5000").get_by_role("button", name="Pin").click()
    shown.press("Control+Home", "Home")
    shown.ready()
    assert texts(shown.page.locator(".th .label"))[0] == "c5000"


@pytest.mark.long
def test_the_last_of_fifty_million_rows_is_reached_by_keys_and_by_the_scrollbar_and_the_wheel_moves_by_rows(
    show,
):
    rows = 50_000_000
    shown = show(lambda: Synthetic(rows=rows, columns=12))
    shown.ready()
    shown.press("Control+End")
    expect(shown.numbers.last).to_have_text(str(rows))
    shown.ready()
    expect(shown.column(11).last).to_have_text(f"{rows - 1}.11")
    shown.press("Control+Home")
    expect(shown.numbers.first).to_have_text("1")
    bottom = "grid => { grid.scrollTop = grid.scrollHeight }"
    shown.grid.evaluate(bottom)
    expect(shown.numbers.last).to_have_text(str(rows))
    shown.grid.evaluate("grid => { grid.scrollTop = (grid.scrollHeight - grid.clientHeight) / 2 }")
    expect(shown.numbers.first).not_to_have_text(str(rows - 20))
    middle = shown.first_row()
    assert abs(middle - rows / 2) < rows / 1000
    shown.grid.hover()
    shown.page.mouse.wheel(0, 100)
    expect(shown.numbers.first).to_have_text(str(middle + 4))
    shown.ready()
    assert texts(shown.column(0))[0] == f"{middle + 3}.0"
    room = shown.page.locator(".rows").bounding_box()["height"]
    assert shown.page.locator(".row").count() <= room / ROW + 2


@pytest.mark.long
@pytest.mark.parametrize("length", [0, 295])
def test_a_page_that_was_scrolled_far_keeps_less_than_30_mb(show, length):
    table = Synthetic(rows=1_000_000, columns=15)
    table.tail = "x" * length
    shown = show(lambda: table)
    client = shown.page.context.new_cdp_session(shown.page)
    client.send("HeapProfiler.enable")
    for share in range(1, 101):
        shown.grid.evaluate(
            f"grid => {{ grid.scrollTop = (grid.scrollHeight - grid.clientHeight) * {share / 100} }}"
        )
        expect(shown.numbers.first).not_to_have_text("1")
        shown.ready()
    client.send("HeapProfiler.collectGarbage")
    used = client.send("Runtime.getHeapUsage")["usedSize"]
    assert used < LIVE_HEAP, used


@pytest.mark.long
def test_keys_alone_sort_filter_resize_hide_search_and_export(show):
    frame = orders(500)
    shown = show(frame)
    keyboard = shown.page.keyboard
    shown.press("ArrowUp", "ArrowRight", "ArrowRight", "Enter")
    expect(shown.head("state")).to_have_attribute("aria-sort", "ascending")
    shown.press("ArrowLeft", "Shift+Enter", "Shift+Enter")
    expect(shown.column(1).first).to_have_text(f"{frame[frame.state == 'CA'].revenue.max()}")
    width = shown.head("revenue").bounding_box()["width"]
    shown.press("Shift+ArrowRight", "Shift+ArrowRight")
    expect(shown.page.locator("#live")).to_have_text(f"{width + 32:g} pixels wide")
    shown.press("Alt+ArrowDown")
    expect(shown.page.get_by_label("Condition")).to_be_focused()
    keyboard.press("Tab")
    keyboard.type("10")
    keyboard.press("Tab")
    keyboard.type("20")
    keyboard.press("Enter")
    shown.expect_count(f"{frame.revenue.between(10, 20).sum()} of 500")
    expect(shown.grid).to_be_focused()
    keyboard.press("/")
    keyboard.type("WA")
    shown.expect_count(f"{(frame.revenue.between(10, 20) & (frame.state == 'WA')).sum()} of 500")
    keyboard.press("Enter")
    expect(shown.grid).to_be_focused()
    keyboard.press("?")
    expect(shown.page.get_by_role("dialog", name="Keys")).to_be_visible()
    keyboard.press("Escape")
    expect(shown.grid).to_be_focused()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(shown.page.locator("#detail h2")).to_have_text("Row 1")
    keyboard.press("ArrowDown")
    expect(shown.page.locator("#detail h2")).to_have_text("Row 2")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "condition", "values", "matches"),
    [
        ("state", "contains", ["n"], lambda f: f.state == "NY"),
        ("state", "starts with", ["C"], lambda f: f.state == "CA"),
        ("state", "is not", ["CA"], lambda f: f.state != "CA"),
        ("state", "is one of", ["WA", "TX"], lambda f: f.state.isin(["WA", "TX"])),
        ("id", "is between", ["10", "20"], lambda f: f.id.between(10, 20)),
        ("id", "≥", ["990"], lambda f: f.id >= 990),
        ("revenue", "<", ["2.5"], lambda f: f.revenue < 2.5),
        ("discount", "is", ["1"], lambda f: f.discount == 1),
        (
            "day",
            "is between",
            ["2024-02-01T00:00", "2024-02-29T00:00"],
            lambda f: f.day.between("2024-02-01", "2024-02-29"),
        ),
        ("paid", "is one of", ["true"], lambda f: f.paid),
        ("customer", "is not null", [], lambda f: f.customer.notna()),
        ("customer", "is null", [], lambda f: f.customer.isna()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_column_is_filtered_by_its_box(show, name, condition, values, matches):
    frame = orders(1000)
    shown = show(frame)
    shown.filter(name, condition, *values)
    found = frame[matches(frame)]
    shown.expect_count(f"{len(found):,} of 1,000")
    seen = texts(shown.column(0))
    assert seen == [str(number) for number in found.id[: len(seen)]]
    if found.empty:
        expect(shown.page.locator("#empty")).to_contain_text("No row matches.")


@pytest.mark.long
def test_what_is_no_number_is_refused_beside_the_field(show):
    shown = show(orders(100))
    card = shown.card("id")
    card.get_by_label("From").fill("twelve")
    card.get_by_role("button", name="Apply").click()
    expect(card.get_by_role("alert")).to_have_text("twelve is no number.")
    shown.expect_count("100")


@pytest.mark.long
def test_a_bar_filters_and_its_count_is_the_rows_that_are_left(show):
    frame = orders(1000)
    shown = show(frame)
    bars = shown.head("revenue").locator(".bar")
    bars.nth(3).hover()
    told = shown.head("revenue").locator(".range").inner_text()
    bars.nth(3).click()
    count = told.split(": ")[1].split(" ")[0]
    shown.expect_count(f"{count} of 1,000")
    shown.page.get_by_role("button", name="Clear all").or_(
        shown.page.get_by_role("button", name="Remove")
    ).last.click()
    shown.expect_count("1,000")
    shown.head("state").locator(".bar").first.click()
    shown.expect_count("250 of 1,000")


@pytest.mark.long
def test_columns_are_hidden_pinned_resized_and_so_after_a_reload(show):
    shown = show(orders(200))
    shown.card("revenue").get_by_role("button", name="Hide").click()
    expect(shown.head("revenue")).to_have_count(0)
    shown.card("customer").get_by_role("button", name="Pin").click()
    grip = shown.head("state").locator(".grip").bounding_box()
    mouse = shown.page.mouse
    mouse.move(grip["x"] + 2, grip["y"] + 20)
    mouse.down()
    mouse.move(grip["x"] + 82, grip["y"] + 20, steps=4)
    mouse.up()
    width = shown.head("state").bounding_box()["width"]
    shown.press("Control+End", "ArrowUp")
    expect(shown.numbers.last).to_have_text("200")
    first = shown.first_row()
    while shown.state.first_row != first - 1:
        shown.page.wait_for_timeout(50)
    shown.page.reload()
    shown.ready()
    assert texts(shown.page.locator(".th .label"))[:2] == ["customer", "id"]
    expect(shown.head("revenue")).to_have_count(0)
    assert shown.head("state").bounding_box()["width"] == width
    assert shown.first_row() == first
    shown.page.get_by_role("button", name="1 column hidden").first.click()
    shown.page.get_by_label("Show revenue").check()
    expect(shown.head("revenue")).to_have_count(1)


@pytest.mark.long
def test_a_range_that_is_not_on_the_page_is_copied_whole_and_too_large_ones_are_refused(show):
    frame = orders(1500)
    frame["note"] = ["y" * 400] * 1500
    shown = show(frame[["id", "state", "note"]])
    shown.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.press("Home", "Control+Shift+ArrowDown", "Shift+ArrowRight", "ControlOrMeta+c")
    expect(shown.page.locator("footer")).to_contain_text("Copied 3,000 cells")
    copied = shown.page.evaluate("navigator.clipboard.readText()").splitlines()
    assert copied == [f"{number}\t{state}" for number, state in zip(frame.id, frame.state, strict=True)]
    shown.press("Control+Home", "End", "ControlOrMeta+c")
    expect(shown.page.locator("footer")).to_contain_text("Copied 1 cell")
    assert shown.page.evaluate("navigator.clipboard.readText()") == "y" * 400
    shown.press("Shift+ArrowDown", "ControlOrMeta+c")
    expect(shown.page.locator("footer")).to_contain_text("Copied 2 cells")
    assert shown.page.evaluate("navigator.clipboard.readText()").split("\n") == ["y" * 400] * 2
    wide = show(lambda: Synthetic(rows=1_000_000, columns=3))
    wide.press("ControlOrMeta+a", "ControlOrMeta+c")
    expect(wide.notices).to_contain_text("export the rows instead")


@pytest.mark.long
def test_what_the_agent_sets_is_said_and_can_be_undone(show):
    shown = show(orders(400))
    shown.head("id").locator(".label").click()
    expect(shown.chips).to_have_text(["id ↑"])
    shown.agent_sets(sort=[SortKey(1, descending=True)], filters=[Filter(2, "=", "CA")])
    expect(shown.notices).to_contain_text("The agent has sorted by revenue ↓ and filtered by state.")
    expect(shown.chips).to_have_text(["revenue ↓", "state is CA"])
    shown.page.get_by_role("button", name="Undo").click()
    expect(shown.chips).to_have_text(["id ↑"])
    shown.expect_count("400")
    expect(shown.notices).to_be_empty()
    assert shown.state.by == "person"


@pytest.mark.long
def test_new_data_keeps_sort_filter_and_place_and_a_deleted_variable_says_so(show):
    shown = show(orders(2000))
    shown.head("id").locator(".label").click()
    shown.filter("state", "is one of", "CA", "NY")
    shown.press("PageDown", "PageDown", "PageDown")
    expect(shown.numbers.first).not_to_have_text("1")
    place = shown.first_row()
    newer = orders(2400)
    newer["id"] += 10
    shown.renew(lists(newer))
    shown.expect_count("1,200 of 2,400")
    shown.ready()
    assert shown.first_row() == place
    assert texts(shown.column(0))[0] == str(newer[newer.state.isin(["CA", "NY"])].id.iloc[place - 1])
    expect(shown.chips).to_have_text(["id ↑", "state is one of CA, NY"])
    shown.in_thread(lambda view: view.end("deleted"))
    expect(shown.notices).to_contain_text("The variable is deleted.")
    assert violations(shown.page) == []
    shown.renew(lists(orders(30)))
    expect(shown.notices).not_to_contain_text("deleted")


@pytest.mark.long
def test_two_pages_of_a_view_show_the_same(show):
    shown = show(orders(100))
    other = shown.another()
    shown.filter("id", "<", "10")
    expect(other.locator("#count")).to_contain_text("10 of 100 rows")
    expect(other.locator("#notices")).to_be_empty()


@pytest.mark.long
def test_a_page_whose_connection_breaks_comes_back_where_it_was_and_says_when_the_view_is_closed(show):
    shown = show(orders(2000))
    shown.press("PageDown", "PageDown")
    expect(shown.numbers.first).not_to_have_text("1")
    place = shown.first_row()
    shown.in_thread(lambda view: [page.close(1011) for page in view.pages])
    expect(shown.notices).to_contain_text("Reconnecting")
    expect(shown.notices).to_be_empty()
    assert shown.first_row() == place
    shown.head("state").locator(".label").click()
    expect(shown.head("state")).to_have_attribute("aria-sort", "ascending")
    shown.in_thread(shown.thread.server.views.remove)
    expect(shown.notices).to_contain_text("This view is closed.")
    shown.errors.clear()  # the browser's own word of the socket


@pytest.mark.long
def test_the_rows_that_match_are_exported_in_their_order(show):
    frame = orders(600)
    shown = show(frame, "my orders.csv")
    shown.head("revenue").locator(".label").click()
    shown.filter("state", "is one of", "TX")
    shown.card("customer").get_by_role("button", name="Hide").click()
    shown.page.get_by_role("button", name="Export").click()
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename.endswith(".csv")
    rows = list(csv.DictReader(download.value.path().open(encoding="utf-8")))
    expected = frame[frame.state == "TX"].sort_values("revenue")
    assert [int(row["id"]) for row in rows] == list(expected.id)
    assert "customer" not in rows[0]


@pytest.mark.long
def test_tables_without_rows_or_columns_and_columns_of_one_name_say_what_they_are(show):
    empty = show({"a": []})
    expect(empty.page.locator("#empty")).to_have_text("There are no rows.")
    assert violations(empty.page) == []
    same = show(lambda: Synthetic(rows=1, columns=2, name="a"))
    same.ready()
    assert [texts(same.column(number)) for number in (0, 1)] == [["0.0"], ["0.1"]]
    same.page.locator(".th .label").nth(1).click()
    expect(same.page.locator(".th").nth(1)).to_have_attribute("aria-sort", "ascending")
    expect(same.page.locator(".th").nth(0)).to_have_attribute("aria-sort", "none")


@pytest.mark.long
def test_of_a_table_that_loads_the_first_rows_are_there_and_how_far_it_is(show):
    table = Loading(rows=40_000, columns=3)
    shown = show(lambda: table, loaded=False)
    expect(shown.column(0).first).to_have_text("0.0")
    shown.expect_count("\N{HORIZONTAL ELLIPSIS}", 3)
    table.changed()
    expect(shown.page.get_by_role("progressbar", name="Loading")).to_be_visible()
    expect(shown.page.locator("footer")).to_contain_text("Reading 25 %")
    shown.press("Control+End")
    expect(shown.active).to_have_text("100.2")
    shown.press("Control+End")
    expect(shown.active).to_have_text("149.2")
    shown.expect_count("\N{HORIZONTAL ELLIPSIS}", 3)
    table.finish()
    shown.expect_count("40,000", 3)
    expect(shown.page.get_by_role("progressbar", name="Loading")).to_be_hidden()
    shown.press("Control+End")
    expect(shown.active).to_have_text("39999.2")


@pytest.mark.long
def test_all_columns_hidden_is_said_and_undone(show):
    shown = show(orders(20))
    shown.page.get_by_role("button", name="Columns").click()
    shown.page.get_by_role("button", name="Hide all").click()
    shown.page.keyboard.press("Escape")
    shown.page.locator("#empty").get_by_role("button", name="Show all").click()
    expect(shown.page.locator(".th")).not_to_have_count(0)


@pytest.mark.long
def test_an_error_of_the_rows_is_said_and_tried_again(show):
    table = Synthetic(rows=1000, columns=3)
    shown = show(lambda: table)
    shown.ready()
    table.fault = "The disk is gone."
    shown.press("Control+End")
    expect(shown.notices).to_contain_text("The disk is gone.")
    table.fault = ""
    shown.page.get_by_role("button", name="Try again").click()
    shown.ready()
    expect(shown.active).to_have_text("999.2")
