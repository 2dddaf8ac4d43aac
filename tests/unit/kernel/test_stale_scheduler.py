"""Stale cells run in a request, after it, or once the front end is quiet: with a fake kernel and a fake clock."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.messaging.requests import Cause
from marimo_kernel_bridge.kernel.stale_scheduler import StaleScheduler


class Loop:
    """An event loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]] = []

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object:
        timer = (self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def remove_timeout(self, timeout: Any) -> None:
        self.timers.remove(timeout)

    def add_callback(self, callback: Callable[[], Any]) -> None:
        callback()

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback in due:
            await callback()


class Kernel:
    """A kernel of one stale cell, its own notebook and its own queue, which notes what happens."""

    def __init__(self) -> None:
        self.io_loop = Loop()
        self.one_at_a_time = asyncio.Lock()
        self.happened: list[str] = []
        self.stale = self.started = True
        self.waiting = self.holds = False
        self.quiet_at = 0.0
        self.scheduler = StaleScheduler(self)

    @property
    def notebook(self) -> "Kernel":
        return self

    queue = notebook

    @contextmanager
    def input_from_front_end(self, *, allowed: bool) -> Iterator[None]:
        self.happened.append("input" if allowed else "no input")
        yield

    @contextmanager
    def handling(self, cause: Cause) -> Iterator[None]:
        self.happened.append(f"busy for {cause.message['msg_id']}")
        yield
        self.happened.append("idle")

    def quiet_in(self) -> float:
        return max(self.quiet_at - self.io_loop.now, 0.0)

    async def run_stale_cells(self) -> None:
        assert self.scheduler.running
        if not self.waiting:
            self.stale = False
            self.happened.append("run")

    def close_request(self) -> bool:
        self.happened.append("close")
        return self.stale or self.holds

    def follow_up(self) -> bool:
        return self.started

    @property
    def unsettled(self) -> bool:
        return self.stale

    def any_wait(self) -> bool:
        return self.waiting

    async def soon(self, *, hurried: bool = False) -> None:
        self.happened.append("wait for a burst" if hurried else "wait")


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def cause(*, allow_stdin: bool = False, sends_bursts: bool = False) -> Cause:
    return Cause([b"client"], {"msg_id": "m1"}, allow_stdin, sends_bursts)


def test_stale_cells_run_within_a_request(kernel: Kernel) -> None:
    kernel.scheduler.caused_by(cause(allow_stdin=True))
    asyncio.run(kernel.scheduler.run_now())
    assert kernel.happened == ["input", "run", "close"]
    assert (kernel.scheduler.due, kernel.scheduler.running) == (False, False)


def test_a_burst_is_waited_for_where_the_front_end_sends_them_and_something_is_stale(kernel: Kernel) -> None:
    kernel.scheduler.caused_by(cause(sends_bursts=True))
    asyncio.run(kernel.scheduler.run_now())
    asyncio.run(kernel.scheduler.run_now())
    assert kernel.happened.count("wait for a burst") == 1
    assert kernel.happened[:2] == ["wait for a burst", "no input"]


def test_what_another_request_interrupts_goes_on_after_it(kernel: Kernel) -> None:
    kernel.scheduler.caused_by(cause())
    kernel.waiting = True
    asyncio.run(kernel.scheduler.run_now())
    assert kernel.stale
    assert kernel.scheduler.due
    kernel.happened.clear()
    asyncio.run(kernel.io_loop.pass_time(0.0))  # it still waits
    assert kernel.happened == []
    kernel.waiting = False
    asyncio.run(kernel.io_loop.pass_time(0.0))
    assert kernel.happened == ["busy for m1", "no input", "run", "close", "idle"]
    assert not kernel.scheduler.due


def test_stale_cells_wait_until_the_front_end_is_quiet(kernel: Kernel) -> None:
    kernel.scheduler.caused_by(cause())
    kernel.quiet_at = 0.3
    kernel.scheduler.run_later(kernel.quiet_in())
    asyncio.run(kernel.io_loop.pass_time(0.2))
    kernel.quiet_at = 0.5  # another request came
    asyncio.run(kernel.io_loop.pass_time(0.1))
    assert kernel.stale
    asyncio.run(kernel.io_loop.pass_time(0.2))
    assert not kernel.stale


def test_held_outputs_are_released_later(kernel: Kernel) -> None:
    kernel.scheduler.caused_by(cause())
    kernel.holds = True
    asyncio.run(kernel.scheduler.run_now())
    assert kernel.scheduler.due
    kernel.holds = False
    asyncio.run(kernel.io_loop.pass_time(0.0))
    assert kernel.happened.count("close") == 2
    assert not kernel.scheduler.due


def test_only_the_newest_time_counts_and_a_stop_cancels_it(kernel: Kernel) -> None:
    kernel.scheduler.run_later(1.0)
    kernel.scheduler.run_later(2.0)
    assert len(kernel.io_loop.timers) == 1
    kernel.scheduler.stop()
    assert (kernel.io_loop.timers, kernel.scheduler.due) == ([], False)


def test_a_wake_from_another_thread_schedules_a_run_in_the_loop(kernel: Kernel) -> None:
    kernel.quiet_at = 0.3
    kernel.scheduler.wake()
    assert [time for time, _ in kernel.io_loop.timers] == [0.3]


def test_nothing_runs_before_the_first_cell(kernel: Kernel) -> None:
    kernel.started = False
    kernel.scheduler.wake()
    asyncio.run(kernel.io_loop.pass_time(0.0))
    assert kernel.happened == []


def test_nothing_runs_between_requests_while_one_is_handled(kernel: Kernel) -> None:
    async def play() -> None:
        kernel.scheduler.caused_by(cause())
        kernel.scheduler.wake()
        async with kernel.one_at_a_time:
            timers = asyncio.create_task(kernel.io_loop.pass_time(0.0))
            await asyncio.sleep(0)
            assert kernel.stale
        await timers
        assert not kernel.stale

    asyncio.run(play())
