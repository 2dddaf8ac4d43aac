"""The end of a kernel that nobody has used for some time, as kernels of sessions have it.

A request is a use, from its arrival to its end, and so are dependents that run after it. A connection is none: a window that is
left open keeps no kernel.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Timers(Protocol):
    """The timers of an event loop, as tornado's `IOLoop` has them."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...


class IdleEnd:
    """A watch over the time since the last use, on a clock that nobody sets. Any thread may use it."""

    def __init__(
        self,
        ttl: float,
        timers: Timers,
        busy: Callable[[], bool],
        end: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl = ttl
        self._timers = timers
        self._busy = busy
        self._end = end
        self._clock = clock
        self._uses: set[object] = set()  # those under way; threads of subshells add to it, too
        self._used = clock()
        timers.call_later(ttl, self._look)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use the kernel, and count from the end of that on."""
        use = object()
        self._uses.add(use)
        try:
            yield
        finally:
            self._uses.discard(use)
            self._used = self._clock()

    def _look(self) -> object:
        """End, or look again later. Returns what the loop is to wait for."""
        if self._uses or self._busy():
            self._used = self._clock()
        left = self._used + self._ttl - self._clock()
        if left > 0:
            return self._timers.call_later(left, self._look)
        return self._end()
