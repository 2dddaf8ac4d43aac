"""Messages wait in a queue: each is looked at once, errors and senders abort them, a burst is waited for once."""

import asyncio
from collections.abc import Callable

import pytest

from marimo_kernel_bridge.kernel.messaging import shell_queue
from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellQueue
from tests.unit.kernel.shell_messages import lab_cell, received


@pytest.fixture
def queue() -> ShellQueue:
    return ShellQueue(lambda: None)


@pytest.fixture(autouse=True)
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the machine have a load average, for each processor; none at first."""

    def set_load(average: float) -> None:
        monkeypatch.setattr("os.getloadavg", lambda: (8 * average,) * 3, raising=False)

    monkeypatch.setattr("os.cpu_count", lambda: 8)
    set_load(0)
    return set_load


def test_requests_for_cells_are_seen_until_their_turn(queue: ShellQueue) -> None:
    messages = [lab_cell(number) for number in range(50)]
    for message in messages:
        queue.add(message)
    queue.add(received("history_request", {}))
    for turn, message in enumerate(messages):
        assert [request.code for request in queue.now()] == [f"x{number} = 1" for number in range(turn, 50)]
        assert not queue.dequeue(message)
    assert (queue.now(), len(queue), queue.any_wait()) == ([], 1, True)


def test_values_wait_and_nothing_else_does(queue: ShellQueue) -> None:
    value = received("comm_msg", {"comm_id": "c", "data": {"method": "update"}})
    queue.add(value)
    assert (queue.any_wait(), queue.any_wait(but_values=True)) == (True, False)
    request = received("history_request", {})
    queue.add(request)
    assert queue.any_wait(but_values=True)
    queue.dequeue(request)
    assert not queue.any_wait(but_values=True)


def test_a_crowd_is_looked_at_in_parts(queue: ShellQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_queue, "_LOOKED_AT", 10)
    messages = [lab_cell(number) for number in range(40)]
    for message in messages:
        queue.add(message)
    assert len(queue.now()) == 10
    for message in messages[:4]:
        queue.dequeue(message)
    assert len(queue.now()) == 6
    queue.dequeue(messages[4])
    assert [request.notebook_cell_id for request in queue.now()] == [f"c{number}" for number in range(5, 15)]


def test_a_message_whose_turn_came_is_not_taken_for_one_that_is_at_its_address_in_memory(
    queue: ShellQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled, messages = ([lab_cell(number) for number in range(100)] for _ in range(2))
    addresses = {
        id(message): number for together in (handled, messages) for number, message in enumerate(together)
    }
    monkeypatch.setattr(shell_queue, "id", lambda message: addresses[id(message)], raising=False)
    for message in handled:
        queue.add(message)
    for message in handled:
        queue.dequeue(message)
    for message in messages:
        queue.add(message)
    assert [request.msg_id for request in queue.now()] == [message.msg_id for message in messages]


def test_an_error_aborts_what_waited_and_what_follows_within_a_time(
    queue: ShellQueue, clock: "Clock"
) -> None:
    waited, later, much_later = lab_cell(1), lab_cell(2), lab_cell(3)
    queue.add(waited)
    queue.note_waiting()
    queue.abort(within=0.1)
    queue.add(later)
    clock.now += 0.05
    assert queue.dequeue(later)
    clock.now += 10
    queue.add(much_later)
    assert not queue.dequeue(much_later)
    assert queue.dequeue(waited)


def test_an_error_aborts_no_other_windows_requests(queue: ShellQueue, clock: "Clock") -> None:
    mine, other = lab_cell(1, session="page"), lab_cell(2, session="agent")
    queue.add(mine)
    queue.add(other)
    queue.note_waiting()
    queue.abort(within=0.1, session="page")
    assert (queue.dequeue(other), queue.dequeue(mine)) == (False, True)


def test_what_is_sent_after_the_error_was_noted_is_not_aborted(queue: ShellQueue, clock: "Clock") -> None:
    queue.note_waiting()
    message = lab_cell(1)
    queue.add(message)
    queue.abort(within=0.0)
    assert not queue.dequeue(message)


def test_a_cancelled_request_does_not_start(queue: ShellQueue) -> None:
    wanted, cancelled = lab_cell(1), lab_cell(2)
    queue.add(wanted)
    queue.add(cancelled)
    assert cancelled.msg_id is not None
    queue.cancel(cancelled.msg_id)
    assert (queue.dequeue(wanted), queue.dequeue(cancelled)) == (False, True)
    assert queue.is_cancelled(cancelled.msg_id)


class Clock:
    """Time that passes only in sleep."""

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
    monkeypatch.setattr(shell_queue, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


def test_a_burst_that_is_over_is_not_waited_for_again_until_more_arrives(
    queue: ShellQueue, clock: Clock
) -> None:
    queue.add(lab_cell(1))
    asyncio.run(queue.soon())
    assert clock.slept == [0.05]
    asyncio.run(queue.soon())
    assert clock.slept == [0.05]
    queue.add(lab_cell(2))
    asyncio.run(queue.soon())
    assert clock.slept == [0.05, 0.05]


def test_what_has_passed_since_the_newest_request_came_is_not_waited_again(
    queue: ShellQueue, clock: Clock
) -> None:
    queue.add(lab_cell(1))
    clock.now += 0.03
    asyncio.run(queue.soon())
    assert clock.slept == [0.02]
    queue.add(lab_cell(2))
    clock.now += 1  # a cell ran
    asyncio.run(queue.soon())
    assert clock.slept == [0.02]


@pytest.mark.parametrize(("apart", "wait"), [([0.014, 0.002], 0.052), ([0.001, 0.0003], 0.013)])
def test_the_wait_is_as_long_as_the_front_ends_pace_asks_for(
    queue: ShellQueue, clock: Clock, apart: list[float], wait: float
) -> None:
    for seconds in apart:
        queue.sent_apart(seconds)
    queue.add(lab_cell(1))
    asyncio.run(queue.soon(hurried=True))
    assert clock.slept == [wait]
    queue.add(lab_cell(2))
    asyncio.run(queue.soon())
    assert clock.slept == [wait, max(wait, 0.05)]


@pytest.mark.parametrize(("for_each_processor", "wait"), [(1.5, 0.15), (3, 0.3), (1e6, 0.4)])
def test_on_a_busy_machine_requests_of_a_front_end_may_be_slow_the_first_burst_included(
    queue: ShellQueue, clock: Clock, load: Callable[[float], None], for_each_processor: float, wait: float
) -> None:
    load(for_each_processor)
    queue.add(lab_cell(1))
    asyncio.run(queue.soon(hurried=True))
    queue.sent_apart(0.001)
    queue.add(lab_cell(2))
    asyncio.run(queue.soon(hurried=True))
    assert clock.slept == [pytest.approx(wait), pytest.approx(wait)]


def test_what_a_page_says_of_an_element_begins_no_burst(queue: ShellQueue, clock: Clock) -> None:
    queue.add(lab_cell(1))
    asyncio.run(queue.soon())
    slept = list(clock.slept)
    for _ in range(3):
        queue.add(received("comm_msg", {"comm_id": "1", "data": {"type": "set"}}))
        asyncio.run(queue.soon(hurried=True))
    assert clock.slept == slept, "each move of a slider would wait for more"
    assert queue.any_wait()


def test_a_burst_without_an_end_is_not_waited_for(clock: Clock) -> None:
    def again() -> None:
        arriving.add(lab_cell(len(arriving)))

    arriving = ShellQueue(again)
    asyncio.run(arriving.soon())
    assert sum(clock.slept) == pytest.approx(0.4)
