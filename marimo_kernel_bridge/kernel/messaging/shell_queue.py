"""Shell messages that were received and wait for their turn.

ipykernel hands each message to a task that waits for a lock; this keeps them in view: whether any wait, which of them
an error aborts, and which execute_requests of JupyterLab are among them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.kernel.messaging.reply_guard import problem
from marimo_kernel_bridge.kernel.messaging.request_metadata import address_of, is_for_a_cell
from marimo_kernel_bridge.kernel.messaging.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.messaging.jupyter_session import RoutingSession

# JupyterLab sends the requests of a Run All up to 14 ms apart (measured), on a busy machine more.
_BURST = 0.4  # seconds to wait for more of them at the most
_BURST_GAP = 0.05  # seconds without a new one end a burst, as long as nothing is known of the front end
_ON_THE_WAY = 0.01  # once it is: seconds that one may take longer to get here than the one before,
_LONGEST = 3  # and this times the longest that it let pass between two
_GAPS = 50  # of the newest between the requests of bursts counts

_LOOKED_AT = 1000  # requests at the most that are looked at ahead; more when half of them are done
_CANCELLED = 100  # the newest that are kept: an id may come after its request began, and is never asked for


@dataclass
class _Received:
    """A message that waits."""

    frames: list[Any]
    aborted: bool = False


class ShellArrivals:
    """See the module. Implements `look_ahead.Arrivals`."""

    def __init__(self, fetch: Callable[[], object], session: RoutingSession) -> None:
        """`fetch` has what is still in the socket noted with `received`."""
        self._fetch = fetch
        self._session = session
        self._waiting: dict[int, _Received] = {}  # by identity of the frames
        self._requests: dict[int, Waiting] = {}  # of them, those that were looked at and are JupyterLab's
        self._unseen: deque[int] = deque()  # of them, those that were not looked at
        self._at_error: list[_Received] = []
        self._abort_until = 0.0
        self._arrived = 0  # messages, ever
        self._newest = 0.0  # when the last of them came
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._burst_over_at = -1  # so many had arrived when the last burst was waited for
        self._abort_session: str | None = None
        self._cancelled: deque[str] = deque(maxlen=_CANCELLED)

    def __len__(self) -> int:
        return len(self._waiting)

    def received(self, frames: list[Any]) -> None:
        """Note a message."""
        self._waiting[id(frames)] = _Received(frames)
        self._unseen.append(id(frames))
        self._arrived += 1
        self._newest = time.monotonic()

    def handled(self, frames: list[Any]) -> bool:
        """Forget a message whose turn has come. Returns whether an earlier error aborts it."""
        received = self._waiting.pop(id(frames), None)
        self._requests.pop(id(frames), None)
        if received is None:
            return False
        if received.aborted or (time.monotonic() < self._abort_until and self._is_to_abort(frames)):
            return True
        message = self._session.peek(frames) if self._cancelled else None
        return message is not None and self.is_cancelled(message["header"]["msg_id"])

    def cancel(self, request_id: str) -> None:
        """Let a request not start whose turn has not come; any thread, for the main one may run a cell."""
        self._cancelled.append(request_id)

    def is_cancelled(self, request_id: str) -> bool:
        """Tell whether who sent a request does not want it any more."""
        return request_id in self._cancelled

    def note_waiting(self) -> None:
        """Before an error is told: note which requests wait. Those that follow its reply were sent in spite of it."""
        self._fetch()
        self._at_error = list(self._waiting.values())

    def abort(self, within: float, session: str | None = None) -> None:
        """After an error: abort the requests noted, and those that follow `within` seconds; those of one session.

        A person's Run All ends with the error, an agent's request beside it does not, nor that of another window.
        """
        self._abort_session = session
        for received in self._at_error:
            received.aborted = received.aborted or self._is_to_abort(received.frames)
        self._at_error = []
        self._abort_until = time.monotonic() + within

    def _is_to_abort(self, frames: list[Any]) -> bool:
        if self._abort_session is None:
            return True
        message = self._session.peek(frames)
        return message is None or message["header"].get("session") == self._abort_session

    def any_wait(self) -> bool:
        """Tell whether messages wait, those still in the socket too."""
        self._fetch()
        return bool(self._waiting)

    def now(self) -> list[Waiting]:
        """Return the execute_requests of JupyterLab cells that wait, oldest first."""
        self._fetch()
        if len(self._requests) <= _LOOKED_AT // 2:
            while self._unseen and len(self._requests) < _LOOKED_AT:
                self._look_at(self._unseen.popleft())
        return list(self._requests.values())

    def _look_at(self, key: int) -> None:
        received = self._waiting.get(key)
        message = None if received is None else self._session.peek(received.frames)
        request = lab_request(message) if message and not problem(message) else None
        if request is not None:
            self._requests[key] = request

    async def soon(self, *, hurried: bool = False) -> list[Waiting]:
        """Wait until a burst of requests has arrived. Much shorter than a person's patience.

        Once for a burst: not again as long as nothing more has come. `hurried`: no longer than the front end's pace
        asks for, as it may be that nothing comes.
        """
        self._fetch()
        gap = self._pace if hurried else max(self._pace, _BURST_GAP)
        deadline = time.monotonic() + _BURST
        while self._arrived != self._burst_over_at:
            left = min(self._newest + gap, deadline) - time.monotonic()
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
        return _ON_THE_WAY + _LONGEST * max(self._gaps) if self._gaps else _BURST_GAP


def lab_request(parent: dict[str, Any]) -> Waiting | None:
    """Return a request as it is looked at ahead; None if it is not for a cell of JupyterLab."""
    if parent["header"].get("msg_type") != "execute_request" or not is_for_a_cell(parent["content"]):
        return None
    address = address_of(parent)
    if address.dialect != "lab":
        return None
    return Waiting(str(parent["metadata"]["cellId"]), parent["content"]["code"], address)
