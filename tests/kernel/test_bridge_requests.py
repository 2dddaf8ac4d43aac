"""The bridge protocol on a real kernel: a person's front end and an agent's client on one connection file."""

import os
from queue import Empty

import msgspec
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, EditReport
from marimo_kernel_bridge.protocol.inspection import RunOutcome
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs, KernelDescription, RunReport


@pytest.fixture
def agent(connect):
    return connect("lab")


def cells(agent) -> dict[str, Cell]:
    reply = agent.ask(wire.ListCells())
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in wire.decode_reply(reply, list[Cell])}


def edit(agent, cell: Cell, code: str, **fields) -> RunReport:
    change = ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code)
    request = wire.EditCells(changes=[change], client="claude", **fields)
    return wire.decode_reply(agent.ask(request, "shell"), EditReport).run


def read(agent, cell_id: str) -> CellWithOutputs:
    return wire.decode_reply(agent.ask(wire.ReadCell(cell_id=cell_id)), CellWithOutputs)


def test_an_agent_sees_the_persons_cells_and_outputs(lab, agent):
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


def test_a_read_does_not_make_front_ends_call_a_kernel_idle_that_runs_a_cell(lab, agent):
    for name in (wire.REQUEST, wire.READ_REQUEST):
        message = agent.client.session.msg(name, wire.encode_request(wire.ListCells()))
        assert agent.answer(message)["status"] == "ok"
    after = lab.run("one", "a = 1")  # what was published before is there when this is idle
    assert after.content["status"] == "ok"
    asked = {message["parent_header"].get("msg_type") for message in lab.seen}
    assert "execute_request" in asked
    assert not asked & {wire.REQUEST, wire.READ_REQUEST}


@pytest.mark.parametrize("kind", ["execute", "edit"])
def test_a_request_that_is_cancelled_while_it_waits_never_starts(lab, agent, connect, tmp_path, kind):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lab.run("zero", "zero = 0")
    other = connect("agent")
    blocking = lab.send("one", f"print('begun')\nopen({str(gate)!r}).read()")
    lab.wait_for("one", "begun")  # what comes by another connection could be first
    if kind == "execute":
        waiting = other.send(None, "zero = 1")
    else:
        request = wire.EditCells(changes=[ChangeCell(cell_id="zero", version=1, code="zero = 1")])
        message = other.client.session.msg(wire.REQUEST, wire.encode_request(request))
        other.client.shell_channel.send(message)
        waiting = message["header"]["msg_id"]
    assert agent.ask(wire.CancelRun(run_id=waiting))["status"] == "ok"
    with gate.open("w"):
        pass
    assert lab.finish(blocking).ok
    assert other.finish(waiting).content["status"] == "aborted"
    assert lab.run(None, "zero", store_history=False).text == "0"
    assert cells(agent)["zero"].version == 1


def test_an_agents_edit_redraws_the_persons_dependents(lab, agent):
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


def test_the_person_takes_an_edited_cell_back_by_running_it(lab, agent):
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    edit(agent, cells(agent)["one"], "a = 42")
    lab.run("one", "a = 1")
    assert (lab.text("one"), lab.text("two")) == ("", "a is 1")
    assert cells(agent)["one"].version == 3


def test_a_stale_edit_is_refused_and_changes_nothing(lab, agent):
    lab.run("one", "a = 1")
    old = cells(agent)["one"]
    lab.run("one", "a = 2")
    with pytest.raises(BridgeError) as refusal:
        edit(agent, old, "a = 3")
    assert refusal.value.code == "stale_version"
    assert cells(agent)["one"].code == "a = 2"
    assert lab.run(None, "a", store_history=False).text == "2"


def test_an_edit_that_is_not_run_waits(lab, agent):
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    edit(agent, cells(agent)["one"], "a = 9", run=False)
    assert cells(agent)["one"].stale
    lab.run("other", "c = 1")
    assert lab.text("two") == "1"
    report = wire.decode_reply(agent.ask(wire.RunCells(cell_ids=["one"]), "shell"), RunReport)
    assert [run.notebook_cell_id for run in report.cells] == ["one", "two"]
    lab.wait_for("two", "9")


def test_an_agents_new_cell_joins_the_graph(lab, agent):
    lab.run("one", "a = 1")
    reply = agent.ask(
        wire.EditCells(changes=[AddCell(code="extra = a + 1\nextra")], client="claude"), "shell"
    )
    (run,) = wire.decode_reply(reply, EditReport).run.cells
    assert read(agent, run.cell_id).outputs[0]["data"]["text/plain"] == "2"
    lab.run("one", "a = 5")
    assert read(agent, run.cell_id).outputs[0]["data"]["text/plain"] == "6"


def test_executed_agent_code_takes_over_a_name_and_the_person_can_take_it_back(lab, agent):
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


def test_reads_are_answered_while_a_cell_runs(lab, agent):
    msg_id = lab.send("one", "import time\nprint('on', flush=True)\ntime.sleep(30)")
    lab.wait_for("one", "on")
    description = wire.decode_reply(agent.ask(wire.Describe()), KernelDescription)
    assert description.busy
    assert description.running_cell == cells(agent)["one"].cell_id
    assert read(agent, "one").outputs[0]["text"].strip() == "on"
    assert cells(agent)["one"].status == "running"
    agent.client.control_channel.send(agent.client.session.msg("interrupt_request", {}))
    assert lab.finish(msg_id).content["ename"] == "KeyboardInterrupt"


def test_the_report_of_an_execute_request_tells_what_it_caused(lab, agent):
    lab.run("one", "a = 1")
    lab.run("two", "1 / a")
    reply = lab.run("one", "a = 0")
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=reply.msg_id)), RunReport)
    assert [(run.notebook_cell_id, run.status) for run in report.cells] == [("one", "ok"), ("two", "error")]
    assert report.cells[1].error.ename == "ZeroDivisionError"
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
def test_a_bad_request_gets_an_error_reply_with_a_code(agent, content, code):
    message = agent.client.session.msg(wire.REQUEST, content)
    message["content"] = content
    reply = agent.answer(message)
    assert (reply["status"], reply["code"]) == ("error", code)


def test_every_struct_of_the_contract_survives_the_wire():
    request = wire.EditCells(changes=[ChangeCell(cell_id="abcd", version=2, code="x")], client="me")
    assert (
        wire.decode_request(msgspec.json.decode(msgspec.json.encode(wire.encode_request(request)))) == request
    )


def test_what_an_agent_asked_for_runs_although_others_wait(lab, agent):
    lab.run("lazy", "%marimo lazy")
    lab.run("a", "a = 1")
    lab.run("b", "import time; time.sleep(0.5); b = a")
    lab.run("c", "c = b")
    lab.run("a", "a = 2")
    message = agent.client.session.msg(wire.REQUEST, wire.encode_request(wire.RunCells(cell_ids=["c"])))
    agent.client.shell_channel.send(message)
    lab.client.complete("ti", 2)
    report = wire.decode_reply(
        agent._reply(message["header"]["msg_id"], agent.client.shell_channel)["content"], RunReport
    )
    assert [run.notebook_cell_id for run in report.cells] == ["b", "c"]


def test_deleted_cells_are_not_listed_and_not_run(lab, agent):
    lab.run("gone", "g = 1")
    lab.run("here", "h = 1", metadata={"deletedCells": ["gone"]})
    assert list(cells(agent)) == ["here"]
    assert agent.ask(wire.RunCells(cell_ids=["gone"]), "shell")["code"] == "no_such_cell"


def test_what_happens_by_itself_is_not_put_down_to_the_agent_that_ran_last(lab, agent):
    lab.run("mo", "import marimo as mo, threading")
    lab.run("state", "get, set_ = mo.state(0)")
    lab.run("reader", "print('state', get())")
    lab.run("later", "go = threading.Event(); mo.Thread(target=lambda: (go.wait(60), set_(5))).start()")
    done = agent.run(None, "q = 1", metadata={wire.METADATA_KEY: {"client": "claude"}})
    agent.run(None, "go.set()", store_history=False)
    lab.wait_for("reader", "state 5")
    lab.sync()
    report = wire.decode_reply(agent.ask(wire.ReadRun(run_id=done.msg_id)), RunReport)
    assert [run.status for run in report.cells] == ["ok"]
    assert cells(agent)["reader"].last_run_by == "notebook"


def test_while_somebody_looks_a_cell_that_computes_lets_answers_through_sooner(lab, agent):
    sent = lab.send(
        "one",
        "import sys\nbefore = sys.getswitchinterval()\nprint('runs')\n"
        "while sys.getswitchinterval() == before: pass\n"
        "meanwhile = sys.getswitchinterval()\n"
        "while sys.getswitchinterval() == meanwhile: pass\n"
        "before, meanwhile, sys.getswitchinterval()",
    )
    lab.wait_for("one", "runs")
    assert cells(agent)["one"].status == "running"
    lab.finish(sent)
    assert lab.text("one").endswith("(0.005, 0.001, 0.005)")


def test_who_wants_it_is_told_what_became_of_a_run_when_its_dependents_have_run(lab, agent):
    lab.run("one", "a = 1")
    lab.run("two", "b = a * 10\nb")
    sent = agent.send(None, "a = 5", metadata={wire.METADATA_KEY: {"client": "claude", "outcome": True}})
    agent.wait_idle(sent)
    replies = [agent.client.get_shell_msg(timeout=60) for _ in range(2)]
    assert [reply["msg_type"] for reply in replies] == ["execute_reply", wire.REPLY]
    assert {reply["parent_header"]["msg_id"] for reply in replies} == {sent}
    outcome = wire.decode_reply(replies[1]["content"], RunOutcome)
    assert (outcome.report.finished, [cell.status for cell in outcome.report.cells]) == (True, ["ok", "ok"])
    assert {cell.notebook_cell_id: cell.last_run_by for cell in outcome.cells} == {
        None: "claude",
        "two": "claude",
    }
    assert agent.run(None, "1", metadata={wire.METADATA_KEY: {"client": "claude"}}).content["status"] == "ok"
    with pytest.raises(Empty):  # who does not want it is not told; what is sent is there at idle
        agent.client.get_shell_msg(timeout=0)
