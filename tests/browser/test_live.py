"""marimo's elements in JupyterLab and Notebook 7: they act, and the page, its keys and its file stay as they are."""

from __future__ import annotations

import re

import pytest
from live_elements import ELEMENTS, OF_JUPYTER, READER
from live_page import LOOK, Requests, expect_live, live
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLIDER = "import marimo as mo\ne = mo.ui.slider(1, 9, value=3, label='Size')\ne"
THUMB = "[role=slider]"
AMD = "() => { window.define = () => { throw new Error('AMD') }; window.define.amd = {}; window.requirejs = window.define; }"


def test_in_notebook_7_elements_are_live_with_the_extension_alone_and_the_page_stays_as_it_is(lab):
    page = lab(SLIDER, READER, "e2 = mo.ui.text()\ne2", app="notebook")
    page.page.evaluate(AMD)
    requests = Requests(page)
    before = page.page.evaluate(LOOK)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["value 3"])
    thumb = page.outputs(0).locator(THUMB)
    thumb.press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 4"])

    text = page.outputs(2).locator("input")
    text.click()
    page.page.keyboard.type("dd")
    expect(text).to_have_value("dd")
    expect(page.page.locator(".jp-Notebook-cell")).to_have_count(3)
    assert page.page.evaluate(LOOK) == before
    assert requests.elsewhere == []
    assert [line for line in page.console if "marimo" in line] == []

    saved = page.save()
    [output] = saved.cells[0].outputs
    assert ">4<" in output.data["text/html"]
    assert output.data["text/plain"].startswith("Size: 4 ")
    assert "widgets" not in saved.metadata
    assert "<marimo-" not in page.path.read_text()
    page.run(0)  # runs anew: the element begins with its initial value
    expect(page.outputs(1)).to_have_text(["value 3"])
    expect(page.outputs(0).locator(THUMB)).to_have_attribute("aria-valuenow", "3")


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(ELEMENTS.keys() - {OF_JUPYTER}))
def test_an_element_acts_and_its_reader_follows(live_lab, name):
    element = ELEMENTS[name]
    page = live_lab(f"{element.setup}\ne = {element.code}\ne", element.reader)
    page.run_all()
    output = expect_live(page, 0)
    expect(page.outputs(1)).to_contain_text(["value"])
    before = page.outputs(1).inner_text()
    assert before.strip() != element.then
    element.use(output)
    expect(page.outputs(1)).to_have_text([element.then])


@pytest.mark.long
def test_a_lazy_element_a_refresh_sections_and_a_progress_bar_work(live_lab):
    page = live_lab(
        "import marimo as mo, time\nmo.lazy(lambda: mo.md('made when seen'))",
        "mo.accordion({'more': 'inside', 'other': mo.ui.slider(1, 3)})",
        "e = mo.ui.refresh(default_interval='1s')\ne",
        "import itertools\n_ = e\nprint('value', e.value)",
        "for number in mo.status.progress_bar(range(3), title='Work', completion_title='Done'):\n    time.sleep(0.1)",
    )
    page.run_all()
    expect(expect_live(page, 1)).to_contain_text("more")
    live(page, 1).get_by_role("button", name="more").click()
    expect(live(page, 1).get_by_role("region", name="more").get_by_text("inside")).to_be_visible()
    expect(page.outputs(0).first).to_contain_text("made when seen")
    expect(page.outputs(3)).to_have_text([re.compile(r"value 1s \([1-9]\d*\)")])
    expect(page.outputs(4)).to_contain_text(["Done"])


@pytest.mark.long
def test_windows_the_agent_and_the_magic_stay_in_step(live_lab):
    page = live_lab(SLIDER, READER, "%marimo set e 8", own_page=True)
    page.run(0)
    page.run(1)
    expect_live(page, 0)
    page.save()
    with page.another_window() as other:
        for window, key, value in (
            (other, "ArrowRight", "4"),
            (page, "ArrowRight", "5"),
            (other, "ArrowLeft", "4"),
        ):
            window.page.bring_to_front()
            window.outputs(0).locator(THUMB).press(key)
            for one in (page, other):
                expect(one.outputs(0).locator(THUMB)).to_have_attribute("aria-valuenow", value)
                expect(one.outputs(1)).to_have_text([f"value {value}"])
        page.page.bring_to_front()
        page.run(2)
        for one in (page, other):
            expect(one.outputs(0).locator(THUMB)).to_have_attribute("aria-valuenow", "8")
            expect(one.outputs(1)).to_have_text(["value 8"])


@pytest.mark.long
def test_a_file_of_one_window_is_in_the_other_which_takes_it_away(live_lab):
    page = live_lab(
        "import marimo as mo\ne = mo.ui.file(multiple=True)\ne",
        "print('value', [(f.name, f.contents) for f in e.value])",
        own_page=True,
    )
    page.run_all()
    expect_live(page, 0)
    page.save()
    with page.another_window() as other:
        expect_live(other, 0)
        file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
        live(page, 0).locator("input[type=file]").set_input_files(file)
        for one in (page, other):
            expect(one.outputs(1)).to_have_text(["value [('a.txt', b'hello')]"])
            expect(live(one, 0)).to_contain_text("Uploaded 1 file.")
        live(other, 0).get_by_role("button", name="clear").click()
        for one in (page, other):
            expect(one.outputs(1)).to_have_text(["value []"])
            expect(live(one, 0)).not_to_contain_text("Uploaded")


@pytest.mark.long
def test_a_reload_keeps_the_value_and_a_restart_the_static_form(live_lab):
    page = live_lab(SLIDER, READER, own_page=True, kernel="marimo")
    page.run_all()
    page.outputs(0).locator(THUMB).press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 4"])
    page.save()
    page.reload()
    thumb = page.outputs(0).locator(THUMB)
    expect(thumb).to_have_attribute("aria-valuenow", "4")
    thumb.press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 5"])
    page.restart()
    expect(live(page, 0)).to_have_count(0)
    expect(page.outputs(0)).to_contain_text(["slider"])
    page.run_all()
    expect(page.outputs(0).locator(THUMB)).to_have_attribute("aria-valuenow", "3")


@pytest.mark.long
def test_a_drag_goes_on_while_dependents_run(live_lab):
    page = live_lab(
        "import marimo as mo\ne = mo.ui.slider(0, 100, full_width=True)\ne",
        "import time\ntime.sleep(0.3)\nvalue = e.value\nprint('value', value)",
        "print('below', value)",
        "print('beside', e.value)",
    )
    page.run_all()
    thumb = page.outputs(0).locator(THUMB)
    box = thumb.bounding_box()
    assert box is not None
    mouse = page.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    for step in range(30):
        mouse.move(box["x"] + 10 * step, box["y"] + 5)
        page.page.wait_for_timeout(60)
    expect(page.outputs(2)).not_to_have_text(["below 0"], timeout=100)
    mouse.up()
    value = thumb.get_attribute("aria-valuenow")
    assert value is not None
    assert int(value) > 20
    for number, reader in enumerate(("value", "below", "beside"), 1):
        expect(page.outputs(number)).to_have_text([f"{reader} {value}"])


# Where each cell is, as the page is scrolled: what is below a reader, by where the reader is.
PLACES = """
  const cells = [...document.querySelectorAll('.jp-NotebookPanel .jp-Notebook-cell')];
  const places = () => cells.map(cell => Math.round(cell.getBoundingClientRect().top - cells[2].getBoundingClientRect().top));
"""
# Waits for 60 frames in which what is below the reader has stayed where it is, and no height is kept.
REST = f"""async () => {{
  {PLACES}
  for (let steady = 0, last; steady < 60; steady++) {{
    await new Promise(requestAnimationFrame);
    const [place] = places().slice(-1);
    if (place !== last || cells[2].querySelector('.jp-Cell-outputWrapper').style.minHeight) steady = 0;
    last = place;
  }}
}}"""
NOTE_PLACES = f"""() => {{
  {PLACES}
  window.places = [];
  const note = () => {{
    if (!cells[2].isConnected) return;  // of a notebook that is closed
    window.places.push(places());
    requestAnimationFrame(note);
  }};
  note();
}}"""


@pytest.mark.long
@pytest.mark.parametrize(
    "reader",
    [
        "fig, ax = plt.subplots(figsize=(5, 3)); ax.plot([0, e.value]); ax",
        "mo.ui.table([{'n': e.value}] * 20)",
    ],
    ids=["figure", "table"],
)
def test_what_is_below_a_reader_does_not_jump_while_a_slider_is_dragged(live_lab, reader):
    page = live_lab(
        "import marimo as mo\nimport matplotlib.pyplot as plt",
        "e = mo.ui.slider(1, 60)\ne",
        reader,
        "print('below', e.value)",
    )
    page.run_all()
    thumb = expect_live(page, 1).get_by_role("slider")
    expect(page.outputs(3)).to_have_text(["below 1"])
    thumb.press("ArrowRight")  # the first outputs may still grow
    expect(page.outputs(3)).to_have_text(["below 2"])
    if "table" in reader:
        expect_live(page, 2)
    page.page.evaluate(REST)
    page.page.evaluate(NOTE_PLACES)
    for _ in range(15):
        thumb.press("ArrowRight")
        page.page.wait_for_timeout(100)
    expect(page.outputs(3)).to_have_text(["below 17"])
    places = page.page.evaluate("window.places")
    below = [place for *_, place in places]
    # px: a figure is of another height with other numbers at its axes.
    assert max(below) - min(below) < 20, sorted(set(map(tuple, places)))
