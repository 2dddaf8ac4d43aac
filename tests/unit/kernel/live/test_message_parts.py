"""What pages leave behind of messages that come in parts is bounded, and each that is dropped is told."""

import pytest

from marimo_kernel_bridge.kernel.live import parts
from marimo_kernel_bridge.kernel.live.messages import Part
from marimo_kernel_bridge.kernel.live.parts import Parts


def part(whole: str, index: int, count: int = 2) -> Part:
    return Part(page="page", whole=whole, index=index, count=count, text=f"{whole}{index}")


def test_a_message_is_whole_with_its_last_part_in_whatever_order_they_come() -> None:
    told: list[str] = []
    coming = Parts(told.append)
    assert [coming.add(part("a", 1)), coming.add(part("b", 0)), coming.add(part("a", 0))] == [
        None,
        None,
        "a0a1",
    ]
    assert told == []


def test_who_sends_too_much_at_once_pushes_out_the_oldest_which_is_told() -> None:
    told: list[str] = []
    coming = Parts(told.append)
    for name in "abc":
        assert coming.add(part(name, 0)) is None
    assert told == ["only 2 are received at once: 1 of 2 parts had come"]
    assert coming.add(part("c", 1)) == "c0c1"


@pytest.mark.parametrize("wrong", [part("a", 2), part("a", 1, 3)], ids=["its index", "its count"])
def test_a_part_that_is_none_of_its_message_ends_that(wrong: Part) -> None:
    told: list[str] = []
    coming = Parts(told.append)
    coming.add(part("a", 0))
    assert coming.add(wrong) is None
    assert len(told) == 1
    assert coming.add(part("a", 1)) is None, "the first part is gone"


def test_what_a_page_leaves_behind_is_dropped_after_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    told, now = list[str](), [1000.0]
    monkeypatch.setattr(f"{parts.__name__}.time.monotonic", lambda: now[0])
    coming = Parts(told.append)
    coming.add(part("a", 0))
    now[0] += parts.LONGEST - 1
    coming.drop_old()
    assert told == []
    now[0] += 1
    coming.drop_old()
    assert told == ["no more came for 300 s: 1 of 2 parts had come"]
    assert coming.add(part("a", 1)) is None
