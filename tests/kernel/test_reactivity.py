"""Reactive runs over real sockets, message by message, as JupyterLab sees them."""

from marimo_kernel_bridge.protocol import messages as wire


def test_dependents_run_before_idle_and_replace_their_outputs_under_their_own_cells(lab):
    lab.run("one", "a = 1")
    lab.run("two", "b = a * 10\nprint('b is', b)")
    lab.run("three", "b + 1")

    reply = lab.run("one", "a = 2")

    assert (reply.ok, lab.text("two"), lab.text("three")) == (True, "b is 20", "21")
    two, three = (lab.page.cells[name].request_id for name in ("two", "three"))
    sent = [
        (m["msg_type"], m["parent_header"]["msg_id"]) for m in reply.messages if m["msg_type"] != "status"
    ]
    assert sent == [
        ("execute_input", reply.msg_id),
        ("clear_output", two),
        ("stream", two),
        ("clear_output", three),
        ("execute_result", three),
    ]


def test_the_reply_does_not_wait_for_dependents(lab):
    lab.run("gate", "import threading; gate = threading.Event()")
    lab.run("one", "a = 1")
    lab.run("slow", "if a > 1: assert gate.wait(60)\nprint('done', a)")
    msg_id = lab.send("one", "a = 2")
    lab._reply(msg_id, lab.client.shell_channel)
    assert msg_id not in lab._idle
    # Only now may the dependent go on: without the reply, nobody could have sent this.
    control = lab.client.session.msg("execute_request", {"code": "gate.set()", "silent": True})
    lab.client.control_channel.send(control)
    lab.wait_idle(msg_id)
    assert lab.text("slow") == "done 2"


def test_charts_of_dependents_are_drawn_anew(lab):
    lab.run("one", "a = 1\nimport matplotlib.pyplot as plt")
    lab.run("two", "plt.plot([1, a]); plt.title('first')")
    (_, before) = lab.outputs("two")
    lab.run("one", "a = 9\nimport matplotlib.pyplot as plt")
    (_, after) = lab.outputs("two")
    assert before["data"]["image/png"] != after["data"]["image/png"]


def _cells(agent) -> list[dict]:
    return agent.ask(wire.ListCells())["result"]
