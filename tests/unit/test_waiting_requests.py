"""Requests that wait are looked at once each, and a burst of them is waited for once."""

import asyncio

import pytest

from marimo_kernel_bridge import arrivals
from marimo_kernel_bridge.arrivals import ShellArrivals


class Peeking:
    """A session that reads messages, and counts."""

    def __init__(self):
        self.peeked = []

    def peek(self, frames):
        (number,) = frames
        self.peeked.append(number)
        header = {"msg_id": f"m{number}", "msg_type": "execute_request", "session": "page", "username": ""}
        content = {"code": f"x{number} = 1", "silent": False, "store_history": True, "allow_stdin": True}
        metadata = {"cellId": f"c{number}", "deletedCells": []}
        return {"header": header, "msg_id": header["msg_id"], "metadata": metadata, "content": content}


@pytest.fixture
def session():
    return Peeking()


@pytest.fixture
def waiting(session):
    return ShellArrivals(lambda: None, session)


def test_each_request_is_looked_at_once_however_often_one_asks(waiting, session):
    messages = [[number] for number in range(50)]
    for message in messages:
        waiting.received(message)
    for turn, message in enumerate(messages):
        assert [request.code for request in waiting.now()] == [f"x{number} = 1" for number in range(turn, 50)]
        waiting.handled(message)
    assert (session.peeked, waiting.now()) == (list(range(50)), [])


def test_a_crowd_is_looked_at_in_parts(waiting, session, monkeypatch):
    monkeypatch.setattr(arrivals, "_LOOKED_AT", 10)
    messages = [[number] for number in range(40)]
    for message in messages:
        waiting.received(message)
    assert len(waiting.now()) == 10
    for message in messages[:4]:
        waiting.handled(message)
    assert len(waiting.now()) == 6
    waiting.handled(messages[4])
    assert [request.notebook_cell_id for request in waiting.now()] == [
        f"c{number}" for number in range(5, 15)
    ]
    assert len(session.peeked) == 15


def test_a_burst_that_is_over_is_not_waited_for_again_until_more_arrives(waiting, monkeypatch):
    sleeps, sleep = [], asyncio.sleep
    monkeypatch.setattr(arrivals.asyncio, "sleep", lambda time: sleeps.append(time) or sleep(0))
    waiting.received([1])
    asyncio.run(waiting.soon())
    waited = len(sleeps)
    assert waited > 0
    asyncio.run(waiting.soon())
    assert len(sleeps) == waited
    waiting.received([2])
    asyncio.run(waiting.soon())
    assert len(sleeps) > waited
