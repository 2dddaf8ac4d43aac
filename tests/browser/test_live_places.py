"""marimo's elements in all places of a page, and through what happens to a page: views, consoles, scrolling, lost connections, trust."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import nbformat
import pytest
from lab_agents import WireClient
from lab_server import wait_for
from live_elements import READER, key
from live_page import DARK, LIGHT, THEME, expect_live, live
from playwright.sync_api import expect

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import RunReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab_page import LabPage
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.browser, pytest.mark.long]

SLIDER = "import marimo as mo\ne = mo.ui.slider(1, 9, value=3, label='Size')\ne"
WIDE = "import marimo as mo\ne = mo.ui.slider(0, 100, full_width=True)\ne"
RIGHT = key("slider", "ArrowRight")
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
RUN = "async command => { await window.jupyterapp.commands.execute(command); }"
NOTEBOOK = """() => {
  const { shell } = window.jupyterapp;
  shell.activateById([...shell.widgets("main")].find(one => one.node.classList.contains("jp-NotebookPanel")).id);
}"""
CLOSE_VIEWS = """() => {
  for (const one of [...window.jupyterapp.shell.widgets("main")]) if (one.node.querySelector(".jp-LinkedOutputView")) one.close();
}"""
IN_VIEW = """element => {
  const {top, bottom} = element.getBoundingClientRect();
  return top >= 0 && bottom <= window.innerHeight && element.getRootNode().elementFromPoint(
    element.getBoundingClientRect().x + 5, (top + bottom) / 2)?.closest("[role=option]") === element;
}"""


def thumb(place: Locator) -> Locator:
    return place.get_by_role("slider").first


def shows(place: Locator, value: int) -> None:
    expect(thumb(place)).to_have_attribute("aria-valuenow", str(value))


@contextmanager
def another_client(page: LabPage) -> Iterator[WireClient]:
    client = WireClient(page.connection_file)
    try:
        yield client
    finally:
        client.close()


def set_by_agent(client: WireClient, value: int) -> None:
    client._ask("shell", wire.SetUiValue(ui_element="e", value=value, client="claude"), RunReport)


@contextmanager
def dragged(page: LabPage, to: float) -> Iterator[None]:
    """Hold a slider that is as wide as its cell, at a fraction of its width."""
    track = live(page, 0).locator("[data-orientation=horizontal]").first.bounding_box()
    assert track is not None
    mouse, top = page.page.mouse, track["y"] + track["height"] / 2
    mouse.move(track["x"] + 4, top)
    mouse.down()
    mouse.move(track["x"] + track["width"] * to, top, steps=5)
    yield
    mouse.up()


def test_a_notebook_that_is_not_trusted_shows_static_forms_and_runs_nothing(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab(SLIDER, READER, "mo.ui.text()", own_page=True)
    page.run_all()
    expect_live(page, 0)
    saved = page.save()
    shown = saved.cells[0].outputs[0].data
    shown["text/html"] += "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
    nbformat.write(saved, page.path)  # not as its signature says
    page.reload()
    expect(page.outputs(0)).to_contain_text(["Size: 3"])
    page.run(2)
    expect_live(page, 2)  # so the page has the loader, and the kernel
    expect(live(page, 0)).to_have_count(0)
    assert page.page.evaluate("window.hacked") is None
    page.run(0)
    RIGHT(expect_live(page, 0))
    page.run(1)
    expect(page.outputs(1)).to_have_text(["value 4"])


def test_an_element_in_two_output_views_moves_with_its_cell(live_lab: Callable[..., LabPage]) -> None:
    page = live_lab(SLIDER, READER)
    page.run_all()
    expect_live(page, 0)
    page.prompt(0).click()
    page.page.evaluate(RUN, "notebook:create-output-view")
    views = page.page.locator(".jp-LinkedOutputView")
    first = views.first
    shows(first, 3)
    RIGHT(first)
    shows(live(page, 0), 4)
    expect(page.outputs(1)).to_have_text(["value 4"])
    page.page.evaluate(NOTEBOOK)
    page.prompt(0).click()
    page.page.evaluate(RUN, "notebook:create-output-view")
    expect(views).to_have_count(2)
    second = views.last
    value = 4  # the first view and the cell are as they were
    for place in (second, first, live(page, 0)):
        for each in (second, first, live(page, 0)):
            shows(each, value)
        RIGHT(place)
        value += 1
        expect(page.outputs(1)).to_have_text([f"value {value}"])
    page.run(0)  # a new element in all of them
    for each in (second, first, live(page, 0)):
        shows(each, 3)
    RIGHT(second)
    for each in (first, live(page, 0)):
        shows(each, 4)
    page.page.evaluate(CLOSE_VIEWS)
    expect(views).to_have_count(0)
    RIGHT(live(page, 0))
    expect(page.outputs(1)).to_have_text(["value 5"])
    assert page.page_errors == []


def test_in_a_console_of_the_kernel_an_element_has_its_static_form(live_lab: Callable[..., LabPage]) -> None:
    page = live_lab(SLIDER, READER)
    page.run_all()
    expect_live(page, 0)
    page.page.evaluate(RUN, "notebook:create-console")
    prompt = page.page.locator(".jp-CodeConsole-promptCell .cm-content")
    prompt.click()
    page.page.keyboard.insert_text("e")
    page.page.keyboard.press("Shift+Enter")
    expect(page.page.locator(".jp-CodeConsole .jp-OutputArea-output").last).to_contain_text("Size")
    RIGHT(live(page, 0))
    expect(page.outputs(1)).to_have_text(["value 4"])
    assert page.page_errors == []


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_menu_at_the_end_of_the_page_opens_where_it_is_seen(
    live_lab: Callable[..., LabPage], theme: str
) -> None:
    page = live_lab(
        "import marimo as mo",
        *("# a cell" for _ in range(30)),
        "e = mo.ui.multiselect(list('abcdefgh'))\ne",
        READER,
    )
    page.page.evaluate(THEME, theme)
    try:
        page.run_all()
        menu = expect_live(page, 31)
        menu.scroll_into_view_if_needed()
        menu.get_by_role("combobox").or_(menu.locator("button")).first.click()
        option = menu.get_by_role("option", name="b")
        expect(option).to_be_visible()
        wait_for(lambda: option.evaluate(IN_VIEW), "the menu is in view, with nothing over it")
        option.click()
        expect(page.outputs(32)).to_have_text(["value ['b']"])
    finally:
        page.page.keyboard.press("Escape")
        page.page.evaluate(THEME, LIGHT)


def test_an_element_that_is_made_again_while_it_is_dragged_begins_anew(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab(WIDE, READER)
    page.run_all()
    expect_live(page, 0)
    with dragged(page, 0.5):
        expect(page.outputs(1)).not_to_have_text(["value 0"])
        page.page.evaluate("() => document.activeElement.blur()")
        page.page.evaluate(
            "index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", 0
        )
        page.page.evaluate(RUN, "notebook:run-cell")
        expect(page.outputs(1)).to_have_text(["value 0"])
        shows(live(page, 0), 0)
    RIGHT(live(page, 0))
    shows(live(page, 0), 1)
    expect(page.outputs(1)).to_have_text(["value 1"])
    assert page.page_errors == []


def test_a_value_that_an_agent_sets_during_a_drag_and_what_the_person_goes_on_to_are_the_same_everywhere(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab(WIDE, READER)
    page.run_all()
    expect_live(page, 0)
    with another_client(page) as client:
        with dragged(page, 0.3):
            set_by_agent(client, 90)
            expect(page.outputs(1)).to_have_text(["value 90"])
            shows(live(page, 0), 90)
            page.page.mouse.move(400, 300, steps=3)
        value = thumb(live(page, 0)).get_attribute("aria-valuenow")
        assert value != "90"
        expect(page.outputs(1)).to_have_text([f"value {value}"])
        set_by_agent(client, 7)
        shows(live(page, 0), 7)
        expect(page.outputs(1)).to_have_text(["value 7"])


def test_after_a_lost_connection_page_and_kernel_have_the_same_value(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab(SLIDER, READER)
    page.run_all()
    expect_live(page, 0)
    with another_client(page) as client:
        page.page.evaluate(f"() => {KERNEL}._ws.close()")
        set_by_agent(client, 8)
        shows(live(page, 0), 8)
        expect(page.outputs(1)).to_have_text(["value 8"])
        page.page.evaluate(f"() => {KERNEL}._ws.close()")
        RIGHT(live(page, 0))
        expect(page.outputs(1)).to_have_text(["value 9"])


def test_an_element_stays_what_it_is_when_it_is_scrolled_away_moved_and_its_notebook_closed(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab(SLIDER, READER, *("print('text\\n' * 40)" for _ in range(20)))
    page.run_all()
    page.show(21)
    expect(page.outputs(21)).to_contain_text(["text"])
    page.show(0)
    RIGHT(expect_live(page, 0))
    expect(page.outputs(1)).to_have_text(["value 4"])
    for index in (21, 0):
        page.show(index)
    shows(live(page, 0), 4)
    RIGHT(live(page, 0))
    expect(page.outputs(1)).to_have_text(["value 5"])
    page.prompt(0).click()
    page.page.evaluate(RUN, "notebook:move-cell-down")
    shows(live(page, 1), 5)
    RIGHT(live(page, 1))
    expect(page.outputs(0)).to_have_text(["value 6"])
    page.save()
    page.leave()
    page.open()
    shows(expect_live(page, 1), 6)
    RIGHT(live(page, 1))
    expect(page.outputs(0)).to_have_text(["value 7"])


KEYS = (
    "a",
    "b",
    "d",
    "d",
    "m",
    "y",
    "z",
    "x",
    "c",
    "v",
    "0",
    "0",
    "j",
    "k",
    "l",
    "Shift+Enter",
    "ArrowUp",
    "Shift+L",
)
EDITING = ("A", "X", "V", "Z")
CELLS = """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
  .map(cell => [cell.cell_type, cell.source, JSON.stringify(cell.metadata)])"""


@pytest.mark.parametrize(
    "code", ["mo.ui.text()", "mo.ui.text_area()", "mo.ui.code_editor()", "mo.ui.text().form()"]
)
def test_no_key_in_a_field_does_anything_to_the_notebook(live_lab: Callable[..., LabPage], code: str) -> None:
    page = live_lab(f"import marimo as mo\ne = {code}\ne", READER, "# last")
    page.run_all()
    field = expect_live(page, 0).locator("input, textarea, .cm-content").first
    before = page.page.evaluate(CELLS)
    kernel = page.page.evaluate(f"() => {KERNEL}.id")
    field.click()
    for name in (*KEYS, *(f"ControlOrMeta+{letter}" for letter in EDITING)):
        page.page.keyboard.press(name)
    expect(field).to_be_focused()
    expect(page.page.locator(".jp-Dialog")).to_have_count(0)
    assert page.page.evaluate(CELLS) == before
    assert page.page.evaluate(f"() => {KERNEL}.id") == kernel
