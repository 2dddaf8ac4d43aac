"""A notebook in JupyterLab and in marimo's own editor at once, on one kernel."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]

CELLS = (
    "import marimo as mo",
    "x = 1",
    "print('x is', x)\nx * 10",
    "speed = mo.ui.slider(1, 9, value=4)\nspeed",
    "print('speed is', speed.value)",
    "import time\nfor number in range(200 if x == 7 else 0):\n    print('tick', number)\n    time.sleep(0.1)",
    "1 / 0 if x == 3 else 'fine'",
    "%marimo open",
)
EDITORS = ".marimo-cell .cm-content"
SHUT_DOWN = "Confirm Shutdown"
TYPING = """() => {
  // As somebody who types without a pause, whose text marimo's page has not told its server yet.
  window.typing = setInterval(() => document.execCommand('insertText', false, 'a'), 50);
}"""


def opened(lab, index):
    """Open the address that a cell shows in a new tab of the same browser."""
    expect(lab.outputs(index).first).to_contain_text("Open this notebook")
    address = lab.outputs(index).first.get_by_role("link").get_attribute("href")
    tab = lab.page.context.new_page()
    tab.goto(address)
    return tab


def shows(tab, text):
    expect(tab.get_by_text(text, exact=True).first).to_be_visible()


def typed(tab, index, code):
    """Replace the code of a cell of marimo's editor, and run it."""
    tab.locator(EDITORS).nth(index).click()
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")
    tab.keyboard.insert_text(code)
    tab.keyboard.press("Control+Enter")


def change_markdown(tab, text):
    """Replace the Markdown that a cell of marimo's editor shows, whose code is hidden until somebody asks for it."""
    tab.locator("em").first.dblclick()
    editor = tab.locator(".marimo-cell", has=tab.locator("em")).locator(".cm-content")
    editor.click()
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")
    tab.keyboard.insert_text(text)
    tab.keyboard.press("Control+Enter")


def test_the_notebook_is_the_same_in_jupyterlab_and_in_marimos_editor(live_lab):
    lab = live_lab(*CELLS)
    lab.run_all()
    expect(lab.outputs(2)).to_have_text(["x is 1", "10"])
    tab = opened(lab, len(CELLS) - 1)
    for text in ("x is 1", "10", "speed is 4", "'fine'"):
        shows(tab, text)
    expect(tab).to_have_url(re.compile(r"^http://127\.0\.0\.1:\d+/$"))  # the code is gone
    expect(tab.locator(EDITORS)).to_have_count(len(CELLS))

    typed(tab, 1, "x = 5")  # an edit there is one here
    shows(tab, "x is 5")
    expect(lab.outputs(2)).to_have_text(["x is 5", "50"])
    expect(lab.editor(1)).to_have_text("x = 5")
    lab.edit(1, "x = 6")  # and the other way
    lab.run(1)
    shows(tab, "x is 6")
    expect(tab.locator(EDITORS).nth(1)).to_have_text("x = 6")

    slider = tab.get_by_role("slider").first
    expect(slider).to_have_attribute("aria-valuenow", "4")
    slider.focus()
    tab.keyboard.press("ArrowRight")
    shows(tab, "speed is 5")
    expect(lab.outputs(4)).to_have_text(["speed is 5"])

    typed(tab, 1, "x = 3")  # an error, with its traceback
    shows(tab, "division by zero")
    typed(tab, 1, "x = 7")  # a cell that prints while it runs, and is stopped
    expect(tab.get_by_text("tick 3")).to_be_visible()
    tab.get_by_test_id("interrupt-button").click()
    expect(lab.outputs(5).last).to_contain_text("KeyboardInterrupt")

    tab.get_by_test_id("shutdown-button").click()
    tab.get_by_role("button", name=SHUT_DOWN).click()
    expect(tab.get_by_text("not offered here").first).to_be_visible()
    address = tab.url
    tab.close()
    lab.edit(1, "x = 8")
    lab.run(1)
    expect(lab.outputs(2)).to_have_text(["x is 8", "80"])

    again = lab.page.context.new_page()  # the cookie lets it in, and it shows the present state
    again.goto(address)
    shows(again, "x is 8")
    expect(again.get_by_role("slider").first).to_have_attribute("aria-valuenow", "5")
    expect(again.get_by_text("Reconnected")).to_have_count(0)
    again.close()


def test_the_restart_in_marimos_menu_restarts_nothing(live_lab):
    lab = live_lab("x = 1", "print('x is', x)", "%marimo open")
    lab.run_all()
    tab = opened(lab, 2)
    shows(tab, "x is 1")
    typed(tab, 0, "x = 5")
    shows(tab, "x is 5")
    tab.get_by_test_id("notebook-menu-dropdown").click()
    tab.get_by_role("menuitem", name="Restart kernel").click()
    with tab.expect_response(lambda answer: "restart_session" in answer.url) as restart:
        tab.get_by_role("button", name="Confirm Restart").click()
    assert restart.value.status == 404
    lab.run(1)
    expect(lab.outputs(1)).to_have_text(["x is 5"])
    tab.close()


def test_names_hidden_code_and_markdown_are_in_both_and_in_the_file(live_lab):
    lab = live_lab("x = 1", ("markdown", "Some *words*"), "x + 1", "%marimo open")
    lab.run_all()
    tab = opened(lab, 3)
    shows(tab, "words")
    expect(tab.locator("em").get_by_text("words")).to_be_visible()
    tab.locator(EDITORS).first.click()
    tab.keyboard.press("Control+h")  # hides the code
    expect(lab.cell(0).locator(".jp-InputArea .cm-content")).to_have_count(0)
    change_markdown(tab, "Other *words*")
    expect(lab.cell(1).locator("p")).to_have_text("Other words")
    saved = lab.save()
    assert saved.cells[0].metadata["marimo"] == {"config": {"hide_code": True}}
    assert saved.cells[0].metadata["jupyter"] == {"source_hidden": True}
    assert (saved.cells[1].cell_type, saved.cells[1].source) == ("markdown", "Other *words*")
    tab.close()


def test_the_app_view_has_the_outputs_and_controls_and_no_code(live_lab):
    text = "mo.md(f'speed is {speed.value}')"  # marimo shows no console in apps
    lab = live_lab(*CELLS[:4], text, "%marimo open --app")
    lab.run_all()
    app = opened(lab, 5)
    shows(app, "speed is 4")
    expect(app.locator(EDITORS)).to_have_count(0)
    expect(app.get_by_text("mo.ui.slider")).to_have_count(0)
    slider = app.get_by_role("slider").first
    slider.focus()
    app.keyboard.press("ArrowRight")
    shows(app, "speed is 5")
    expect(lab.outputs(4)).to_have_text(["speed is 5"])
    app.close()


def test_what_is_being_typed_in_marimos_editor_stays_when_jupyter_changes_the_same_cell(live_lab):
    lab = live_lab("x = 1", "print('x is', x)", "%marimo open")
    lab.run_all()
    tab = opened(lab, 2)
    shows(tab, "x is 1")
    editor = tab.locator(EDITORS).first
    editor.click()
    tab.keyboard.press("Control+End")
    tab.keyboard.type("0 # a")
    tab.evaluate(TYPING)
    lab.edit(0, "x = 2")
    lab.run(0)
    shows(tab, "x is 2")
    expect(editor).to_have_text(re.compile("^x = 10 # a{20,}$"))  # the typing goes on
    tab.evaluate("clearInterval(window.typing)")
    expect(lab.editor(0)).to_have_text("x = 2")
    tab.keyboard.press("Control+Enter")  # and runs
    expect(lab.outputs(1)).to_have_text(["x is 10"])
    expect(lab.editor(0)).to_have_text(re.compile("^x = 10 # a{20,}$"))
    lab.edit(0, "x = 3")  # then it is as before
    lab.run(0)
    expect(editor).to_have_text("x = 3")
    tab.close()
