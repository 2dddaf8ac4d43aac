"""The timing of requests for cells: which of them a front end sent as one burst, for a Run All or a selection.

JupyterLab sends the requests of a Run All from top to bottom, faster than any person. Pure, but for the pace that it
reports to the shell queue.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.cells import Address, Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.messaging.requests import LabRequest

AT_ONCE: Final = 0.5
"""Seconds between two requests of one Run All at the most; a person takes longer to go to another cell."""

AS_FAST_AS_CODE: Final = 0.025
"""Seconds between two requests of one Run All, sent while nobody waits for answers: no person is as fast."""


class RequestQueue(Protocol):
    """The shell messages that were received and not yet handled."""

    def any_wait(self, *, but_values: bool = False) -> bool:
        """Return whether any message waits, of whatever kind. `but_values`: that is more than a value of an element."""
        ...

    def now(self) -> list[LabRequest]:
        """Return the queued requests for JupyterLab's cells, oldest first."""
        ...

    async def soon(self) -> list[LabRequest]:
        """Wait briefly until no more requests arrive, and return them."""
        ...

    def cancel(self, request_id: str) -> None:
        """Prevent a queued request from starting. Any thread."""
        ...

    def sent_apart(self, seconds: float) -> None:
        """Note how far apart two requests were sent by code, as those of a Run All are."""
        ...


class RequestBursts:
    """The order in which cells were requested, and the newest burst."""

    def __init__(self, queue: RequestQueue) -> None:
        self.cell_ids: dict[str, None] = {}  # cells of the newest requests, sent too fast for a person
        self.waited = False  # for more of them, because others already waited
        self._queue = queue
        self._clock = itertools.count(1)
        self._newest: Address | None = None

    def note(self, entry: Entry, address: Address) -> None:
        """Note that there is a request for a cell; once for each request."""
        msg_id = address.parent["msg_id"]
        if entry.requested_by == msg_id:
            return
        entry.requested_by = msg_id
        entry.requested_before, entry.requested_at = entry.requested_at, next(self._clock)
        before, self._newest = self._newest, address
        same_page = before is not None and before.session == address.session
        apart = seconds_between(before.parent, address.parent) if before is not None and same_page else None
        if apart is None or apart >= AS_FAST_AS_CODE:
            self._begin()
        elif address.dialect == "lab":
            self._queue.sent_apart(apart)
        if entry.cell.cell_id in self.cell_ids:
            self._begin()
        self.cell_ids[entry.cell.cell_id] = None

    def _begin(self) -> None:
        self.cell_ids.clear()
        self.waited = False


def sent_at_once(requests: Sequence[Header], within: float = AT_ONCE) -> bool:
    """Return whether a front end sent requests (by their headers) as one."""
    apart = (seconds_between(first, second) for first, second in pairwise(requests))
    return all(seconds is not None and seconds < within for seconds in apart)


def seconds_between(first: Header, second: Header) -> float | None:
    """Return how far apart two requests were sent, by the sender's clock."""
    times = _time(first.get("date")), _time(second.get("date"))
    return None if times[0] is None or times[1] is None else abs((times[1] - times[0]).total_seconds())


def _time(date: Any) -> datetime | None:  # from outside; jupyter_client parses some
    if isinstance(date, datetime):
        return date
    try:
        return datetime.fromisoformat(date)
    except (TypeError, ValueError):
        return None
