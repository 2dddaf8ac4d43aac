"""Values of `mo.ui` elements over real sockets."""

import pytest
from front_end import FrontEnd

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import KernelDescription, RunReport


@pytest.fixture
def agent(connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def notebook(lab) -> FrontEnd:
    assert lab.run("imports", "import marimo as mo, datetime, base64").ok
    return lab


def set_value(agent: FrontEnd, target: str, value, /) -> RunReport:
    request = wire.SetUiValue(ui_element=target, value=value, client="claude")
    return wire.decode_reply(agent.ask(request, "shell"), RunReport)


def test_values_are_not_set_on_the_control_channel(agent):
    reply = agent.ask(wire.SetUiValue(ui_element="n", value=1))
    assert (reply["status"], reply["code"]) == ("error", "bad_request")


def test_setting_a_value_leaves_the_kernel_settled(notebook, agent):
    notebook.run("one", "n = mo.ui.slider(1, 10)")
    notebook.run("reader", "1 / (n.value - 5)")
    report = set_value(agent, "n", 5)
    assert [(run.notebook_cell_id, run.status) for run in report.cells] == [("reader", "error")]
    description = wire.decode_reply(agent.ask(wire.Describe()), KernelDescription)
    assert (description.busy, description.stale) == (False, ())
