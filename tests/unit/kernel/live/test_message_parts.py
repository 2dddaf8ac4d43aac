"""What pages leave behind of messages that come in parts is bounded, and each that is dropped is told."""

from typing import Any

import pytest

from marimo_kernel_bridge.kernel.live import parts
from marimo_kernel_bridge.kernel.live.messages import Part
from marimo_kernel_bridge.kernel.live.parts import Parts

ONE: Any = object()  # two carriers, which are only told apart
OTHER: Any = object()


def part(whole: str, index: int, count: int = 2, text: str = "") -> Part:
    return Part(page="page", whole=whole, index=index, count=count, text=text or f"{whole}{index}")


def test_a_message_is_whole_with_its_last_part_in_whatever_order_they_come() -> None:
    told: list[str] = []
    coming = Parts(told.append)
    assert [coming.add(part(whole, index), ONE) for whole, index in (("a", 1), ("b", 0), ("a", 0))] == [
        None,
        None,
        "a0a1",
    ]
    assert told == []


def test_what_is_too_much_at_once_pushes_out_the_oldest_which_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "MOST", 5_000_000)
    told: list[str] = []
    coming = Parts(told.append)
    for _ in range(3):  # sent again, it takes no more
        assert coming.add(part("a", 0, text="a" * 2_000_000), ONE) is None
    assert coming.add(part("b", 0, text="b" * 2_000_000), ONE) is None
    assert told == []
    assert coming.add(part("b", 1, text="b" * 2_000_000), ONE) == "b" * 4_000_000
    assert told == ["5 MB and 16 messages are received at once: 1 of 2 parts had come"]
    for number in range(20):
        assert coming.add(part(f"{number} ", 0), ONE) is None
    assert len(told) == 5
    assert coming.add(part("19 ", 1), ONE) == "19 019 1"


def test_parts_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST", 5_000_000)
    told: list[str] = []
    coming = Parts(told.append)
    assert coming.add(part("a", 0, text="é" * 2_000_000), ONE) is None
    assert told == []
    assert coming.add(part("b", 0, text="\ud800" * 1_000_000), ONE) is None
    assert told == ["5 MB and 16 messages are received at once: 1 of 2 parts had come"]


@pytest.mark.parametrize("wrong", [part("a", 2), part("a", 1, 3)], ids=["its index", "its count"])
def test_a_part_that_is_none_of_its_message_ends_that(wrong: Part) -> None:
    told: list[str] = []
    coming = Parts(told.append)
    coming.add(part("a", 0), ONE)
    assert coming.add(wrong, ONE) is None
    assert len(told) == 1
    assert coming.add(part("a", 1), ONE) is None, "the first part is gone"


def test_what_a_page_leaves_behind_is_dropped_after_some_looks_without_a_part() -> None:
    told: list[str] = []
    coming = Parts(told.append)
    coming.add(part("a", 0, 3), ONE)
    for _ in range(5):
        coming.look()
    coming.add(part("a", 1, 3), ONE)
    for _ in range(5):
        coming.look()
    assert told == []
    coming.look()
    assert told == ["no more came for a minute: 2 of 3 parts had come"]
    assert not coming
    assert coming.add(part("a", 2, 3), ONE) is None


def test_what_has_come_of_a_page_is_dropped_when_it_closes() -> None:
    told: list[str] = []
    coming = Parts(told.append)
    coming.add(part("a", 0), ONE)
    coming.add(part("b", 0), OTHER)
    coming.drop_those_on(ONE)
    assert told == ["its page was closed: 1 of 2 parts had come"]
    assert coming.add(part("b", 1), OTHER) == "b0b1"
    assert not coming
