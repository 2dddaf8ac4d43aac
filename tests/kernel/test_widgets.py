"""Jupyter's widgets beside marimo: what a person does with them reaches `mo.state` and `mo.ui.anywidget`."""

import pytest
from front_end import FrontEnd

from marimo_kernel_bridge.protocol import messages as wire

IMPORTS = "import marimo as mo, ipywidgets, anywidget, traitlets\nfrom IPython.display import display"
COUNTER = """
class Counter(anywidget.AnyWidget):
    _esm = 'export default {}'
    count = traitlets.Int(0).tag(sync=True)
"""


@pytest.fixture
def notebook(shared) -> FrontEnd:
    """A new notebook on a kernel that has imported the libraries for all tests."""
    assert shared.run("reset", "%marimo reset").ok
    assert shared.run("imports", IMPORTS).ok
    return shared


def model(front_end: FrontEnd, cell: str) -> str:
    """Return the comm id of the widget that a cell shows."""
    (data,) = (output["data"] for output in front_end.outputs(cell))
    return data["application/vnd.jupyter.widget-view+json"]["model_id"]


def send(front_end: FrontEnd, comm_id: str, data: dict) -> str:
    """Send what a front end sends when a person uses a widget."""
    message = front_end.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
    front_end.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def change(front_end: FrontEnd, cell: str, **state) -> str:
    return send(front_end, model(front_end, cell), {"method": "update", "state": state, "buffer_paths": []})


def test_a_state_setter_in_a_widgets_callback_runs_the_readers_each_time(notebook):
    notebook.run("state", "get, set_ = mo.state(0)")
    notebook.run(
        "knob", "knob = ipywidgets.IntSlider()\nknob.observe(lambda change: set_(change.new), 'value')\nknob"
    )
    notebook.run("reader", "print('state', get())")
    for value in (4, 7):
        change(notebook, "knob", value=value)
        notebook.wait_for("reader", f"state {value}")


def test_a_widget_alone_runs_nothing(notebook):
    notebook.run("knob", "knob = ipywidgets.IntSlider(1)\nknob")
    notebook.run("reader", "print('value', knob.value)")
    notebook.wait_idle(change(notebook, "knob", value=9))
    notebook.run("other", "1")
    assert notebook.text("reader") == "value 1"


def test_what_a_person_does_with_a_wrapped_anywidget_runs_the_readers(notebook):
    notebook.run("class", COUNTER)
    notebook.run("widget", "counter = mo.ui.anywidget(Counter())\ncounter")
    notebook.run("reader", "print(counter.value['count'], counter.count)")
    notebook.run("maker", "len('not rerun')")
    for value in (3, 5):
        change(notebook, "widget", count=value)
        notebook.wait_for("reader", f"{value} {value}")


def test_code_that_sets_a_wrapped_anywidgets_trait_runs_nothing(notebook):
    notebook.run("class", COUNTER)
    notebook.run("widget", "counter = mo.ui.anywidget(Counter())\ncounter")
    notebook.run("reader", "print(counter.count)")
    notebook.run("setter", "counter.widget.count = 8")
    assert notebook.text("reader") == "0"


def test_a_wrapped_anywidget_is_set_from_code_by_its_traits(notebook):
    notebook.run("class", COUNTER)
    notebook.run("widget", "counter = mo.ui.anywidget(Counter())\ncounter")
    notebook.run("reader", "print(counter.count)")
    notebook.run("magic", "%marimo set counter {'count': 6}")
    assert notebook.text("reader") == "6"
    assert "no trait 'cuont'" in notebook.run("typo", "%marimo set counter {'cuont': 6}").content["evalue"]


def test_a_button_may_show_marimo_objects_in_an_output_widget(notebook):
    notebook.run(
        "button",
        "area = ipywidgets.Output()\nbutton = ipywidgets.Button()\n"
        "def clicked(_):\n    with area:\n        display(mo.hstack([mo.ui.slider(1, 9), 'beside']))\n"
        "button.on_click(clicked)\nbutton",
    )
    msg_id = send(notebook, model(notebook, "button"), {"method": "custom", "content": {"event": "click"}})
    start = len(notebook.seen)
    notebook.wait_idle(msg_id)
    texts = [
        m["content"]["data"]["text/plain"] for m in notebook.seen[start:] if m["msg_type"] == "display_data"
    ]
    assert texts == ["1 (slider · from 1 to 9)  beside"]


def test_a_change_while_an_async_cell_runs_waits_for_its_end(notebook):
    notebook.run("state", "get, set_ = mo.state(0)")
    notebook.run(
        "knob", "knob = ipywidgets.IntSlider()\nknob.observe(lambda change: set_(change.new), 'value')\nknob"
    )
    notebook.run("reader", "print('state', get())")
    msg_id = notebook.send(
        "slow",
        "import asyncio\nprint('on', flush=True)\nwhile knob.value == 0:\n    await asyncio.sleep(0.01)\nprint('over')",
    )
    notebook.wait_for("slow", "on")
    change(notebook, "knob", value=5)
    assert notebook.finish(msg_id).ok
    notebook.wait_for("reader", "state 5")
    assert notebook.text("slow").endswith("over")


def test_the_page_is_sent_the_value_that_an_agent_sets(notebook):
    notebook.run("made", "w = ipywidgets.IntSlider()\nw")
    start = len(notebook.seen)
    notebook.ask(wire.SetUiValue(ui_element="w", value=7, client="claude"), "shell")
    notebook.sync()
    seen = notebook.seen[start:]
    sent = [message["content"]["data"] for message in seen if message["msg_type"] == "comm_msg"]
    assert {"value": 7} in [data["state"] for data in sent if data["method"] == "update"]


def test_interact_runs_its_function_and_no_cell(notebook):
    notebook.run(
        "one",
        "calls = []\nslider = ipywidgets.IntSlider(2)\ncontrols = ipywidgets.interactive(lambda x: calls.append(x), x=slider)\nslider",
    )
    notebook.run("reader", "print(len(calls))")
    notebook.wait_idle(change(notebook, "one", value=3))
    assert notebook.run(None, "calls", store_history=False).text == "[2, 3]"
    assert notebook.text("reader") == "1"
