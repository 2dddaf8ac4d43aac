"""Requests that wait are looked at once each, and a burst of them is waited for once."""

import asyncio
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.messaging import shell_queue as arrivals
from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellArrivals


class Peeking:
    """A session that reads messages, and counts."""

    def __init__(self) -> None:
        self.peeked: list[int] = []

    def peek(self, frames: list[int]) -> dict[str, Any]:
        (number,) = frames
        self.peeked.append(number)
        header = {"msg_id": f"m{number}", "msg_type": "execute_request", "session": "page", "username": ""}
        content = {"code": f"x{number} = 1", "silent": False, "store_history": True, "allow_stdin": True}
        metadata = {"cellId": f"c{number}", "deletedCells": []}
        return {"header": header, "msg_id": header["msg_id"], "metadata": metadata, "content": content}


@pytest.fixture
def session() -> Peeking:
    return Peeking()


@pytest.fixture
def waiting(session: Peeking) -> ShellArrivals:
    return ShellArrivals(lambda: None, session)  # type: ignore[arg-type]  # it only peeks


def test_each_request_is_looked_at_once_however_often_one_asks(
    waiting: ShellArrivals, session: Peeking
) -> None:
    messages = [[number] for number in range(50)]
    for message in messages:
        waiting.received(message)
    for turn, message in enumerate(messages):
        assert [request.code for request in waiting.now()] == [f"x{number} = 1" for number in range(turn, 50)]
        waiting.handled(message)
    assert (session.peeked, waiting.now()) == (list(range(50)), [])


def test_a_crowd_is_looked_at_in_parts(
    waiting: ShellArrivals, session: Peeking, monkeypatch: pytest.MonkeyPatch
) -> None:
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


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(arrivals, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


def test_a_burst_that_is_over_is_not_waited_for_again_until_more_arrives(
    waiting: ShellArrivals, clock: Clock
) -> None:
    waiting.received([1])
    asyncio.run(waiting.soon())
    assert clock.slept == [0.05]
    asyncio.run(waiting.soon())
    assert clock.slept == [0.05]
    waiting.received([2])
    asyncio.run(waiting.soon())
    assert clock.slept == [0.05, 0.05]


def test_what_has_passed_since_the_newest_request_came_is_not_waited_again(
    waiting: ShellArrivals, clock: Clock
) -> None:
    waiting.received([1])
    clock.now += 0.03
    asyncio.run(waiting.soon())
    assert clock.slept == [0.02]
    waiting.received([2])
    clock.now += 1  # a cell ran
    asyncio.run(waiting.soon())
    assert clock.slept == [0.02]


@pytest.mark.parametrize(("apart", "wait"), [([0.014, 0.002], 0.052), ([0.001, 0.0003], 0.013)])
def test_the_wait_is_as_long_as_the_front_ends_pace_asks_for(
    waiting: ShellArrivals, clock: Clock, apart: list[float], wait: float
) -> None:
    for seconds in apart:
        waiting.sent_apart(seconds)
    waiting.received([1])
    asyncio.run(waiting.soon(hurried=True))
    assert clock.slept == [wait]
    waiting.received([2])
    asyncio.run(waiting.soon())
    assert clock.slept == [wait, max(wait, 0.05)]


def test_a_burst_without_an_end_is_not_waited_for(session: Peeking, clock: Clock) -> None:
    def again() -> None:
        arriving.received([len(arriving)])

    arriving = ShellArrivals(again, session)  # type: ignore[arg-type]  # it only peeks
    asyncio.run(arriving.soon())
    assert sum(clock.slept) == pytest.approx(0.4)
