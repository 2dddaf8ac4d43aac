"""Run All over real sockets: replayed messages, a second client, and how long a burst is waited for."""

from marimo_kernel_bridge.client.page import execute_metadata
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell


def test_a_replayed_request_runs_nothing_also_when_others_wait(lab, kernel):
    import zmq  # noqa: PLC0415  # only this test sends raw frames

    recorded = lab.client.session.msg(
        "execute_request", {"code": "secret = 1", "allow_stdin": True}, metadata=execute_metadata("victim")
    )
    frames = lab.client.session.serialize(recorded, b"")
    lab.client.shell_channel.send(recorded)
    lab.wait_idle(recorded["header"]["msg_id"])
    lab.run("victim", "secret = 2")
    with zmq.Context() as context, context.socket(zmq.DEALER) as attacker:
        attacker.linger = 1000
        attacker.connect(kernel.client()._make_url("shell"))
        busy = lab.send("busy", "import time; time.sleep(0.5)")
        after = lab.send("after", "after = 1")
        attacker.send_multipart(frames)
        for msg_id in (busy, after):
            assert lab.finish(msg_id).ok
        attacker.send_multipart(frames)
        assert lab.run("other", "time.sleep(0.2)").ok
    assert lab.run("check", "secret").text == "2"


def test_a_persons_request_is_not_answered_with_an_agents_code(lab, connect):
    agent = connect("agent")
    lab.run("k", "k = 1")
    first = lab.send("busy", "import time; time.sleep(1)")
    second = lab.send("next", "nothing = 0")
    edit = wire.EditCells(changes=[ChangeCell(cell_id="k", version=1, code="k = 'agent'")], client="agent")
    message = agent.client.session.msg(wire.REQUEST, wire.encode_request(edit))
    agent.client.shell_channel.send(message)
    mine = lab.send("k", "k = 'person'")
    for msg_id in (first, second, mine):
        assert lab.finish(msg_id).ok
    agent._reply(message["header"]["msg_id"], agent.client.shell_channel)
    assert lab.run("check", "k").text == "'person'"


def test_a_run_all_waits_for_a_burst_at_most_once_and_not_after_each_cell(lab):
    lab.run(
        None,
        """
kernel = get_ipython().kernel
wait_for_burst, waits = kernel.queue.soon, []
async def soon(**options):
    waits.append(1)
    return await wait_for_burst(**options)
kernel.queue.soon = soon""",
        store_history=False,
    )
    for turn in range(2):
        sent = [lab.send(f"c{number}", f"n{number} = {number} + {turn}") for number in range(20)]
        for msg_id in sent:
            lab.finish(msg_id)
    assert lab.run(None, "print(len(waits))", store_history=False).text in {"0", "1", "2"}
