"""marimo's tables, frames and charts in JupyterLab: they sort, search, turn pages and transform, by functions in the kernel."""

from __future__ import annotations

import pytest
from live_elements import ELEMENTS, FRAME
from live_page import Requests, expect_live, live
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]

EXPLORED = """import marimo as mo
import pandas as pd
frame = pd.DataFrame({"weight": [50, 61, 72, 80, 95], "size": [1.5, 1.6, 1.7, 1.8, 1.9], "group": list("aabba")})
e = mo.ui.data_explorer(frame)
e"""
CHARTS = ("altair_chart", "plotly")


def test_a_table_sorts_turns_pages_searches_and_draws_its_columns(live_lab):
    page = live_lab(
        f"{FRAME}\ne = mo.ui.table(frame, page_size=10, show_column_summaries=True)\ne",
        "print('value', list(e.value.n))",
    )
    requests = Requests(page)
    page.run_all()
    table = expect_live(page, 0)
    rows = table.locator("tbody tr")
    number = rows.first.locator("td").nth(1)
    expect(rows).to_have_count(10)
    expect(table.locator("thead").locator("svg.marks, canvas").first).to_be_visible()

    sort = table.get_by_test_id("data-table-sort-button").first
    sort.click()
    expect(sort).to_have_attribute("aria-label", "Sorted ascending, click to sort descending")
    sort.click()
    expect(number).to_have_text("29")
    table.get_by_test_id("next-page-button").click()
    expect(number).to_have_text("19")
    rows.first.get_by_role("checkbox").click()
    expect(page.outputs(1)).to_have_text(["value [19]"])
    table.get_by_placeholder("Search...").click()
    page.page.keyboard.type("1")  # 1, 10 to 19 and 21
    expect(table).to_contain_text("of 2")
    expect(number).to_have_text("21")
    assert requests.elsewhere == []


def test_a_frame_is_transformed_and_its_reader_follows(live_lab):
    page = live_lab(f"{FRAME}\ne = mo.ui.dataframe(frame)\ne", "print('value', e.value.shape)")
    page.run_all()
    frame = expect_live(page, 0)
    expect(page.outputs(1)).to_have_text(["value (30, 2)"])
    frame.get_by_test_id("marimo-plugin-data-frames-add-transform").first.click()
    frame.get_by_role("menuitem", name="Filter Rows").click()
    panel = frame.get_by_role("tabpanel")
    panel.get_by_role("combobox").first.click()
    frame.get_by_role("option", name="n").first.click()
    panel.get_by_role("combobox").nth(1).click()
    frame.get_by_role("option", name=">", exact=True).click()
    limit = panel.locator("input[inputmode=numeric]")
    limit.fill("20")
    limit.press("Tab")
    expect(page.outputs(1)).to_have_text(["value (9, 2)"])
    expect(frame).to_contain_text("9 rows")


def test_the_data_explorer_draws_what_is_chosen(live_lab):
    page = live_lab(EXPLORED, "print('value', e.value)")
    page.run_all()
    explorer = expect_live(page, 0)
    expect(explorer.locator("canvas, svg.marks").first).to_be_visible()
    explorer.get_by_role("combobox").first.click()
    explorer.get_by_role("option", name="weight").click()
    expect(page.outputs(1)).to_have_text(["value {'x': 'weight'}"])


@pytest.mark.parametrize("name", CHARTS)
def test_a_live_chart_asks_no_other_server_and_its_native_form_waits(live_lab, name):
    element = ELEMENTS[name]
    page = live_lab(f"{element.setup}\ne = {element.code}\ne", element.reader, own_page=True)
    requests = Requests(page)
    page.run_all()
    expect_live(page, 0)
    element.use(live(page, 0))
    expect(page.outputs(1)).to_have_text([element.then])
    page.save()
    page.reload()  # now the saved native form is there before the page knows the kernel
    expect(expect_live(page, 0).locator("canvas, .nsewdrag").first).to_be_visible()
    assert requests.elsewhere == []
    natives = page.cell(0).locator("template[data-mkb-native]")
    waiting = natives.count()
    page.restart()
    expect(live(page, 0)).to_have_count(0)
    expect(natives).to_have_count(0)
    if waiting:  # Altair's own form, which loads its scripts as under any other kernel
        expect(page.cell(0).locator("[id^=altair-viz]")).to_have_count(1)
        assert requests.elsewhere
