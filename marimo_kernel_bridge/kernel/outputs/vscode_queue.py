"""Detection of a Run All in VS Code, which queues its requests itself and sends each after the reply to the one before.

Estimates from the times of requests and replies whether another request may follow. Sends nothing.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

_QUIET: Final = 0.3
"""Seconds within which VS Code sends the next request of a Run All after it has received a reply."""

_LONGEST_ROUND_TRIP: Final = 1.0
"""Seconds; longer pauses between requests are those of a person, not of the network."""

_PAUSES: Final = 32


class VSCodeQueue:
    """The queue of VS Code's requests, as far as the kernel can see it."""

    def __init__(self) -> None:
        self._running = 0
        self._last_reply = 0.0
        self._pauses: deque[float] = deque(maxlen=_PAUSES)

    def request_begins(self) -> None:
        """Record the beginning of a request."""
        pause = time.monotonic() - self._last_reply
        if self._running == 0 and pause < _LONGEST_ROUND_TRIP:
            self._pauses.append(pause)
        self._running += 1

    def request_ends(self) -> None:
        """Record the reply to a request."""
        self._running = max(0, self._running - 1)
        self._last_reply = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether a Run All may be in progress."""
        return self._running > 0 or self.quiet_in() > 0

    def quiet_in(self) -> float:
        """Return the seconds until VS Code counts as quiet, 0 if it already does.

        The shortest of its recent pauses is an estimate of the round-trip time: VS Code may be far away.
        """
        quiet = _QUIET + min(self._pauses, default=0.0)
        return max(0.0, self._last_reply + quiet - time.monotonic())
