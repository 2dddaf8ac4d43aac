"""A kernel ends itself after some time without a request, on a clock of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.kernel.idle_end import FIRST_USE, IdleEnd

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 10.0


class Clock:
    """A clock, and the timers on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, Callable[[], Any]]] = []

    def __call__(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object:
        self._due.append((self.now + delay, callback))
        return callback

    def passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and min(at for at, _ in self._due) <= until:
            first = min(self._due, key=lambda timer: timer[0])
            self._due.remove(first)
            self.now = first[0]
            first[1]()
        self.now = until


class Kernel:
    def __init__(self, ttl: float = TTL) -> None:
        self.clock = Clock()
        self.busy = False
        self.ends: list[float] = []
        begin = self.clock.now
        self.idle = IdleEnd(
            ttl,
            self.clock,
            lambda: self.busy,
            lambda: self.ends.append(self.clock.now - begin),
            self.clock,
        )


def test_a_kernel_that_nobody_uses_ends_once() -> None:
    kernel = Kernel()
    kernel.clock.passes(TTL * 5)
    assert kernel.ends == [TTL]


def test_a_request_counts_from_its_end() -> None:
    kernel = Kernel()
    kernel.clock.passes(3)
    with kernel.idle.use():
        kernel.clock.passes(TTL * 3)
    kernel.clock.passes(TTL - 0.1)
    assert kernel.ends == []
    kernel.clock.passes(0.2)
    assert kernel.ends == [3 + TTL * 4]


def test_a_request_beside_another_does_not_end_its_use() -> None:
    kernel = Kernel()
    with kernel.idle.use():
        with kernel.idle.use():
            pass
        kernel.clock.passes(TTL * 3)
    assert kernel.ends == []


def test_what_runs_between_requests_keeps_the_kernel() -> None:
    kernel = Kernel()
    kernel.busy = True
    kernel.clock.passes(TTL * 3.5)
    kernel.busy = False
    kernel.clock.passes(TTL)
    assert kernel.ends == [TTL * 4]


def test_a_kernel_that_nobody_ever_uses_ends_soon_after_its_start() -> None:
    kernel = Kernel(ttl=3600)
    kernel.clock.passes(3600)
    assert kernel.ends == [FIRST_USE]


def test_a_kernel_that_was_used_once_stays_for_its_time() -> None:
    kernel = Kernel(ttl=3600)
    kernel.clock.passes(5)
    with kernel.idle.use():
        pass
    kernel.clock.passes(7200)
    assert kernel.ends == [5 + 3600]
