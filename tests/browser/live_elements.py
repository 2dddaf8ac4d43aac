"""How a person uses each of marimo's elements: the cell that shows it, the gesture, and what its reader then prints.

`e` is the element. A gesture gets Playwright's locator of the output; the locators reach into shadow roots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

READER = "print('value', e.value)"


@dataclass(frozen=True)
class Element:
    """`code` is the right side of `e = ...`; `then` is what `READER` prints after `use`, or another reader does."""

    code: str
    use: Callable[[Locator], None]
    then: str
    reader: str = READER
    setup: str = "import marimo as mo"


def key(role: str, name: str, count: int = 1) -> Callable[[Locator], None]:
    def press(output: Locator) -> None:
        thumb = output.get_by_role(role).first  # type: ignore[arg-type]  # one of Playwright's literals
        thumb.focus()
        for _ in range(count):
            thumb.press(name)

    return press


def click(selector: str, *more: str) -> Callable[[Locator], None]:
    def act(output: Locator) -> None:
        for one in (selector, *more):
            output.locator(one).first.click()

    return act


def typed(selector: str, text: str, *, leave: str = "Tab") -> Callable[[Locator], None]:
    def act(output: Locator) -> None:
        field = output.locator(selector).first
        field.click()
        field.press("ControlOrMeta+A")
        output.page.keyboard.type(text, delay=20)
        output.page.keyboard.press(leave)

    return act


def _chosen(output: Locator) -> None:
    output.locator("select").select_option(label="b")


def _several(output: Locator) -> None:
    output.get_by_role("combobox").or_(output.locator("button")).first.click()
    output.get_by_role("option", name="b").click()
    output.page.keyboard.press("Escape")


def _uploaded(output: Locator) -> None:
    output.locator("input[type=file]").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )


def _submitted(output: Locator) -> None:
    typed("input", "dd")(output)
    output.get_by_role("button", name="Submit").click()


def _day(output: Locator) -> None:
    day = output.get_by_role("spinbutton", name="day").first
    day.focus()
    day.press("ArrowUp")
    day.press("Tab")


def _dragged(area: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over an area, from and to fractions of its width and height, once it lies still with nothing over it."""
    expect(area).to_be_visible()
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    area.hover(position={"x": box["width"] * start[0], "y": box["height"] * start[1]})
    box = area.bounding_box()  # it may have moved until then
    assert box is not None
    mouse = area.page.mouse
    mouse.down()
    mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=8)
    mouse.up()


def _brushed(output: Locator) -> None:
    _dragged(output.locator("canvas").first, (0.2, 0.1), (0.7, 0.6))


def _boxed(output: Locator) -> None:
    expect(output.locator(".nsewdrag").first).to_be_visible()
    select = output.locator(".modebar-btn[data-val=select]").first
    select.click()
    expect(select).to_have_class(re.compile(r"\bactive\b"))  # until then, a drag zooms
    _dragged(output.locator(".nsewdrag").first, (0.01, 0.01), (0.5, 0.99))


def _row(output: Locator) -> None:
    output.locator("tbody [role=checkbox]").nth(1).click()


ANYWIDGET = '''import anywidget, traitlets
import marimo as mo
class Counter(anywidget.AnyWidget):
    _esm = """export default {render({model, el}) { const b = document.createElement("button"); b.textContent = "count";
      b.onclick = () => { model.set("n", model.get("n") + 1); model.save_changes(); }; el.append(b); }}"""
    n = traitlets.Int(0).tag(sync=True)'''
FRAME = "import marimo as mo\nimport pandas as pd\nframe = pd.DataFrame({'n': range(30), 'letter': list('abc') * 10})"

OF_JUPYTER = "anywidget"
"""The element that Jupyter's own widget manager shows."""

ELEMENTS = {
    "slider": Element("mo.ui.slider(1, 9, value=3)", key("slider", "ArrowRight", 2), "value 5"),
    "range_slider": Element(
        "mo.ui.range_slider(1, 9, value=[3, 6])", key("slider", "ArrowRight"), "value [4, 6]"
    ),
    "number": Element("mo.ui.number(0, 50, value=3)", typed("input", "12"), "value 12"),
    "text": Element("mo.ui.text()", typed("input", "dd"), "value dd"),
    "text_area": Element("mo.ui.text_area()", typed("textarea", "dd"), "value dd"),
    "dropdown": Element("mo.ui.dropdown(['a', 'b'])", _chosen, "value b"),
    "multiselect": Element("mo.ui.multiselect(['a', 'b'])", _several, "value ['b']"),
    "radio": Element("mo.ui.radio(['a', 'b'])", click("[role=radio] >> nth=1"), "value b"),
    "checkbox": Element("mo.ui.checkbox()", click("[role=checkbox]"), "value True"),
    "switch": Element("mo.ui.switch()", click("[role=switch]"), "value True"),
    "date": Element("mo.ui.date(value='2026-02-03')", _day, "value 2026-02-04"),
    "datetime": Element("mo.ui.datetime(value='2026-02-03T10:00')", _day, "value 2026-02-04 10:00:00"),
    "date_range": Element(
        "mo.ui.date_range(value=('2026-02-03', '2026-02-09'))",
        _day,
        "value (datetime.date(2026, 2, 4), datetime.date(2026, 2, 9))",
    ),
    "button": Element("mo.ui.button(value=0, on_click=lambda n: n + 1)", click("button"), "value 1"),
    "run_button": Element("mo.ui.run_button()", click("button"), "value True"),
    "file": Element(
        "mo.ui.file()", _uploaded, "value [b'hello']", "print('value', [f.contents for f in e.value])"
    ),
    "code_editor": Element("mo.ui.code_editor()", typed(".cm-content", "dd"), "value dd"),
    "form": Element("mo.ui.text().form()", _submitted, "value dd"),
    "batch": Element(
        "mo.md('{a}').batch(a=mo.ui.slider(1, 9))", key("slider", "ArrowRight"), "value {'a': 2}"
    ),
    "array": Element("mo.ui.array([mo.ui.slider(1, 9)])", key("slider", "ArrowRight"), "value [2]"),
    "dictionary": Element(
        "mo.ui.dictionary({'a': mo.ui.slider(1, 9)})", key("slider", "ArrowRight"), "value {'a': 2}"
    ),
    "tabs": Element(
        "mo.ui.tabs({'one': 'first', 'two': 'second'})", click("[role=tab] >> nth=1"), "value two"
    ),
    "table": Element("mo.ui.table(frame)", _row, "value 1", "print('value', *e.value.n)", FRAME),
    "altair_chart": Element(
        "mo.ui.altair_chart(alt.Chart(frame).mark_point().encode(x='n', y='n').properties(width=250, height=200))",
        _brushed,
        "value some",
        "print('value', 'some' if 0 < len(e.value) < 30 else len(e.value))",
        FRAME + "\nimport altair as alt",
    ),
    "plotly": Element(
        "mo.ui.plotly(px.scatter(frame, x='n', y='n', height=300))",
        _boxed,
        "value some",
        "print('value', 'some' if 0 < len(e.value) < 30 else len(e.value))",
        FRAME + "\nimport plotly.express as px",
    ),
    OF_JUPYTER: Element(
        "mo.ui.anywidget(Counter())", click("button"), "value 1", "print('value', e.value['n'])", ANYWIDGET
    ),
}
