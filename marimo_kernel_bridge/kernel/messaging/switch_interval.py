"""The interval after which a thread that computes lets the thread that answers requests run.

Reads are answered on the control thread while a cell runs on the main thread. A thread that wants the interpreter waits
5 ms for one that computes, and an answer wants it several times, as each system call releases it. So while requests come
on control the interval is 1 ms: a read takes 3.7 ms instead of 17.6 ms (docs/performance.md). Code that computes in
several threads of Python pays at most 3 percent for that, code in one thread nothing.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

_QUICK: Final = 0.001
_LINGER: Final = 1.0  # seconds after the last request: a client that reads once often reads again


class ShortSwitchInterval:
    """A short interval while requests come. For the thread that answers them."""

    def __init__(self, linger: float = _LINGER) -> None:
        self._linger = linger
        self._before: float | None = None
        self._end: asyncio.TimerHandle | None = None

    def keep(self) -> None:
        """Shorten the interval until no request has come for a while. In a running loop."""
        usual = _now()
        if usual > _QUICK:
            self._before = usual
            sys.setswitchinterval(_QUICK)
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(self._linger, self._restore)

    def _restore(self) -> None:
        if self._before is not None and _now() == _QUICK:  # else user code has set another
            sys.setswitchinterval(self._before)
        self._before = self._end = None


def _now() -> float:
    return round(
        sys.getswitchinterval(), 6
    )  # Python keeps whole microseconds, and gives 0.049999999999999996
