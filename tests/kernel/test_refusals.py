"""Which queued requests an error aborts, over real sockets."""

import os

import pytest


def test_an_error_aborts_what_is_queued_behind_it(lab):
    pending = [lab.send("one", "1 / 0"), lab.send("two", "print('never')")]
    replies = [lab.finish(msg_id) for msg_id in pending]
    assert [reply.content["status"] for reply in replies] == ["error", "aborted"]


WAIT_AFTER_ERRORS = """
def send(*args, kernel=get_ipython().kernel, send=get_ipython().kernel.session.send, **options):
    sent = send(*args, **options)
    if args[1:2] == ("execute_reply",) and args[2:] and args[2]["status"] == "error":
        assert kernel.shell_stream.socket.poll(60_000)
    return sent
get_ipython().kernel.session.send = send
"""


def test_an_error_does_not_abort_what_is_sent_after_its_reply(lab):
    lab.run(None, WAIT_AFTER_ERRORS, store_history=False)
    failed = lab.send("one", "1 / 0")
    assert lab._reply(failed, lab.client.shell_channel)["content"]["status"] == "error"
    assert lab.run("two", "'in spite of it'").text == "'in spite of it'"


@pytest.mark.parametrize("dialect", ["agent", "lab"])
def test_an_error_does_not_abort_what_somebody_else_has_queued(lab, connect, tmp_path, dialect):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    other = connect(dialect)
    lab.run("zero", "zero = 0")
    pending = [lab.send("one", f"open({str(gate)!r}).read()\n1 / zero"), lab.send("two", "print('never')")]
    theirs = other.send(None if dialect == "agent" else "three", "print('mine')")
    with gate.open("w"):
        pass
    assert [lab.finish(msg_id).content["status"] for msg_id in pending] == ["error", "aborted"]
    assert other.finish(theirs).text == "mine"
