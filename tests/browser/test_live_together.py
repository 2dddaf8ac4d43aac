"""marimo's elements together, in each other and in what other objects show, in one JupyterLab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from live_elements import FRAME, click, key, typed
from live_page import expect_live, live
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab_page import LabPage
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.browser, pytest.mark.long]

MO = "import marimo as mo\n"
PERSON = 50  # ms from key to key. A grid takes the last letter over after its field shows it, and drops it if Enter comes before.
RIGHT = key("slider", "ArrowRight")
LOST = """async () => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  await kernel.reconnect();
  if (kernel.status !== 'unknown') throw new Error(`Lab knows by itself that it is ${kernel.status}`);
}"""


@dataclass(frozen=True)
class Story:
    """`code` is the first cell; then what `read` prints in the second one after `acts` in the first one's output."""

    code: str
    read: str
    acts: tuple[Callable[[Locator], None], ...]
    then: str


def _nth(selector: str, number: int) -> Callable[[Locator], None]:
    return click(f"{selector} >> nth={number}")


def _upload(size: int) -> Callable[[Locator], None]:
    def act(output: Locator) -> None:
        file = {"name": "<b>large</b>.bin", "mimeType": "application/octet-stream", "buffer": b"x" * size}
        output.locator("input[type=file]").set_input_files(file, timeout=120_000)

    return act


def _refused(output: Locator) -> None:
    typed("input", "bad")(output)
    output.get_by_role("button", name="Submit").click()
    expect(output.locator("[data-vscode-output-container]")).to_contain_text("not that")
    typed("input", "fine")(output)
    output.get_by_role("button", name="Submit").click()
    expect(output.locator("input").first).to_have_value("")


def _said(output: Locator) -> None:
    output.locator("[contenteditable=true], textarea").first.click()
    output.page.keyboard.type("dd")
    output.page.keyboard.press("Enter")


def _cell_up(output: Locator) -> None:
    cell = output.locator("marimo-matrix").locator("[role=spinbutton], input, td").first
    cell.focus()
    cell.press("ArrowUp")


def _choose_cell(output: Locator) -> None:
    """Click on a cell of a grid once it is drawn, which it tells in the table that it has for screen readers."""
    cells = output.locator("[role=gridcell]")
    expect(cells.first).to_be_attached()
    output.locator(".dvn-scroller").first.click(position={"x": 60, "y": 55})  # it lies over the canvas
    expect(output.locator("[role=gridcell][aria-selected=true]")).to_have_count(1)
    expect(output.locator("[data-testid=data-grid-canvas]")).to_be_focused()


def _cell_typed(output: Locator) -> None:
    _choose_cell(output)
    keyboard = output.page.keyboard
    keyboard.type("4")
    field = output.page.locator("[data-testid=glide-data-editor-portal] textarea")
    expect(field).to_be_focused()
    expect(field).to_have_css("resize", "none")  # it has marimo's styles
    keyboard.type("2")
    expect(field).to_have_value("42")
    output.page.wait_for_timeout(PERSON)
    keyboard.press("Enter")


def _cell_opened(output: Locator) -> None:
    _choose_cell(output)
    keyboard = output.page.keyboard
    field = output.page.locator("[data-testid=glide-data-editor-portal] textarea")
    keyboard.press("Enter")
    expect(field).to_be_focused()
    keyboard.press("ControlOrMeta+A")
    keyboard.type("7")
    expect(field).to_have_value("7")
    output.page.wait_for_timeout(PERSON)
    keyboard.press("Enter")


def _both_show(value: str) -> Callable[[Locator], None]:
    def look(output: Locator) -> None:
        expect(output.get_by_role("slider")).to_have_count(2)
        for slider in output.get_by_role("slider").all():
            expect(slider).to_have_attribute("aria-valuenow", value)

    return look


STORIES = {
    "a batch in a form in tabs": Story(
        "form = mo.md('{a} {b}').batch(a=mo.ui.slider(1, 9), b=mo.ui.text()).form()\n"
        "e = mo.ui.tabs({'one': form, 'two': 'x'})\ne",
        "e.value, form.value",
        (RIGHT, typed("input", "dd"), click("button:has-text('Submit')"), _nth("[role=tab]", 1)),
        "two {'a': 2, 'b': 'dd'}",
    ),
    "an array of dictionaries": Story(
        "e = mo.ui.array([mo.ui.dictionary({'x': mo.ui.slider(1, 9), 'y': mo.ui.checkbox()}) for _ in 'ab'])\ne",
        "e.value[1]",
        (_nth("[role=checkbox]", 1),),
        "{'x': 1, 'y': True}",
    ),
    "a form that refuses and is emptied": Story(
        "e = mo.ui.text().form(clear_on_submit=True, validate=lambda v: 'not that' if v == 'bad' else None)\ne",
        "e.value",
        (_refused,),
        "fine",
    ),
    "a file larger than a message": Story(
        "e = mo.ui.file()\ne",
        "*((f.name, len(f.contents)) for f in e.value)",
        (_upload(12_000_000),),
        "('<b>large</b>.bin', 12000000)",
    ),
    "in the HTML of another object": Story(
        "from IPython.display import HTML\ne = mo.ui.slider(1, 9)\nHTML(f'<p>of size {e}</p>')",
        "e.value",
        (RIGHT,),
        "2",
    ),
    "a slider that sets state": Story(
        "get, put = mo.state(0)\ne = mo.ui.slider(1, 9, on_change=put)\ne", "get()", (RIGHT,), "2"
    ),
    "a chat": Story(
        "async def answer(messages, config):\n    for piece in ('echo ', messages[-1].content): yield piece\n"
        "e = mo.ui.chat(answer)\ne",
        "[message.content for message in e.value]",
        (_said,),
        "['dd', 'echo dd']",
    ),
    "a matrix": Story(
        "e = mo.ui.matrix([[1, 2], [3, 4]])\ne",
        "e.value",
        (_cell_up,),
        "[[2, 2], [3, 4]]",
    ),
    "a cell of a data editor": Story(
        f"{FRAME}\ne = mo.ui.data_editor(frame.head(3))\ne", "list(e.value.n)", (_cell_typed,), "[42, 1, 2]"
    ),
    "a cell of a data editor that is opened by Enter": Story(
        f"{FRAME}\ne = mo.ui.data_editor(frame.head(3))\ne", "list(e.value.n)", (_cell_opened,), "[7, 1, 2]"
    ),
    "in Markdown, twice": Story(
        "e = mo.ui.slider(1, 9)\nmo.md(f'# Size\\n\\n- {e}\\n\\n| a | $x^2$ |\\n|---|---|\\n| {e} | b |')",
        "e.value",
        (RIGHT, _both_show("2")),
        "2",
    ),
    "made in a function": Story(
        "def make(label): return mo.ui.slider(1, 9, label=label)\ne = make('a')\nmo.hstack([e, make('b')])",
        "e.value",
        (RIGHT,),
        "2",
    ),
    "in an accordion in tabs": Story(
        "e = mo.ui.slider(1, 9)\nmo.ui.tabs({'x': mo.md('first'), 'y': mo.accordion({'more': e})})",
        "e.value",
        (_nth("[role=tab]", 1), click("button:has-text('more')"), RIGHT),
        "2",
    ),
    "shown twice by one cell": Story(
        "from IPython.display import display\ne = mo.ui.slider(1, 9)\ndisplay(e)\nmo.callout(e)",
        "e.value",
        (RIGHT,),
        "2",
    ),
    "forms in a dictionary": Story(
        "e = mo.ui.dictionary({'x': mo.ui.text().form(), 'y': mo.ui.number(0, 9).form()})\ne",
        "e.value",
        (typed("input", "dd"), click("button:has-text('Submit')")),
        "{'x': 'dd', 'y': None}",
    ),
    "buttons in an array": Story(
        "e = mo.ui.array([mo.ui.button(value=0, on_click=lambda n: n + 1)] * 2)\ne",
        "e.value",
        (_nth("button:has-text('click here')", 1),) * 2,
        "[0, 2]",
    ),
    "in a tree, a callout and a stack": Story(
        "e = mo.ui.slider(1, 9)\nmo.vstack([mo.callout(mo.tree({'a': [e]}))])", "e.value", (RIGHT,), "2"
    ),
    "in a cell of a table": Story(
        "e = mo.ui.slider(1, 9)\nmo.ui.table([{'name': 'x', 'size': e}])", "e.value", (RIGHT,), "2"
    ),
    "the first of routes": Story(
        "e = mo.ui.slider(1, 9)\nmo.routes({'#/': mo.md(f'first {e}'), '#/b': mo.md('second')})",
        "e.value",
        (RIGHT,),
        "2",
    ),
    "a sidebar": Story("e = mo.ui.slider(1, 9)\nmo.sidebar([e])", "e.value", (RIGHT,), "2"),
    "in lazy content of a coroutine": Story(
        "e = mo.ui.slider(1, 9)\nasync def make(): return e\nmo.lazy(make)", "e.value", (RIGHT,), "2"
    ),
}


@pytest.mark.parametrize("name", STORIES, ids=lambda name: name.replace(" ", "_"))
def test_elements_in_others_act_and_their_reader_follows(live_lab: Callable[..., LabPage], name: str) -> None:
    story = STORIES[name]
    page = live_lab(MO + story.code, f"print('value', {story.read})")
    page.run_all()
    expect_live(page, 0)
    for act in story.acts:
        act(page.outputs(0))
    expect(page.outputs(1)).to_have_text([f"value {story.then}"])
    assert page.console == []
    assert page.page_errors == []


def test_an_element_in_two_cells_moves_in_both(live_lab: Callable[..., LabPage]) -> None:
    page = live_lab(f"{MO}e = mo.ui.slider(1, 9)\ne", "mo.vstack([e])", "print('value', e.value)")
    page.run_all()
    for cell, value in ((0, "2"), (1, "3")):
        expect_live(page, cell)
        RIGHT(page.outputs(cell))
        expect(page.outputs(2)).to_have_text([f"value {value}"])
        for one in (0, 1):
            expect(live(page, one).get_by_role("slider")).to_have_attribute("aria-valuenow", value)


def test_after_a_lost_connection_the_toolbar_shows_the_kernels_status(
    live_lab: Callable[..., LabPage],
) -> None:
    page = live_lab("print('ran')")
    page.run_all()
    expect(page.outputs(0)).to_have_text(["ran"])
    page.page.evaluate(LOST)
    page.expect_status("idle")
