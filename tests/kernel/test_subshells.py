"""Subshells: code beside a running cell, outside of the graph. ipykernel's own tests of them are in `make peers`."""

import re

import pytest
from front_end import BOUND, FrontEnd

from marimo_kernel_bridge.kernel.live.messages import LOADER
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.names import LIVE_TARGET
from marimo_kernel_bridge.protocol.notebook import KernelDescription

WAITS = "import threading\ngo = threading.Event()"


@pytest.fixture
def lab(connect):
    return connect("lab")


@pytest.fixture
def subshell(lab):
    return lab.control("create_subshell_request")["subshell_id"]


def test_a_subshell_answers_while_a_cell_runs(lab, subshell):
    lab.run("event", WAITS)
    lab.run("data", "a = 41")
    running = lab.send("slow", "go.wait(60); b = a")
    assert lab.run(None, "a + 1", subshell=subshell).text == "42"
    assert "NameError" in lab.run(None, "b", subshell=subshell).text
    lab.run(None, "go.set()", subshell=subshell)
    assert lab.finish(running).ok
    assert lab.run(None, "b", subshell=subshell).text == "41"


def test_what_a_subshell_runs_is_no_cell_of_the_graph(lab, subshell):
    lab.run("data", "a = 1")
    lab.run("reader", "print(a)")
    lab.run("other", "a = 5", subshell=subshell)
    assert lab.text("reader") == "1"
    assert len(lab.ask(wire.ListCells())["result"]) == 2
    assert lab.run("data", "a = 2").ok
    assert lab.text("reader") == "2"


def test_a_value_shown_in_a_subshell_does_not_take_the_place_of_a_cells_value(lab, subshell):
    lab.run("event", WAITS)
    running = lab.send("slow", "go.wait(60)\n'the cell'")
    assert lab.run(None, "'the subshell'", subshell=subshell).text == "'the subshell'"
    assert lab.run(None, "'hidden';", subshell=subshell).text == ""
    lab.run(None, "go.set()", subshell=subshell)
    assert lab.finish(running).ok
    assert lab.text("slow") == "'the cell'"


def test_a_subshell_cannot_change_the_graph_under_a_running_cell(lab, subshell):
    lab.run("event", WAITS)
    running = lab.send("slow", "go.wait(60)")
    message = lab.client.session.msg(wire.REQUEST, wire.encode_request(wire.RunCells(("slow",), "agent")))
    message["header"]["subshell_id"] = subshell
    assert lab.answer(message, "shell")["status"] == "error"
    lab.run(None, "%marimo lazy", subshell=subshell)
    assert wire.decode_reply(lab.ask(wire.Describe()), KernelDescription).mode == "autorun"
    lab.run(None, "go.set()", subshell=subshell)
    lab.finish(running)
    lab.wait_quiet()
    assert wire.decode_reply(lab.ask(wire.Describe()), KernelDescription).mode == "lazy"


def test_an_error_in_a_subshell_is_not_that_of_a_cell_which_shows_its_value_meanwhile(lab, subshell):
    lab.run(
        "event",
        f"{WAITS}\nshows = threading.Event()\n"
        "class Slow:\n    def __repr__(self):\n        shows.set(); go.wait(60)\n        return 'slow'",
    )
    showing = lab.send("slow", "Slow()")
    assert "ZeroDivisionError" in lab.run(None, "shows.wait(60); 1 / 0", subshell=subshell).text
    assert lab.run(None, "'of the subshell'", subshell=subshell).text == "'of the subshell'"
    lab.run(None, "go.set()", subshell=subshell)
    assert lab.finish(showing).ok
    lab.wait_quiet()
    assert lab.text("slow") == "slow"


def test_an_error_in_a_subshell_aborts_nothing_else(lab, subshell):
    lab.run("event", WAITS)
    sent = [
        lab.send("slow", "go.wait(60)"),
        lab.send("next", "'ran'"),
        lab.send(None, "go.wait(60); 1 / 0", subshell=subshell),
        lab.send(None, "'aborted'", subshell=subshell),
    ]
    other = lab.control("create_subshell_request")["subshell_id"]
    lab.run(None, "go.set()", subshell=other)
    statuses = [lab._reply(msg_id, lab.client.shell_channel)["content"]["status"] for msg_id in sent]
    assert statuses == ["ok", "ok", "error", "aborted"]
    assert lab.run(None, "'again'", subshell=subshell).text == "'again'"


def test_run_all_runs_each_cell_once_also_beside_subshells(lab, subshell):
    cells = {"c": "print('c', b)", "b": "b = a + 1; print('b')", "a": "a = 1; print('a')"}
    for turn in range(2):
        sent = [lab.send(cell, code) for cell, code in cells.items()]
        for msg_id in sent:
            assert lab.finish(msg_id).ok
        lab.sync()
        assert [lab.text(cell) for cell in cells] == ["c 2", "b", "a"]
        lab.run(None, "1 + 1", subshell=subshell)
        if turn:
            continue
        lab.control("delete_subshell_request", subshell_id=subshell)
        subshell = lab.control("create_subshell_request")["subshell_id"]


@pytest.mark.long
def test_thousands_of_requests_arrive_in_order_while_subshells_come_and_go(lab):
    lab.run("list", "seen = []")
    sent = []
    for number in range(600):
        sent.append(lab.send(None, f"seen.append({number})", silent=True, store_history=False))
        if number % 100 == 50:
            made = lab.control("create_subshell_request")["subshell_id"]
            sent.append(lab.send(None, "pass", subshell=made, silent=True, store_history=False))
        if number % 100 == 90:
            lab.control("delete_subshell_request", subshell_id=made)
    for _ in sent:
        lab.client.get_shell_msg(timeout=BOUND)
    assert lab.run(None, "seen == list(range(600))", store_history=False).text == "True"


def test_a_request_to_a_subshell_that_is_gone_gets_an_error_reply(lab, subshell):
    assert lab.control("delete_subshell_request", subshell_id=subshell)["status"] == "ok"
    reply = lab.run(None, "a = 1", subshell=subshell)
    assert reply.content["ename"] == "UnknownSubshellError"
    assert lab.run(None, "'a' in globals()", store_history=False).text == "False"


def test_the_kernel_ends_when_it_is_told_to_with_a_subshell_that_runs(kernel, connect):
    lab: FrontEnd = connect("lab")
    subshell = lab.control("create_subshell_request")["subshell_id"]
    lab.run("event", WAITS)
    lab.send(None, "print('waits'); go.wait()", subshell=subshell)
    while "waits" not in str(lab._take(BOUND)["content"]):
        pass
    lab.control("shutdown_request", restart=False)
    kernel.provisioner.process.wait(timeout=BOUND)


def test_a_page_draws_elements_while_a_cell_runs_and_sets_them_after_it(lab, subshell):
    def say(data, msg_type="comm_msg", **content):
        message = lab.client.session.msg(msg_type, {"comm_id": "page", "data": data, **content})
        message["header"]["subshell_id"] = subshell
        lab.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def heard():
        messages = [one["content"] for one in lab.seen if one["msg_type"] == "comm_msg"]
        return [content["data"] for content in messages if content["comm_id"] == "page"]

    def answer(kind):
        while not (found := [one for one in heard() if one["type"] == kind]):
            lab._take(BOUND)
        return found[0]

    lab.wait_idle(say({}, "comm_open", target_name=LIVE_TARGET))
    lab.run("event", WAITS)
    lab.run("knob", "import marimo as mo\nknob = mo.ui.slider(1, 9)\nknob")
    (out,) = re.findall(r'data-mkb-out="(\d+)"', lab.outputs("knob")[0]["data"]["text/html"])
    running = lab.send("slow", "go.wait(60); print(knob.value)")
    say({"type": "hello", "page": "p", "loader": LOADER})
    key = answer("welcome")["key"]
    say({"type": "get", "req": "1", "page": "p", "out": out})
    (element,) = answer("html")["values"]
    say({"type": "set", "page": "p", "values": [[element.removeprefix(f"{key}~"), 5]]})
    lab.run(None, "go.set()", subshell=subshell)
    assert lab.finish(running).ok
    lab.wait_for("slow", "5")
