"""The queue of received shell messages.

ipykernel hands each message to a task that waits for a lock; the queue makes the waiting messages visible: whether there
are any, which of them an error aborts, and which are requests for JupyterLab's cells. `requests` parses the messages.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.messaging.requests import LabRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames

# JupyterLab sends the requests of a Run All up to 14 ms apart (measured), on a busy machine more.
_BURST = 0.4  # seconds to wait for more of them at the most
_BURST_GAP = 0.05  # seconds without a new one end a burst, as long as nothing is known of the front end
_ON_THE_WAY = 0.01  # once it is: seconds that one may take longer to get here than the one before,
_LONGEST = 3  # and this times the longest that it let pass between two
# On a busy machine, seconds without a new one for each process that wants to run on a processor, up to _BURST: a page
# that waits for its turn lets 75 ms and more pass between two (seen at 1.5 processes for each processor).
_FOR_EACH_PROCESS = 0.1
_GAPS = 50  # of the newest between the requests of bursts counts

_LOOKED_AT = 1000  # requests at the most that are looked at ahead; more when half of them are done
_CANCELLED = 100  # the newest ids that are kept: one may come after its request began, and is never looked up


@dataclass
class _Queued:
    """A message that waits."""

    frames: ReceivedFrames
    aborted: bool = False


class ShellQueue:
    """The messages of the main shell, or of a subshell, that wait."""

    def __init__(self, fetch: Callable[[], object]) -> None:
        """`fetch` reads what is still in the socket and adds it with `add`."""
        self._fetch = fetch
        self._queued: dict[int, _Queued] = {}  # by identity of the frames
        self._requests: dict[int, LabRequest] = {}  # of them, those that were looked at and are JupyterLab's
        self._unseen: deque[ReceivedFrames] = deque()  # of them, those that were not looked at
        self._at_error: list[_Queued] = []
        self._abort_until = 0.0
        self._newest = 0.0  # when the last message came
        # A page's messages about elements and widgets are no part of a burst.
        self._arrived = 0  # execute_requests, ever
        self._newest_request = 0.0  # when the last of them came
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._burst_over_at = -1  # so many had arrived when the last burst was waited for
        self._abort_session: str | None = None
        self._cancelled: deque[str] = deque(maxlen=_CANCELLED)

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, frames: ReceivedFrames) -> None:
        """Add a message that was received."""
        self._queued[id(frames)] = _Queued(frames)
        self._unseen.append(frames)
        self._newest = time.monotonic()
        if frames.is_execute_request:
            self._arrived += 1
            self._newest_request = self._newest

    def dequeue(self, frames: ReceivedFrames) -> bool:
        """Remove a message whose turn has come. Return whether an earlier error, or its sender, aborts it."""
        queued = self._queued.pop(id(frames), None)
        self._requests.pop(id(frames), None)
        # Left in there, it would be taken for a later message that is at the same address.
        while self._unseen and id(self._unseen[0]) not in self._queued:
            self._unseen.popleft()
        if queued is None:
            return False
        if queued.aborted or (time.monotonic() < self._abort_until and self._is_to_abort(frames)):
            return True
        return frames.msg_id in self._cancelled

    def cancel(self, request_id: str) -> None:
        """Cancel a request that has not started. Any thread, because the main thread may run a cell."""
        self._cancelled.append(request_id)

    def is_cancelled(self, request_id: str) -> bool:
        """Return whether the sender of a request has cancelled it."""
        return request_id in self._cancelled

    def note_waiting(self) -> None:
        """Record the queued requests before an error is reported: later ones were sent after seeing it."""
        self._fetch()
        self._at_error = list(self._queued.values())

    def abort(self, within: float, session: str | None = None) -> None:
        """Abort the requests noted, and those that follow `within` seconds; those of one session.

        A person's Run All ends with the error, an agent's request beside it does not, nor that of another window.
        """
        self._abort_session = session
        for queued in self._at_error:
            queued.aborted = queued.aborted or self._is_to_abort(queued.frames)
        self._at_error = []
        self._abort_until = time.monotonic() + within

    def _is_to_abort(self, frames: ReceivedFrames) -> bool:
        return self._abort_session is None or frames.message is None or frames.session == self._abort_session

    @property
    def newest(self) -> float:
        """The monotonic time at which the last message arrived, 0 if none has."""
        return self._newest

    def any_wait(self, *, but_values: bool = False) -> bool:
        """Return whether messages wait, including those still in the socket.

        `but_values`: those that only set an element or a widget do not count.
        """
        self._fetch()
        if but_values:
            return any(not queued.frames.sets_value for queued in self._queued.values())
        return bool(self._queued)

    def now(self) -> list[LabRequest]:
        """Return the queued requests for JupyterLab's cells, oldest first."""
        self._fetch()
        if len(self._requests) <= _LOOKED_AT // 2:
            while self._unseen and len(self._requests) < _LOOKED_AT:
                self._look_at(self._unseen.popleft())
        return list(self._requests.values())

    def _look_at(self, frames: ReceivedFrames) -> None:
        request = frames.cell_request if id(frames) in self._queued else None
        if isinstance(request, LabRequest):
            self._requests[id(frames)] = request

    async def soon(self, *, hurried: bool = False) -> list[LabRequest]:
        """Wait until a burst of requests has arrived. Much shorter than a person's patience.

        Once for a burst: not again as long as nothing more has come. `hurried`: no longer than the front end's pace
        requires, as it may be that nothing comes.
        """
        self._fetch()
        gap = self._pace if hurried else max(self._pace, _BURST_GAP)
        deadline = time.monotonic() + _BURST
        while self._arrived != self._burst_over_at:
            left = min(self._newest_request + gap, deadline) - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(left)
            self._fetch()
        self._burst_over_at = self._arrived
        return self.now()

    def sent_apart(self, seconds: float) -> None:
        """Note how far apart two requests of one burst were sent."""
        self._gaps.append(seconds)

    @property
    def _pace(self) -> float:
        pace = _ON_THE_WAY + _LONGEST * max(self._gaps) if self._gaps else _BURST_GAP
        return max(pace, min(_FOR_EACH_PROCESS * load, _BURST)) if (load := _load()) > 1 else pace


def _load() -> float:
    """Return how many processes want to run for each processor: above 1, any of them may hold up a request on its way."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none
        return 0.0
