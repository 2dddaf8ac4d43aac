"""Requests in the shell queue: their answers before their turn, and the bursts that they come in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from marimo_kernel_bridge.kernel.cells import Address, CellTable
from marimo_kernel_bridge.kernel.messaging.requests import LabRequest
from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswer, EarlyAnswers
from marimo_kernel_bridge.kernel.notebook.request_bursts import RequestBursts

START = datetime(2026, 1, 1, tzinfo=UTC)


def request(number: int, cell: str | None = None) -> LabRequest:
    header = {"msg_id": f"m{number}", "session": "page"}
    return LabRequest(
        header=header,
        code="",
        notebook_cell_id=cell or f"c{number}",
        address=Address("lab", header, "page"),
    )


class Queue:
    """A shell queue that is empty, and notes the pace of a front end."""

    def __init__(self) -> None:
        self.paces: list[float] = []

    def any_wait(self, *, but_values: bool = False) -> bool:  # noqa: ARG002  # none waits
        return False

    def now(self) -> list[LabRequest]:
        return []

    async def soon(self) -> list[LabRequest]:
        return []

    def cancel(self, request_id: str) -> None:
        pass

    def sent_apart(self, seconds: float) -> None:
        self.paces.append(round(seconds, 3))


def test_a_cell_that_ran_before_its_turn_answers_its_request_once() -> None:
    early = EarlyAnswers()
    early.add("cell", request(1))
    assert "cell" in early
    early.ran("cell", 7, None)
    assert "cell" not in early
    assert early.dequeue("m1") == EarlyAnswer("cell", 7)
    assert early.dequeue("m1") is None


def test_a_withdrawn_cell_has_no_answer_and_runs_at_its_turn() -> None:
    early = EarlyAnswers()
    early.replay("shown", request(1), 3)
    early.add("queued", request(2))
    early.withdraw("shown")
    early.withdraw("queued")
    assert "queued" not in early
    assert (early.dequeue("m1"), early.dequeue("m2")) == (None, None)


def test_a_request_that_is_dequeued_lets_its_cell_run_under_it() -> None:
    early = EarlyAnswers()
    early.add("cell", request(1))
    assert early.dequeue("other", "cell") is None
    assert "cell" in early
    assert early.dequeue("m1", "cell") is None
    assert "cell" not in early


def test_requests_are_unseen_once_and_a_cell_that_is_queued_twice_is_left_alone() -> None:
    early = EarlyAnswers()
    twice = [request(1, "a"), request(2, "b"), request(3, "a")]
    assert [r.notebook_cell_id for r in early.unseen(twice)] == ["b"]
    assert early.unseen(twice) == []
    assert [r.msg_id for r in early.unseen([*twice, request(4, "d")])] == ["m4"]


def sent(bursts: RequestBursts, cells: CellTable, *seconds: float, session: str = "page") -> list[str]:
    ids = []
    for number, second in enumerate(seconds):
        header: dict[str, Any] = {
            "msg_id": f"{session}{number}{second}",
            "date": START + timedelta(seconds=second),
        }
        address = Address("lab", header, session)
        entry = cells.add(f"{session}{number}", "", "notebook", address)
        bursts.note(entry, address)
        bursts.note(entry, address)  # noted once for each request
        ids.append(entry.cell.cell_id)
    return ids


def test_requests_as_fast_as_code_are_one_burst_and_tell_the_front_ends_pace() -> None:
    queue, cells = Queue(), CellTable()
    bursts = RequestBursts(queue)
    ids = sent(bursts, cells, 0.0, 0.01, 0.014)
    assert list(bursts.cell_ids) == ids
    assert queue.paces == [0.01, 0.004]
    assert [cells[cell_id].requested_at for cell_id in ids] == [1, 2, 3]


def test_a_pause_or_another_page_begins_a_burst() -> None:
    bursts, cells = RequestBursts(Queue()), CellTable()
    *_, last = sent(bursts, cells, 0.0, 0.01, 5.0)
    assert list(bursts.cell_ids) == [last]
    bursts.waited = True
    (other,) = sent(bursts, cells, 5.001, session="another")
    assert list(bursts.cell_ids) == [other]
    assert not bursts.waited
