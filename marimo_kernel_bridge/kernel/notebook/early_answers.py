"""Answers to queued requests whose cells need not run when their turn comes. Values only.

A cell with a queued request may run before its turn, because another cell needs it; or its outputs are still fresh and
are sent again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.kernel.messaging.requests import LabRequest
    from marimo_kernel_bridge.protocol.notebook import CellError


@dataclass(frozen=True)
class EarlyAnswer:
    """The answer to a request without a run of its cell. `replay`: the cell's outputs must be sent again."""

    cell_id: str
    execution_count: int | None
    error: CellError | None = None
    replay: bool = False


@dataclass
class EarlyAnswers:
    """The state of queued requests that lookahead has read: cells with a queued request, and answers."""

    _cells: dict[str, str] = field(default_factory=dict)  # cell id -> message id of its request
    _answers: dict[str, EarlyAnswer] = field(default_factory=dict)  # by message id
    _seen: set[str] = field(default_factory=set)

    def __contains__(self, cell_id: str) -> bool:
        """Return whether a cell has a queued request."""
        return cell_id in self._cells

    def unseen(self, requests: Iterable[LabRequest]) -> list[LabRequest]:
        """Return the requests not seen before whose cell has only one request waiting."""
        requests = list(requests)
        if not requests or requests[-1].msg_id in self._seen:
            return []  # they come in order
        times = Counter(request.notebook_cell_id for request in requests)
        unseen = [r for r in requests if r.msg_id not in self._seen and times[r.notebook_cell_id] == 1]
        self._seen = {request.msg_id for request in requests}
        return unseen

    def add(self, cell_id: str, request: LabRequest) -> None:
        """Record the queued request of a cell."""
        self._cells[cell_id] = request.msg_id

    def ran(self, cell_id: str, execution_count: int | None, error: CellError | None) -> None:
        """Record that a cell ran before its turn."""
        self._answers[self._cells.pop(cell_id)] = EarlyAnswer(cell_id, execution_count, error)

    def replay(self, cell_id: str, request: LabRequest, execution_count: int | None) -> None:
        """Record that a request needs no run, because the cell's outputs are still fresh."""
        self._answers[request.msg_id] = EarlyAnswer(cell_id, execution_count, replay=True)

    def withdraw(self, cell_id: str) -> None:
        """Forget the queued request of a cell that has changed, so that the request runs the cell."""
        self._cells.pop(cell_id, None)
        for msg_id in [msg_id for msg_id, answer in self._answers.items() if answer.cell_id == cell_id]:
            del self._answers[msg_id]

    def dequeue(self, msg_id: str, cell_id: str | None = None) -> EarlyAnswer | None:
        """Forget a request whose turn has come, also to be aborted; return its answer if it has one."""
        if cell_id is not None and self._cells.get(cell_id) == msg_id:
            del self._cells[cell_id]
        return self._answers.pop(msg_id, None)
