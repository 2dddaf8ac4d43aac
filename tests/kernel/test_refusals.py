"""marimo's own errors reach the front end as errors that name the cells and say what to do."""

import os

import pytest


def test_two_cells_that_define_one_name_are_told_apart(strict):
    strict.run("one", "a = 1")
    reply = strict.run("two", "a = 2")
    assert reply.content["ename"] == "MultipleDefinitionError"
    assert "cell [2] `a = 1`" in reply.text
    assert "`_a`" in reply.text
    assert strict.run(None, "a", store_history=False).text == "1"


def test_a_refused_cell_runs_by_itself_when_the_conflict_is_gone(strict):
    strict.run("one", "a = 1")
    strict.run("two", "a = 2")
    strict.run("three", "print(a)")
    strict.run("one", "other = 1")
    assert strict.outputs("two") == ()
    assert strict.text("three") == "2"


def test_a_cycle_is_shown_in_each_of_its_cells(lab):
    lab.run("one", "p = s")
    reply = lab.run("two", "s = p")
    assert reply.content["ename"] == "CycleError"
    for cell in ("one", "two"):
        assert "CycleError" in lab.text(cell)
        assert "p, s" in lab.text(cell)
    lab.run("two", "s = 1")
    lab.run("one", "p = s; print(p)")
    assert lab.text("one") == "1"


def test_import_star_is_refused(strict):
    reply = strict.run("one", "from math import *")
    assert not reply.ok
    assert "import" in reply.text.lower()


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


def test_a_refused_cell_below_one_that_runs_again_leaves_the_kernel_idle(strict):
    strict.run("z", "z = 1")
    strict.run("x", "x = 1")
    strict.run("clash", "x = z")
    strict.run("z", "z = 2")
    strict.sync()
    seen = len(strict.seen)
    for _ in range(3):
        strict.sync()
    assert len([m for m in strict.seen[seen:] if m["msg_type"] == "status"]) == 6
