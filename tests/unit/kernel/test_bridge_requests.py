"""The bridge protocol: a person's front end and an agent's client of one kernel, in this process."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, EditReport
from marimo_kernel_bridge.protocol.notebook import (
    Cell,
    CellRun,
    CellWithOutputs,
    KernelDescription,
    RunReport,
)
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def caused(reply: dict[str, Any]) -> RunReport:
    run = wire.decode_reply(reply, EditReport).run
    assert run is not None
    return run


def error_of(run: CellRun) -> str:
    assert run.error is not None
    return run.error.ename


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("lab")


def cells(agent: FrontEnd) -> dict[str, Cell]:
    reply = agent.ask(wire.ListCells())
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in wire.decode_reply(reply, list[Cell])}


def edit(agent: FrontEnd, cell: Cell, code: str, **fields: Any) -> RunReport:
    change = ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code)
    request = wire.EditCells(changes=[change], client="claude", **fields)
    return caused(agent.ask(request, "shell"))


def read(agent: FrontEnd, cell_id: str) -> CellWithOutputs:
    return wire.decode_reply(agent.ask(wire.ReadCell(cell_id=cell_id)), CellWithOutputs)


def test_an_agent_sees_the_persons_cells_and_outputs(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a * 10\nprint('b is', b)\nb")
    one, two = cells(agent).values()
    assert (one.notebook_cell_id, one.code, one.defines, one.downstream) == (
        "one",
        "a = 1",
        ("a",),
        (two.cell_id,),
    )
    assert (two.uses, two.upstream, two.status, two.execution_count) == (("a",), (one.cell_id,), "ok", 2)
    assert (two.last_run_by, two.stale, two.version) == ("notebook", False, 1)
    outputs = read(agent, "two").outputs
    assert [output["output_type"] for output in outputs] == ["stream", "execute_result"]


def test_an_agents_edit_redraws_the_persons_dependents(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    report = edit(agent, cells(agent)["one"], "a = 42")
    assert [(run.notebook_cell_id, run.status, run.outputs_changed) for run in report.cells] == [
        ("one", "ok", False),
        ("two", "ok", True),
    ]
    assert report.finished
    lab.wait_for("two", "a is 42")
    lab.sync()
    assert "changed by claude" in lab.text("one")
    assert "a = 42" in lab.text("one")


def test_the_person_takes_an_edited_cell_back_by_running_it(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    edit(agent, cells(agent)["one"], "a = 42")
    lab.run("one", "a = 1")
    assert (lab.text("one"), lab.text("two")) == ("", "a is 1")
    assert cells(agent)["one"].version == 3


def test_a_stale_edit_is_refused_and_changes_nothing(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    old = cells(agent)["one"]
    lab.run("one", "a = 2")
    with pytest.raises(BridgeError) as refusal:
        edit(agent, old, "a = 3")
    assert refusal.value.code == "stale_version"
    assert cells(agent)["one"].code == "a = 2"
    assert lab.run(None, "a", store_history=False).text == "2"


def test_an_edit_that_is_not_run_waits(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    edit(agent, cells(agent)["one"], "a = 9", run=False)
    assert cells(agent)["one"].stale
    lab.run("other", "c = 1")
    assert lab.text("two") == "1"
    report = wire.decode_reply(agent.ask(wire.RunCells(cell_ids=["one"]), "shell"), RunReport)
    assert [run.notebook_cell_id for run in report.cells] == ["one", "two"]
    lab.wait_for("two", "9")


def test_an_agents_new_cell_joins_the_graph(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    reply = agent.ask(
        wire.EditCells(changes=[AddCell(code="extra = a + 1\nextra")], client="claude"), "shell"
    )
    (run,) = caused(reply).cells
    assert read(agent, run.cell_id).outputs[0]["data"]["text/plain"] == "2"
    lab.run("one", "a = 5")
    assert read(agent, run.cell_id).outputs[0]["data"]["text/plain"] == "6"


def test_executed_agent_code_takes_over_a_name_and_the_person_can_take_it_back(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    metadata = {wire.METADATA_KEY: {"client": "claude"}}
    taken = agent.run(None, "a = 100", metadata=metadata)
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=taken.msg_id)), RunReport)
    assert report.superseded == (cells(agent)["one"].cell_id,)
    lab.wait_for("two", "a is 100")
    assert "now defined by" in lab.text("one")
    assert cells(agent)["one"].status == "superseded"
    lab.run("one", "a = 1")
    assert lab.text("two") == "a is 1"


def test_the_report_of_an_execute_request_tells_what_it_caused(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "1 / a")
    reply = lab.run("one", "a = 0")
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=reply.msg_id)), RunReport)
    assert [(run.notebook_cell_id, run.status) for run in report.cells] == [("one", "ok"), ("two", "error")]
    assert error_of(report.cells[1]) == "ZeroDivisionError"
    assert report.client == "notebook"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"op": "read_cell", "cell_id": "nope"}, "no_such_cell"),
        ({"op": "read_run", "run_id": "nope"}, "no_such_run"),
        ({"op": "nonsense"}, "bad_request"),
        ({"op": "read_cell", "cell_id": 3}, "bad_request"),
        ({"op": "describe", "extra": 1}, "bad_request"),
        ({"op": "describe", "protocol": 99}, "unsupported_version"),
        ({"op": "edit_cells", "changes": []}, "bad_request"),  # on control
        ({"op": None}, "bad_request"),
    ],
)
def test_a_bad_request_gets_an_error_reply_with_a_code(
    agent: FrontEnd, content: dict[str, Any], code: str
) -> None:
    message = agent.session.msg(wire.REQUEST, content)
    message["content"] = content
    reply = agent.answer(message)
    assert (reply["status"], reply["code"]) == ("error", code)


def test_every_struct_of_the_contract_survives_the_wire() -> None:
    request = wire.EditCells(changes=[ChangeCell(cell_id="abcd", version=2, code="x")], client="me")
    assert (
        wire.decode_request(msgspec.json.decode(msgspec.json.encode(wire.encode_request(request)))) == request
    )


def test_deleted_cells_are_not_listed_and_not_run(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("gone", "g = 1")
    lab.run("here", "h = 1", metadata={"deletedCells": ["gone"]})
    assert list(cells(agent)) == ["here"]
    assert agent.ask(wire.RunCells(cell_ids=["gone"]), "shell")["code"] == "no_such_cell"


def test_a_kernel_whose_folder_was_deleted_answers_and_runs_its_first_cell(
    lab: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert lab.ask(wire.Describe())["status"] == "ok"
    assert lab.run("one", "x = 1\nx").text == "1"
    assert lab.run("two", "x + 1").text == "2"
    assert wire.decode_reply(lab.ask(wire.Describe()), KernelDescription).cwd == ""
