"""Values of marimo's own elements on pages: what a person sets there, and what others set."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire

if TYPE_CHECKING:
    from tests.unit.kernel.live.live_page import LivePage
    from tests.unit.kernel.notebook_in_memory import FrontEnd

pytestmark = pytest.mark.usefixtures("from_now_on")

# The name of a cell, an element, and what marimo's front end sends for it: the values that its readers see before and after.
ELEMENTS: dict[str, tuple[str, Any, str, str]] = {
    "slider": ("mo.ui.slider(1, 9)", 5, "1", "5"),
    "slider with steps": ("mo.ui.slider(steps=[1, 10, 100])", 2, "1", "100"),
    "range_slider": ("mo.ui.range_slider(1, 9)", [2, 4], "[1, 9]", "[2, 4]"),
    "number": ("mo.ui.number(1, 9)", 3.5, "1", "3.5"),
    "text": ("mo.ui.text()", "Ωß", "''", "'Ωß'"),
    "text_area": ("mo.ui.text_area()", "a\nb", "''", r"'a\nb'"),
    "code_editor": ("mo.ui.code_editor('x')", "y", "'x'", "'y'"),
    "dropdown": ("mo.ui.dropdown({'one': 1, 'two': 2})", ["two"], "None", "2"),
    "multiselect": ("mo.ui.multiselect(['a', 'b'])", ["b", "a"], "[]", "['b', 'a']"),
    "radio": ("mo.ui.radio(['a', 'b'])", "b", "None", "'b'"),
    "checkbox": ("mo.ui.checkbox()", True, "False", "True"),
    "switch": ("mo.ui.switch()", True, "False", "True"),
    "date": (
        "mo.ui.date('2026-01-01')",
        "2026-02-03",
        "datetime.date(2026, 1, 1)",
        "datetime.date(2026, 2, 3)",
    ),
    "button": ("mo.ui.button(value=0, on_click=lambda n: n + 1)", 1, "0", "1"),
    "refresh": ("mo.ui.refresh()", "1s (2)", "''", "'1s (2)'"),
    "file": ("mo.ui.file()", [["a.txt", "YWI="]], "()", "(FileUploadResults(name='a.txt', contents=...),)"),
    "array": ("mo.ui.array([mo.ui.slider(1, 9), mo.ui.text()])", {"0": 4}, "[1, '']", "[4, '']"),
    "dictionary": ("mo.ui.dictionary({'a': mo.ui.switch()})", {"a": True}, "{'a': False}", "{'a': True}"),
    "batch": ("mo.md('{a}').batch(a=mo.ui.text())", {"a": "x"}, "{'a': ''}", "{'a': 'x'}"),
    "form": ("mo.ui.text().form()", "sent", "None", "'sent'"),
    "tabs": ("mo.ui.tabs({'A': '1', 'B': '2'})", "1", "'A'", "'B'"),
    "table": ("mo.ui.table([{'n': 7}, {'n': 8}])", ["1"], "[]", "[{'n': 8}]"),
}


@pytest.fixture
def shown(notebook: FrontEnd) -> str:
    """The name of a slider's cell, which another cell reads."""
    assert notebook.run("slider", "size = mo.ui.slider(1, 9, label='Size')\nsize").ok
    assert notebook.run("reader", "print('size', size.value)").ok
    return "slider"


@pytest.mark.parametrize("name", ELEMENTS)
def test_a_value_from_a_page_runs_the_readers(notebook: FrontEnd, page: LivePage, name: str) -> None:
    code, value, before, after = ELEMENTS[name]
    assert notebook.run("element", f"element = {code}\nelement").ok
    assert notebook.run("of element", "print(repr(element.value))").ok
    assert notebook.text("of element") == before
    page.set({page.ids("element")[0]: value})
    assert notebook.text("of element") == after


def test_the_page_that_sets_an_element_is_not_told_and_nothing_is_drawn_anew(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    (element,) = page.ids(shown)
    before = notebook.outputs(shown)
    page.set({element: 5})
    assert page.updates() == [(f"{page.key}~{element}", 5, page.name)]
    assert notebook.outputs(shown) == before
    (static,) = page.heard("static")
    assert static["out"] == page.out(shown)
    assert static["data"]["text/plain"].startswith("Size: 5 (slider")
    assert notebook.text("reader") == "size 5"


@pytest.mark.parametrize("by", ["magic", "agent"])
def test_pages_show_what_others_set(notebook: FrontEnd, page: LivePage, shown: str, by: str) -> None:
    (element,) = page.ids(shown)
    before = notebook.outputs(shown)
    if by == "magic":
        assert notebook.run("magic", "%marimo set size 7").ok
    else:
        notebook.ask(wire.SetUiValue(ui_element="size", value=7, client="claude"), "shell")
    page.settle()
    assert page.updates() == [(f"{page.key}~{element}", 7, "")]
    assert notebook.outputs(shown) == before
    assert "Size: 7" in page.heard("static")[-1]["data"]["text/plain"]


def test_a_file_goes_to_other_pages_whole_and_into_no_saved_form(
    notebook: FrontEnd, page: LivePage, other: LivePage
) -> None:
    """Any page may send it again, with what is beside it in a form."""
    assert notebook.run("files", "files = mo.ui.file(multiple=True)\nfiles").ok
    assert notebook.run(
        "of files", "print([(f.name, len(f.contents), f.contents[:3]) for f in files.value])"
    ).ok
    (element,) = page.ids("files")
    large = base64.b64encode(b"abc" * 500_000).decode()
    page.set({element: [["a.bin", large]]})
    ((_, told, but),) = other.updates()
    assert (told, but) == ([["a.bin", large]], page.name)
    other.set({element: [*told, ["b.txt", "eHl6"]]})
    assert notebook.text("of files") == "[('a.bin', 1500000, b'abc'), ('b.txt', 3, b'xyz')]"
    assert page.updates()[-1][1] == [["a.bin", large], ["b.txt", "eHl6"]]
    form = str(page.heard("static")[-1]["data"])
    assert "b.txt" in form
    assert "YWJj" not in form
    assert len(form) < 2_000


def test_a_value_that_comes_in_parts_counts_once_all_are_there(
    notebook: FrontEnd, page: LivePage, other: LivePage, shown: str
) -> None:
    """In any order, beside those of another page, and after one that a page never finished."""

    def parts(value: int) -> list[str]:
        text = json.dumps({"type": "set", "page": page.name, "values": [[page.ids(shown)[0], value]]})
        return [text[:20], text[20:40], text[40:]]

    def say(of: LivePage, whole: str, index: int, text: str) -> None:
        of.say(type="part", whole=whole, index=index, count=3, text=text)

    for abandoned in ("1", "2", "3"):
        say(page, abandoned, 0, parts(9)[0])
    for index in (2, 0):
        say(page, "4", index, parts(4)[index])
        say(other, "4", index, parts(6)[index])
    page.settle()
    assert notebook.text("reader") == "size 1"
    say(page, "4", 1, parts(4)[1])
    page.settle()
    assert notebook.text("reader") == "size 4"
    say(other, "4", 1, parts(6)[1])
    page.settle()
    assert notebook.text("reader") == "size 6"


def test_what_an_agent_reads_of_a_cell_has_the_present_value(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    page.set({page.ids(shown)[0]: 6})
    cell = notebook.cells()[shown]
    entry = page.front_end.kernel.kernel.notebook.cells[cell.cell_id]
    assert "Size: 6" in entry.log.outputs()[0]["data"]["text/plain"]


def test_a_page_that_comes_later_gets_the_present_value_and_the_form_to_save(
    page: LivePage, other: LivePage, shown: str
) -> None:
    (element,) = page.ids(shown)
    page.set({element: 4})
    other.forget()
    answer = other.ask(type="get", req="later", out=page.out(shown))
    assert answer["values"] == {f"{page.key}~{element}": 4}
    (static,) = other.heard("static")
    assert "Size: 4" in static["data"]["text/plain"]


def test_elements_inside_others_are_told_with_them(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("outer", "outer = mo.ui.array([mo.ui.slider(1, 9), mo.ui.slider(1, 9)])\nouter").ok
    whole, first, second = page.ids("outer")
    assert notebook.run("magic", "%marimo set outer [2, 3]").ok
    page.settle()
    told = {element.partition("~")[2]: value for element, value, _ in page.updates()}
    assert told == {whole: {"0": 2, "1": 3}, first: 2, second: 3}


def test_an_element_inside_another_sets_that(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("outer", "outer = mo.ui.array([mo.ui.slider(1, 9), mo.ui.slider(1, 9)])\nouter").ok
    assert notebook.run("of outer", "print(outer.value)").ok
    page.set({page.ids("outer")[2]: 8})
    assert notebook.text("of outer") == "[1, 8]"


def test_a_run_button_is_pressed_for_one_run(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("button", "button = mo.ui.run_button()\nbutton").ok
    assert notebook.run("pressed", "print('pressed', button.value)").ok
    page.set({page.ids("button")[0]: 1})
    assert notebook.text("pressed") == "pressed True"
    assert notebook.run("again", "print(button.value)").ok
    assert notebook.text("again") == "False"


def test_of_values_that_wait_for_one_element_the_last_counts(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    assert notebook.run("count", "seen = []").ok
    assert notebook.run("reader", "seen.append(size.value)").ok
    (element,) = page.ids(shown)
    for value in (2, 3, 4, 5, 6, 7, 8):
        page.say(type="set", values=[(element, value)], wait=False)
    page.settle()
    assert notebook.run("seen", "print(seen)").ok
    assert notebook.text("seen") == "[1, 8]"


@pytest.mark.parametrize(
    ("code", "values", "shown"),
    [
        ("mo.ui.button(value=0, on_click=lambda n: n + 1)", (1, 2, 3), "3"),
        ("mo.ui.array([mo.ui.slider(1, 9)] * 2)", ({"0": 4}, {"1": 5}), "[4, 5]"),
        (
            "mo.ui.dictionary({'a': mo.ui.text(), 'b': mo.ui.text()})",
            ({"a": "x"}, {"b": "y"}),
            "{'a': 'x', 'b': 'y'}",
        ),
        ("mo.ui.array([mo.ui.button(value=0, on_click=lambda n: n + 1)])", ({"0": 1}, {"0": 2}), "[2]"),
        (
            "mo.md('{a} {b}').batch(a=mo.ui.text(), b=mo.ui.text())",
            ({"a": "x"}, {"b": "y"}),
            "{'a': 'x', 'b': 'y'}",
        ),
    ],
    ids=["presses", "array", "dictionary", "presses in an array", "batch"],
)
def test_values_that_add_to_those_that_wait_for_an_element_all_count(
    notebook: FrontEnd, page: LivePage, code: str, values: tuple[Any, ...], shown: str
) -> None:
    assert notebook.run("element", f"element = {code}\nelement").ok
    assert notebook.run("of element", "print(element.value)").ok
    (element, *_) = page.ids("element")
    for value in values:
        page.say(type="set", values=[(element, value)], wait=False)
    page.settle()
    assert notebook.text("of element") == shown


def test_a_cell_that_runs_anew_takes_its_elements_from_the_pages(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    (element,) = page.ids(shown)
    page.set({element: 5})
    page.forget()
    assert notebook.run(shown, "size = mo.ui.slider(1, 9, label='Size')\nsize").ok
    cell = notebook.cells()[shown].cell_id
    assert [data["cell_id"] for op, data, _ in page.notifications() if op == "remove-ui-elements"] == [
        f"{page.key}~{cell}"
    ]
    assert page.get(shown)["values"] == {f"{page.key}~{element}": 1}


def test_a_cell_without_elements_takes_none_from_the_pages(notebook: FrontEnd, page: LivePage) -> None:
    for _ in range(2):
        assert notebook.run("plain", "1 + 1").ok
    assert page.notifications() == []


def test_a_value_for_an_element_that_is_gone_is_ignored(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    page.set({"gone-0": 5, page.ids(shown)[0]: 3})
    assert notebook.text("reader") == "size 3"


def test_a_value_that_an_element_cannot_have_changes_nothing(
    notebook: FrontEnd, page: LivePage, shown: str
) -> None:
    page.set({page.ids(shown)[0]: {"no": "number"}})
    assert notebook.text("reader").startswith("size 1\nAn exception was raised by a UIElement's")
    page.set({page.ids(shown)[0]: 2})
    assert notebook.text("reader") == "size 2"


def test_each_of_two_elements_with_one_name_runs_its_own_readers(notebook: FrontEnd, page: LivePage) -> None:
    notebook.run("above", "from IPython.display import HTML\namount = mo.ui.slider(1, 9)\nHTML(f'{amount}')")
    notebook.run("reads above", "print(amount.value)")
    notebook.run("below", "amount = mo.ui.slider(1, 9, value=2)\nHTML(f'{amount}')")
    notebook.run("reads below", "print(amount.value)")
    for cell, value, shown in (("above", 5, ["5", "2"]), ("below", 7, ["5", "7"]), ("above", 6, ["6", "7"])):
        page.set({page.ids(cell)[0]: value})
        assert [notebook.text("reads above"), notebook.text("reads below")] == shown
