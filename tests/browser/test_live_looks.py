"""How marimo's elements look and where they stay apart: themes, what opens over them, other notebooks, pages that forbid their scripts."""

from __future__ import annotations

import pytest
from lab_page import LabPage
from lab_server import wait_for
from live_elements import READER
from live_page import DARK, LIGHT, THEME, Requests, expect_live, live
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]

SLIDER = "import marimo as mo\ne = mo.ui.slider(1, 9, value=3, label='Size')\ne"
FORBID = """() => {
  const policy = {httpEquiv: "Content-Security-Policy", content: "script-src 'self' 'unsafe-inline' 'unsafe-eval'"};
  document.head.append(Object.assign(document.createElement("meta"), policy));
}"""
# How bright the color is on which an element stands, from 0 to 1.
BRIGHTNESS = r"""element => {
  const canvas = document.createElement("canvas").getContext("2d");
  for (let one = element; one; one = one.parentElement ?? one.getRootNode().host) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = getComputedStyle(one).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, opacity] = canvas.getImageData(0, 0, 1, 1).data;
    if (opacity > 200) return (red + green + blue) / 765;
  }
}"""
# Whether a click on the middle of an element would hit it.
ON_TOP = """element => {
  const {x, y, width, height} = element.getBoundingClientRect();
  return element.getRootNode().elementFromPoint(x + width / 2, y + height / 2)?.closest("[role=option]") === element;
}"""


def test_a_menu_is_styled_in_both_themes_also_if_the_theme_is_switched_while_it_is_open(live_lab):
    page = live_lab("import marimo as mo\ne = mo.ui.multiselect(['a', 'b'])\ne", READER, "mo.ui.text()")
    page.run_all()
    output = expect_live(page, 0)
    expect_live(page, 2)
    option = output.get_by_role("option", name="b")
    try:
        output.get_by_role("combobox").or_(output.locator("button")).first.click()
        expect(option).to_be_visible()
        assert option.evaluate(BRIGHTNESS) > 0.8
        assert option.evaluate(ON_TOP)  # not below the next cell
        page.page.evaluate(THEME, DARK)
        page.page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
        expect(page.page.locator(".mkb-live .dark-theme").first).to_be_attached()
        expect(option).to_be_visible()
        assert option.evaluate(BRIGHTNESS) < 0.3
        option.click()
        expect(page.outputs(1)).to_have_text(["value ['b']"])
        page.page.keyboard.press("Escape")
        assert live(page, 2).locator("input").evaluate(BRIGHTNESS) < 0.3  # white on white once
    finally:
        page.page.evaluate(THEME, LIGHT)


def test_two_notebooks_on_a_page_with_the_same_ids_of_elements_stay_apart(live_lab):
    first = live_lab(SLIDER, READER)
    first.run_all()
    expect_live(first, 0)
    path = first.path.with_name("other.ipynb")
    path.write_bytes(first.path.read_bytes())
    second = LabPage(first.page, first.server, path)
    second.open()
    second.run_all()
    front = first.page.locator(".jp-NotebookPanel:visible")
    reader = front.locator(".jp-Notebook-cell").nth(1).locator(".jp-OutputArea-output")
    expect(reader).to_have_text(["value 3"])
    thumb = front.locator("[role=slider]")
    thumb.press("ArrowRight")
    expect(reader).to_have_text(["value 4"])
    ids = first.page.locator("marimo-ui-element").evaluate_all(
        "them => them.map(one => one.getAttribute('object-id'))"
    )
    assert len(set(ids)) == 2
    assert len({name.split("~")[1] for name in ids}) == 1, "they are the same in both kernels"
    first.open()
    expect(reader).to_have_text(["value 3"])
    expect(thumb).to_have_attribute("aria-valuenow", "3")
    second.leave()


def test_code_in_labels_and_options_is_drawn_and_never_runs(live_lab):
    text = "<b>bold</b><img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
    text += (
        "<script src='https://elsewhere.invalid/x.js'></script><a href='javascript:window.hacked=3'>go</a>"
    )
    page = live_lab(
        f"import marimo as mo\ntext = {text!r}\ne = mo.ui.slider(1, 9, value=3, label=text)\ne",
        READER,
        "r = mo.ui.radio({text: 1, 'other': 2}, label=text)\nr",
        "f = mo.ui.text(label=text, placeholder=text).form(submit_button_label=text)\nf",
        "t = mo.ui.table([{text: text}], label=text)\nt",
        own_page=True,
    )
    requests = Requests(page)
    page.page.evaluate("delete window.hacked")
    page.run_all()
    for cell in (0, 2, 3, 4):
        expect_live(page, cell)
    expect(live(page, 0).locator("b")).to_have_text("bold")
    live(page, 0).locator("[role=slider]").press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 4"])
    expect(live(page, 4).locator("tbody")).to_contain_text("onerror")
    for link in live(page, 0).locator("a").all():
        link.click(no_wait_after=True)
    assert page.page.evaluate("window.hacked") is None
    assert requests.elsewhere == []
    saved = page.save()
    form = "".join(saved.cells[0].outputs[0].data["text/html"])
    assert "onerror" not in form
    assert "<script" not in form


def test_a_page_that_forbids_scripts_from_blobs_shows_the_static_form_and_tells_the_kernel(live_lab):
    code = "import marimo\ne = getattr(marimo, 'ui').slider(1, 9, value=3, label='Size')\ne"  # no sign before it runs
    page = live_lab(code, READER, own_page=True, kernel="marimo")
    page.page.evaluate(FORBID)
    with page.page.expect_console_message(lambda message: "elements stay static" in message.text):
        page.run_all()
    expect(page.outputs(1)).to_have_text(["value 3"])
    expect(page.outputs(0)).to_contain_text(["Size: 3"])
    expect(live(page, 0)).to_have_count(0)
    wait_for(lambda: "A page cannot show marimo's elements" in page.server.log, "the kernel is told")
