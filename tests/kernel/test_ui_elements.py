"""UI elements and widgets as an agent sees them: which there are, what they take, and what setting a widget does."""

import pytest
from front_end import FrontEnd

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.inspection import UiElement
from marimo_kernel_bridge.protocol.notebook import RunReport

MARIMO = [
    ("mo.ui.slider(0, 10, 2)", "a number from 0 to 10 in steps of 2"),
    ("mo.ui.slider(steps=[1, 10])", "one of 1, 10"),
    ("mo.ui.range_slider(1, 9)", "two of: a number from 1 to 9"),
    ("mo.ui.number(1, None)", "a number from 1"),
    ("mo.ui.text(max_length=5)", "text of at most 5 characters"),
    ("mo.ui.switch()", "true or false"),
    ("mo.ui.dropdown({'one': 1, 'two': 2})", "one of 'one', 'two'"),
    ("mo.ui.multiselect(['a', 'b'])", "a list of 'a', 'b'"),
    ("mo.ui.run_button()", "true, which is a click"),
    ("mo.ui.date(start='2026-01-01', stop='2026-12-31')", "an ISO date from 2026-01-01 to 2026-12-31"),
    ("mo.ui.date_range()", "two ISO dates"),
    ("mo.ui.table([{'a': 1}, {'a': 2}])", "a list of row numbers, 0 to 1"),
    ("mo.ui.tabs({'x': 'y'})", "one of 'x'"),
    ("mo.ui.array([mo.ui.switch()])", "an object with any of: 0: true or false"),
    ("mo.ui.text().form()", "text, submitted at once"),
    ("mo.ui.refresh()", ""),
]

# What makes a widget, what it takes, a value, the code that tells its value then, and that.
SETTABLE = [
    ("ipywidgets.IntSlider(1, 0, 9)", "a number from 0 to 9 in steps of 1", 4, "w.value", "4"),
    ("ipywidgets.FloatText()", "a number", 2.5, "w.value", "2.5"),
    ("ipywidgets.IntRangeSlider()", "two numbers from 0 to 100 in steps of 1", [2, 7], "w.value", "(2, 7)"),
    ("ipywidgets.Checkbox()", "true or false", True, "w.value", "True"),
    ("ipywidgets.Text()", "text", "hello", "w.value", "'hello'"),
    ("ipywidgets.Dropdown(options=[('one', 1), ('two', 2)])", "one of 'one', 'two'", "two", "w.value", "2"),
    ("ipywidgets.Dropdown(options=[('one', 1), ('two', 2)])", "one of 'one', 'two'", 2, "w.label", "'two'"),
    ("ipywidgets.SelectMultiple(options='abc')", "a list of 'a', 'b', 'c'", ["a", "c"], "w.value", "('a', 'c')"),
    ("ipywidgets.DatePicker()", "an ISO date", "2026-05-01", "w.value", "datetime.date(2026, 5, 1)"),
    ("Counter()", "an object with any of: count", {"count": 3}, "w.count", "3"),
]  # fmt: skip

REFUSED = [
    ("ipywidgets.IntSlider(1, 0, 9)", 10, "takes numbers from 0 to 9, not 10"),
    ("ipywidgets.IntSlider()", "much", "does not take 'much'"),
    ("ipywidgets.Dropdown(options=['a'])", "b", "has no option 'b'"),
    ("ipywidgets.SelectMultiple(options='abc')", "a", "takes a list"),
    ("ipywidgets.DatePicker()", "soon", "takes an ISO date"),
    ("ipywidgets.Button()", False, "can be clicked"),
    ("Counter()", {"cuont": 1}, "has no trait 'cuont'"),
    ("Counter()", 1, "takes values by trait"),
]

COUNTER = """
class Counter(anywidget.AnyWidget):
    _esm = 'export default {}'
    count = traitlets.Int(0).tag(sync=True)
"""


@pytest.fixture
def agent(connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def notebook(lab) -> FrontEnd:
    assert lab.run("imports", "import marimo as mo, ipywidgets, anywidget, traitlets").ok
    return lab


def listed(agent: FrontEnd) -> dict[str, UiElement]:
    found = wire.decode_reply(agent.ask(wire.ListUiElements(), "control"), list[UiElement])
    return {one.element: one for one in found}


def set_value(agent: FrontEnd, target: str, value) -> RunReport:
    request = wire.SetUiValue(ui_element=target, value=value, client="claude")
    return wire.decode_reply(agent.ask(request, "shell"), RunReport)


def told(notebook: FrontEnd, code: str) -> str:
    return notebook.run(None, code, store_history=False).text


def test_marimos_elements_are_listed_with_what_they_take(notebook, agent):
    code = "\n".join(f"e{number} = {code}" for number, (code, _) in enumerate(MARIMO))
    assert notebook.run("made", code).ok
    found = listed(agent)
    assert [found[f"e{number}"].takes for number in range(len(MARIMO))] == [takes for _, takes in MARIMO]
    (cell,) = {found[f"e{number}"].defined_by for number in range(len(MARIMO))}
    assert cell
    assert found["e0"] == UiElement("e0", "mo.ui.slider", "0", MARIMO[0][1], defined_by=cell)


def test_widgets_are_listed_with_what_they_take_and_set(notebook, agent):
    assert notebook.run("class", COUNTER).ok
    for number, (code, takes, value, tell, then) in enumerate(SETTABLE):
        assert notebook.run("made", f"w = {code}").ok, number
        assert (listed(agent)["w"].takes, listed(agent)["w"].runs_readers) == (takes, False)
        set_value(agent, "w", value)
        assert told(notebook, tell) == then


def test_what_a_widget_does_not_take_is_refused(notebook, agent):
    assert notebook.run("class", COUNTER).ok
    for code, value, why in REFUSED:
        assert notebook.run("made", f"w = {code}").ok
        with pytest.raises(BridgeError) as refusal:
            set_value(agent, "w", value)
        assert refusal.value.code == "ui_value_refused"
        assert why in refusal.value.message


def test_a_widget_runs_its_callbacks_and_names_its_readers_which_do_not_run(notebook, agent):
    notebook.run(
        "made", "w = ipywidgets.IntSlider()\nseen = []\nw.observe(lambda c: seen.append(c.new), 'value')"
    )
    notebook.run("reader", "print('w is', w.value)")
    report = set_value(agent, "w", 5)
    assert (len(report.not_run), report.cells) == (1, ())
    notebook.sync()
    assert notebook.text("reader") == "w is 0"
    assert told(notebook, "seen") == "[5]"


def test_a_callback_that_sets_marimos_state_runs_its_readers(notebook, agent):
    notebook.run("state", "get, set_ = mo.state(0)")
    notebook.run("made", "w = ipywidgets.IntSlider()\nw.observe(lambda c: set_(c.new), 'value')")
    notebook.run("reader", "print('state', get())")
    report = set_value(agent, "w", 5)
    assert [cell.notebook_cell_id for cell in report.cells] == ["reader"]
    notebook.sync()
    assert notebook.text("reader") == "state 5"


def test_what_a_callback_raises_is_told_and_the_kernel_goes_on(notebook, agent):
    notebook.run("made", "b = ipywidgets.Button()\nb.on_click(lambda _: 1 / 0)")
    assert set_value(agent, "b", value=True).finished
    agent.sync()
    shown = [message["content"]["ename"] for message in agent.seen if message["msg_type"] == "error"]
    assert shown == ["ZeroDivisionError"]
    assert told(notebook, "1 + 1") == "2"


def test_the_page_is_sent_a_widgets_new_value(notebook, agent):
    notebook.run("made", "w = ipywidgets.IntSlider()\nw")
    set_value(agent, "w", 7)
    notebook.sync()
    sent = [message["content"]["data"] for message in notebook.seen if message["msg_type"] == "comm_msg"]
    assert {"value": 7} in [data["state"] for data in sent if data["method"] == "update"]


def test_a_widget_that_no_variable_holds_is_set_by_its_id(notebook, agent):
    notebook.run("made", "ipywidgets.interact(lambda n: print('n is', n), n=(0, 9));")
    (slider,) = [one for one in listed(agent).values() if one.kind == "ipywidgets.IntSlider"]
    assert slider.label == "n"
    set_value(agent, slider.element, 8)
    assert listed(agent)[slider.element].value == "8"
