"""What a kernel's life is after each event."""

from __future__ import annotations

import pytest

from marimo_kernel_bridge.client.life import KernelInfo, KernelLife


def info(session: str | None) -> KernelInfo:
    return KernelInfo("ipykernel", "7", "python", "3.12", session)


def alive(session: str | None = "first") -> KernelLife:
    life = KernelLife()
    life.answered(info(session))
    return life


def test_a_kernel_is_unmet_until_it_answers() -> None:
    life = KernelLife()
    assert (life.state, life.info, life.end) == ("unmet", None, None)
    assert life.heard("any") is None
    life.answered(info("first"))
    assert (life.state, life.info, life.end) == ("alive", info("first"), None)


def test_a_kernel_whose_process_is_gone_has_ended_unexpectedly() -> None:
    life = alive()
    end = life.vanished()
    assert end is not None
    assert (life.state, life.end) == ("ended", end)
    assert end.code == "kernel_dead"
    assert "unexpectedly" in end.message


def test_an_announced_end_is_no_crash() -> None:
    life = alive()
    life.announce_shutdown()
    end = life.vanished()
    assert end is not None
    assert end.message.startswith("The kernel was shut down.")


def test_a_kernel_ends_once() -> None:
    life = alive()
    end = life.vanished()
    assert life.vanished() is None
    assert life.replaced() is None
    assert life.end is end


def test_a_message_of_another_session_is_another_process() -> None:
    life = alive()
    assert life.heard("first") is None
    end = life.heard("second")
    assert end is not None
    assert end.message.startswith("The kernel was restarted.")


def test_a_kernel_that_cannot_tell_its_session_is_never_taken_for_another() -> None:
    assert alive(None).heard("second") is None


@pytest.mark.parametrize(
    ("before", "after", "restarts"),
    [("first", "second", 1), ("first", "first", 0), (None, None, 1), ("first", None, 1), (None, "first", 1)],
)
def test_an_answer_after_the_end_is_a_restart_unless_it_is_the_same_process(
    before: str | None, after: str | None, restarts: int
) -> None:
    life = alive(before)
    life.vanished()
    life.answered(info(after))
    assert (life.state, life.end, life.restarts) == ("alive", None, restarts)


def test_an_announcement_holds_for_one_end_only() -> None:
    life = alive()
    life.announce_shutdown()
    life.vanished()
    life.answered(info("second"))
    end = life.vanished()
    assert end is not None
    assert "unexpectedly" in end.message


def test_a_repeated_greeting_of_a_living_kernel_is_no_restart() -> None:
    life = alive()
    life.answered(info("first"))
    assert life.restarts == 0
