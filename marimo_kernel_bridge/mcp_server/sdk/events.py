"""What happens in a kernel, as events that name their kind, newest last. Pure.

An event holds no output and no code: it says what to read. Those of requests come from the kernel's messages to everybody, those of
cells from a comparison of the cells before and after.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.protocol.notebook import Cell

Kind = Literal["executing", "output", "completed", "error", "state_changed"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

KEPT: Final = 500
_LONGEST_NAME: Final = 40


@dataclass(frozen=True)
class Event:
    """Something that happened. `number` grows by one with each event of a kernel; `at` is seconds since the epoch.

    `cell_id` is set for events of cells, `request_id` and `client` for those of requests; `ours`: this client sent the request.
    """

    number: int
    at: float
    kind: Kind
    client: str = ""
    request_id: str | None = None
    ours: bool = False
    cell_id: str | None = None


class Events:
    """The newest events of one kernel."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self.newest = 0

    def of_request(self, kind: Kind, request_id: str, client: str, at: float, *, ours: bool) -> None:
        """Add an event. Output of one request that nothing interrupts is one event, the last one."""
        self.newest += 1
        event = Event(self.newest, at, kind, client[:_LONGEST_NAME], request_id, ours)
        last = self._kept[-1] if self._kept else None
        if last is not None and replace(event, number=last.number, at=last.at) == last and kind == "output":
            self._kept.pop()
        self._kept.append(event)

    def of_cell(self, kind: Kind, cell_id: str, client: str, at: float) -> None:
        self.newest += 1
        self._kept.append(Event(self.newest, at, kind, client[:_LONGEST_NAME], cell_id=cell_id))

    def since(self, number: int, kind: Kind | None = None) -> Iterator[Event]:
        """Yield what came after an event, the oldest first."""
        return (event for event in tuple(self._kept) if event.number > number and kind in {None, event.kind})


def kind_of_change(old: Cell | None, new: Cell | None) -> Kind:
    """Return what a difference between two looks at a cell means."""
    if new is None:
        return "state_changed"
    if new.status == "running":
        return "executing"
    ran = old is None or (old.status, old.last_run_at) != (new.status, new.last_run_at)
    if ran and new.status in {"error", "refused", "interrupted"}:
        return "error"
    if ran and new.status == "ok":
        return "completed"
    return "state_changed"
