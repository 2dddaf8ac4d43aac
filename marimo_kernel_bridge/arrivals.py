"""Shell messages that were received and wait for their turn.

ipykernel hands each message to a task that waits for a lock; this keeps them in view: whether any wait, which of them
an error aborts, and which execute_requests of JupyterLab are among them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.answering import problem
from marimo_kernel_bridge.requests import address_of, is_for_a_cell
from marimo_kernel_bridge.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.routing import RoutingSession

# JupyterLab sends the requests of a Run All up to 14 ms apart (measured), on a busy machine more.
_BURST = 0.4  # seconds to wait for more of them at the most
_BURST_GAP = 0.05  # seconds without a new one end a burst


_LOOKED_AT = 1000  # messages at the most: thousands of requests shall not be looked at thousands of times


@dataclass
class _Received:
    """A message that waits, and the request in it once it was looked at."""

    frames: list[Any]
    aborted: bool = False
    looked_at: bool = False
    request: Waiting | None = None


class ShellArrivals:
    """See the module. Implements `look_ahead.Arrivals`."""

    def __init__(self, fetch: Callable[[], object], session: RoutingSession) -> None:
        """`fetch` has what is still in the socket noted with `received`."""
        self._fetch = fetch
        self._session = session
        self._waiting: dict[int, _Received] = {}  # by identity of the frames
        self._abort_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def received(self, frames: list[Any]) -> None:
        """Note a message."""
        self._waiting[id(frames)] = _Received(frames)

    def handled(self, frames: list[Any]) -> bool:
        """Forget a message whose turn has come. Returns whether an earlier error aborts it."""
        received = self._waiting.pop(id(frames), None)
        return received is not None and (received.aborted or time.monotonic() < self._abort_until)

    def abort(self, within: float) -> None:
        """After an error: abort the requests that wait, and those that follow `within` seconds."""
        self._fetch()
        for received in list(self._waiting.values()):
            received.aborted = True
        self._abort_until = time.monotonic() + within

    def any_wait(self) -> bool:
        """Tell whether messages wait, those still in the socket too."""
        self._fetch()
        return bool(self._waiting)

    def now(self) -> list[Waiting]:
        """Return the execute_requests of JupyterLab cells that wait, oldest first."""
        self._fetch()
        requests: list[Waiting] = []
        for received in islice(self._waiting.values(), _LOOKED_AT):
            if not received.looked_at:
                received.looked_at = True
                message = self._session.peek(received.frames)
                received.request = lab_request(message) if message and not problem(message) else None
            if received.request is not None:
                requests.append(received.request)
        return requests

    async def soon(self) -> list[Waiting]:
        """Wait until a burst of requests has arrived. Much shorter than a person's patience."""
        deadline, known = time.monotonic() + _BURST, -1
        while len(self._waiting) != known and time.monotonic() < deadline:
            known = len(self._waiting)
            await asyncio.sleep(_BURST_GAP)
            self._fetch()
        return self.now()


def lab_request(parent: dict[str, Any]) -> Waiting | None:
    """Return a request as it is looked at ahead; None if it is not for a cell of JupyterLab."""
    if parent["header"].get("msg_type") != "execute_request" or not is_for_a_cell(parent["content"]):
        return None
    address = address_of(parent)
    if address.dialect != "lab":
        return None
    return Waiting(str(parent["metadata"]["cellId"]), parent["content"]["code"], address)
