"""Agents' requests over real sockets: the garbage collector of the process, and the person's brake."""

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, EditReport
from marimo_kernel_bridge.protocol.inspection import Variable, VariableContent
from marimo_kernel_bridge.protocol.notebook import Cell


@pytest.fixture
def agent(connect):
    return connect("lab")


def cells(agent) -> dict[str, Cell]:
    reply = agent.ask(wire.ListCells())
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in wire.decode_reply(reply, list[Cell])}


def edit(agent, *changes, **options) -> EditReport:
    request = wire.EditCells(changes=list(changes), client="claude", **options)
    return wire.decode_reply(agent.ask(request, "shell"), EditReport)


def change(cell: Cell, code: str) -> ChangeCell:
    return ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code)


# Batches


def test_a_batch_of_many_cells_does_not_look_for_garbage_amid_it(lab, agent):
    count = "import gc\nlooks = []\ngc.callbacks.append(lambda phase, _: looks.append(phase))"
    lab.run("one", f"{count}\nbefore = 0")
    edit(agent, *(AddCell(f"v{n} = before + {n}") for n in range(200)), run=False)
    lab.run("two", "looks.count('start')")
    assert int(lab.text("two")) < 30


# Looking


def variables(agent) -> dict[str, Variable]:
    return {one.name: one for one in wire.decode_reply(agent.ask(wire.ListVariables()), list[Variable])}


def look(agent, name: str, channel: str = "shell", **options) -> VariableContent:
    request = wire.InspectVariable(name=name, **options)
    return wire.decode_reply(agent.ask(request, channel), VariableContent)


# The person's brake


def test_a_person_pauses_agents_and_lets_them_go_on(lab, agent, connect):
    lab.run("one", "a = 1")
    lab.run("magic", "%marimo pause")
    cell = cells(agent)["one"]
    for request in (
        wire.EditCells(changes=[change(cell, "a = 2")]),
        wire.RunCells(cell_ids=["one"]),
        wire.RunStale(),
        wire.SetUiValue(ui_element="a", value=1),
    ):
        assert agent.ask(request, "shell")["code"] == "paused"
    for history in (True, False):
        reply = connect("agent").run(None, "a = 3", store_history=history)
        assert (reply.content["status"], reply.content["code"]) == ("error", "paused")
    assert lab.run(None, "a", store_history=False).text == "1"
    assert look(agent, "a").variable.summary == "1"  # reading still works
    lab.run("magic", "%marimo resume")
    assert edit(agent, change(cell, "a = 2")).applied
