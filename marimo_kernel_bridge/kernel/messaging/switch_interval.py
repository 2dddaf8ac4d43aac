"""How long the thread that answers requests waits for the one that computes.

Reads are answered on the control thread while a cell runs on the main thread. Python lets a thread that wants the
interpreter wait 5 ms for one that computes, and an answer wants it several times, for it lets go of it with each system
call. So while requests come on control the wait is 1 ms. Code that computes in several threads of Python pays at most 3
per cent for that, as long as somebody looks; code in one thread nothing. Owns that interval, and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

_QUICK: Final = 0.001
_LINGER: Final = 1.0  # seconds after the last request: whoever looks once often looks again


class QuickSwitches:
    """See the module. For one thread, the one that answers."""

    def __init__(self, linger: float = _LINGER) -> None:
        self._linger = linger
        self._before: float | None = None
        self._end: asyncio.TimerHandle | None = None

    def keep(self) -> None:
        """Wait less, from now until no request has come for a while. In a running loop."""
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
