"""The bridge protocol on a real kernel: a person's front end and an agent's client on one connection file."""

import os
from queue import Empty

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell
from marimo_kernel_bridge.protocol.inspection import Completions, RunOutcome
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs, KernelDescription, RunReport


@pytest.fixture
def agent(connect):
    return connect("lab")


def cells(agent) -> dict[str, Cell]:
    reply = agent.ask(wire.ListCells())
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in wire.decode_reply(reply, list[Cell])}


def read(agent, cell_id: str) -> CellWithOutputs:
    return wire.decode_reply(agent.ask(wire.ReadCell(cell_id=cell_id)), CellWithOutputs)


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


def test_reads_are_answered_while_a_cell_runs(lab, agent):
    msg_id = lab.send("one", "import time\nprint('on', flush=True)\ntime.sleep(30)")
    lab.wait_for("one", "on")
    description = wire.decode_reply(agent.ask(wire.Describe()), KernelDescription)
    assert description.busy
    assert description.running_cell == cells(agent)["one"].cell_id
    assert read(agent, "one").outputs[0]["text"].strip() == "on"
    assert cells(agent)["one"].status == "running"
    found = wire.decode_reply(agent.ask(wire.CompleteCode(code="time.sle")), Completions)
    assert [match.name for match in found.matches] == ["sleep"]
    agent.client.control_channel.send(agent.client.session.msg("interrupt_request", {}))
    assert lab.finish(msg_id).content["ename"] == "KeyboardInterrupt"


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
