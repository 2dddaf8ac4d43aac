"""Requests that wait, and the answers to those whose cells need not run when their turn comes. Values only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.kernel.cells import Address
    from marimo_kernel_bridge.protocol.notebook import CellError


@dataclass(frozen=True)
class Waiting:
    """An execute_request that was received and not yet handled."""

    notebook_cell_id: str
    code: str
    address: Address

    @property
    def msg_id(self) -> str:
        """The id of the request."""
        return str(self.address.parent["msg_id"])


@dataclass(frozen=True)
class Answer:
    """How to answer a request whose cell ran before its turn. `replay`: its outputs are still to be sent."""

    cell_id: str
    execution_count: int | None
    error: CellError | None = None
    replay: bool = False


@dataclass
class Queue:
    """What was learnt from requests that wait."""

    _cells: dict[str, str] = field(default_factory=dict)  # cell id -> message id of its request
    _answers: dict[str, Answer] = field(default_factory=dict)  # by message id
    _looked_at: set[str] = field(default_factory=set)

    def __contains__(self, cell_id: str) -> bool:
        return cell_id in self._cells

    def new(self, requests: Iterable[Waiting]) -> list[Waiting]:
        """Return the requests not seen before whose cell has only one request waiting."""
        requests = list(requests)
        if not requests or requests[-1].msg_id in self._looked_at:
            return []  # they come in order
        times = Counter(request.notebook_cell_id for request in requests)
        fresh = [r for r in requests if r.msg_id not in self._looked_at and times[r.notebook_cell_id] == 1]
        self._looked_at = {request.msg_id for request in requests}
        return fresh

    def add(self, cell_id: str, request: Waiting) -> None:
        """Note that a cell's own request waits."""
        self._cells[cell_id] = request.msg_id

    def ran(self, cell_id: str, execution_count: int | None, error: CellError | None) -> None:
        """Note that a cell ran before its turn."""
        self._answers[self._cells.pop(cell_id)] = Answer(cell_id, execution_count, error)

    def replay(self, cell_id: str, request: Waiting, execution_count: int | None) -> None:
        """Note that a request needs no run: what the cell showed is still fresh."""
        self._answers[request.msg_id] = Answer(cell_id, execution_count, replay=True)

    def withdraw(self, cell_id: str) -> None:
        """Forget what is known of a cell's waiting request: something else happened to the cell."""
        self._cells.pop(cell_id, None)
        for msg_id in [msg_id for msg_id, answer in self._answers.items() if answer.cell_id == cell_id]:
            del self._answers[msg_id]

    def take_turn(self, msg_id: str, cell_id: str | None = None) -> Answer | None:
        """Forget a request whose turn has come, also to be aborted; return its answer if its cell ran already."""
        if cell_id is not None and self._cells.get(cell_id) == msg_id:
            del self._cells[cell_id]
        return self._answers.pop(msg_id, None)
