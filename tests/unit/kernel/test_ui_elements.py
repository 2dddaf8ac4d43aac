"""UI elements and widgets as an agent sees them: which there are, what they take, and what setting a widget does."""

from collections.abc import Iterator

import ipywidgets  # type: ignore[import-untyped]  # it has no types
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.inspection import UiElement
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

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


@pytest.fixture(autouse=True)
def _widgets_end() -> Iterator[None]:
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def notebook(lab: FrontEnd) -> FrontEnd:
    assert lab.run("imports", "import marimo as mo, ipywidgets, anywidget, traitlets").ok
    return lab


def listed(agent: FrontEnd) -> dict[str, UiElement]:
    found = wire.decode_reply(agent.ask(wire.ListUiElements(), "control"), list[UiElement])
    return {one.element: one for one in found}


def set_value(agent: FrontEnd, target: str, value: object) -> RunReport:
    request = wire.SetUiValue(ui_element=target, value=value, client="claude")
    return wire.decode_reply(agent.ask(request, "shell"), RunReport)


def told(notebook: FrontEnd, code: str) -> str:
    return notebook.run(None, code, store_history=False).text


def test_marimos_elements_are_listed_with_what_they_take(notebook: FrontEnd, agent: FrontEnd) -> None:
    code = "\n".join(f"e{number} = {code}" for number, (code, _) in enumerate(MARIMO))
    assert notebook.run("made", code).ok
    found = listed(agent)
    assert [found[f"e{number}"].takes for number in range(len(MARIMO))] == [takes for _, takes in MARIMO]
    (cell,) = {found[f"e{number}"].defined_by for number in range(len(MARIMO))}
    assert cell
    assert found["e0"] == UiElement("e0", "mo.ui.slider", "0", MARIMO[0][1], defined_by=cell)


def test_widgets_are_listed_with_the_cell_that_made_them_and_set(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("made", "w = ipywidgets.Dropdown(options=[('one', 1), ('two', 2)], description='n')")
    found = listed(agent)["w"]
    assert (found.kind, found.value, found.takes, found.label, found.runs_readers) == (
        "ipywidgets.Dropdown",
        "'one'",
        "one of 'one', 'two'",
        "n",
        False,
    )
    assert found.defined_by == notebook.cells()["made"].cell_id
    assert set_value(agent, "w", "two").finished
    assert told(notebook, "w.value") == "2"


def test_what_a_widget_does_not_take_is_refused(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("made", "w = ipywidgets.IntSlider(1, 0, 9)")
    with pytest.raises(BridgeError, match="takes numbers from 0 to 9, not 10") as refusal:
        set_value(agent, "w", 10)
    assert refusal.value.code == "ui_value_refused"
    assert told(notebook, "w.value") == "1"


def test_nothing_is_listed_before_the_first_cell(agent: FrontEnd) -> None:
    assert listed(agent) == {}


def test_a_widget_runs_its_callbacks_and_names_its_readers_which_do_not_run(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    notebook.run(
        "made", "w = ipywidgets.IntSlider()\nseen = []\nw.observe(lambda c: seen.append(c.new), 'value')"
    )
    notebook.run("reader", "print('w is', w.value)")
    report = set_value(agent, "w", 5)
    assert (len(report.not_run), report.cells) == (1, ())
    notebook.sync()
    assert notebook.text("reader") == "w is 0"
    assert told(notebook, "seen") == "[5]"


def test_a_callback_that_sets_marimos_state_runs_its_readers(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("state", "get, set_ = mo.state(0)")
    notebook.run("made", "w = ipywidgets.IntSlider()\nw.observe(lambda c: set_(c.new), 'value')")
    notebook.run("reader", "print('state', get())")
    report = set_value(agent, "w", 5)
    assert [cell.notebook_cell_id for cell in report.cells] == ["reader"]
    notebook.sync()
    assert notebook.text("reader") == "state 5"


def test_what_a_callback_raises_is_told_and_the_kernel_goes_on(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("made", "b = ipywidgets.Button()\nb.on_click(lambda _: 1 / 0)")
    assert set_value(agent, "b", value=True).finished
    agent.sync()
    shown = [message["content"]["ename"] for message in agent.seen if message["msg_type"] == "error"]
    assert shown == ["ZeroDivisionError"]
    assert told(notebook, "1 + 1") == "2"


def test_a_widget_that_no_variable_holds_is_set_by_its_id(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("made", "ipywidgets.interact(lambda n: print('n is', n), n=(0, 9));")
    (slider,) = [one for one in listed(agent).values() if one.kind == "ipywidgets.IntSlider"]
    assert slider.label == "n"
    set_value(agent, slider.element, 8)
    assert listed(agent)[slider.element].value == "8"
