"""An interrupt is raised in user code and nowhere else; what comes in between waits for the next body."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.kernel.messaging import sigint
from marimo_kernel_bridge.kernel.messaging.sigint import LOADING, Interrupts

if TYPE_CHECKING:
    from types import FrameType


class Runtime:
    """A runtime that runs cells, or not, and says whether an interrupt is to be raised."""

    def __init__(self) -> None:
        self.running, self.raises, self.interrupted = False, True, 0

    def interrupt(self) -> bool:
        self.interrupted += 1
        return self.raises


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def interrupts(runtime: Runtime) -> Interrupts:
    return Interrupts(lambda: runtime)  # type: ignore[arg-type, return-value]  # all that it uses


@pytest.fixture(autouse=True)
def _handler_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def send(interrupts: Interrupts) -> None:
    interrupts.on_sigint(signal.SIGINT, None)


def test_a_body_is_interrupted(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.body():
        send(interrupts)
    send(interrupts)  # no body any more: nobody to interrupt
    assert not interrupts.take_due()


def test_code_of_values_is_interrupted_though_no_cell_runs_and_never_code_of_this_package(
    interrupts: Interrupts, runtime: Runtime
) -> None:
    frames: list[FrameType] = []
    exec("frames.append(sys._getframe())", {"frames": frames, "sys": sys, "__name__": sigint.__name__})
    with interrupts.in_values():
        interrupts.on_sigint(signal.SIGINT, frames[0])
        with pytest.raises(KeyboardInterrupt):
            interrupts.on_sigint(signal.SIGINT, sys._getframe())
        assert not interrupts.take_due()
        runtime.running = True
        with pytest.raises(KeyboardInterrupt):
            interrupts.on_sigint(signal.SIGINT, sys._getframe())
    assert interrupts.take_due(), "the run that goes on is interrupted as well"


@pytest.mark.parametrize("state", ["idle", "a request", "a run"])
def test_messages_are_received_without_an_interrupt_while_values_are_pickled(
    interrupts: Interrupts, runtime: Runtime, state: str
) -> None:
    if state == "a request":
        interrupts.request_begins()
    runtime.running = state == "a run"
    with interrupts.in_values():
        with interrupts.asking():
            interrupts.on_sigint(signal.SIGINT, sys._getframe())
            interrupts.take_signal()
            _on_a_thread(interrupts.end_values)
        with pytest.raises(KeyboardInterrupt):
            interrupts.on_sigint(signal.SIGINT, sys._getframe())
    assert interrupts.take_due() == (state == "a run")


def test_code_may_have_any_name(interrupts: Interrupts) -> None:
    frames: list[FrameType] = []
    exec("frames.append(sys._getframe())", {"frames": frames, "sys": sys, "__name__": None})
    with interrupts.in_values(), pytest.raises(KeyboardInterrupt):
        interrupts.on_sigint(signal.SIGINT, frames[0])


def _on_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_what_ends_code_of_values_ends_nothing_else(interrupts: Interrupts, runtime: Runtime) -> None:
    interrupts.take_signal()
    runtime.running = True
    with interrupts.body():
        _on_a_thread(interrupts.end_values)
    with pytest.raises(KeyboardInterrupt), interrupts.in_values():
        _on_a_thread(interrupts.end_values)
    assert (runtime.interrupted, interrupts.take_due()) == (0, False)


def test_a_body_that_awaits_is_cancelled_instead(interrupts: Interrupts, runtime: Runtime) -> None:
    runtime.running, runtime.raises = True, False
    with interrupts.body():
        send(interrupts)
    assert runtime.interrupted == 1


def test_an_interrupt_amid_bookkeeping_ends_the_next_body_as_it_begins(interrupts: Interrupts) -> None:
    with interrupts.deferred():
        send(interrupts)
        assert interrupts.take_due()
        assert not interrupts.take_due()


def test_an_interrupt_of_a_request_that_is_over_interrupts_no_later_one(interrupts: Interrupts) -> None:
    with interrupts.deferred():
        with interrupts.deferred():
            send(interrupts)
        assert interrupts.take_due()
        send(interrupts)
    assert not interrupts.take_due()


def test_between_two_cells_of_a_run_an_interrupt_waits(interrupts: Interrupts, runtime: Runtime) -> None:
    runtime.running = True
    send(interrupts)
    assert (interrupts.take_due(), runtime.interrupted) == (True, 1)


def test_a_second_interrupt_is_raised_anywhere_once_patience_is_over(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(f"{sigint.__name__}.time.monotonic", lambda: now[0])
    with interrupts.deferred():
        send(interrupts)
        now[0] += 2
        with pytest.raises(KeyboardInterrupt):
            send(interrupts)


def test_while_marimo_is_imported_patience_is_long(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(f"{sigint.__name__}.time.monotonic", lambda: now[0])
    with interrupts.deferred(LOADING):
        send(interrupts)
        now[0] += 20
        with interrupts.deferred():
            send(interrupts)
        now[0] += 20
        with pytest.raises(KeyboardInterrupt):
            send(interrupts)
    with interrupts.deferred():
        send(interrupts)
        now[0] += 2
        with pytest.raises(KeyboardInterrupt):
            send(interrupts)


def test_a_hidden_request_is_interrupted_and_an_idle_kernel_is_not(interrupts: Interrupts) -> None:
    send(interrupts)
    interrupts.request_begins()
    with pytest.raises(KeyboardInterrupt):
        send(interrupts)
    interrupts.request_ends()
    send(interrupts)


def test_the_signal_is_taken_back_from_user_code(interrupts: Interrupts) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.request_begins()
    assert signal.getsignal(signal.SIGINT) == interrupts.on_sigint
    with interrupts.left_to_python():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) == interrupts.on_sigint


def test_requests_on_other_threads_leave_the_signal_alone(interrupts: Interrupts) -> None:
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=interrupts.request_begins)
    thread.start()
    thread.join()
    assert (signal.getsignal(signal.SIGINT), interrupts.handling) == (before, False)


def test_an_interrupt_amid_a_fork_is_sent_again_afterwards(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks: dict[str, object] = {}
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.update(given))
    arrived = threading.Event()
    monkeypatch.setattr(signal, "pthread_kill", lambda *_: arrived.set())
    interrupts.watch_forks()
    before, after = hooks["before"], hooks["after_in_parent"]
    assert callable(before)
    assert callable(after)
    with interrupts.body():
        before()
        send(interrupts)
        assert not arrived.is_set()
        after()
    assert arrived.wait(30)


def test_a_traceback_ends_in_user_code(interrupts: Interrupts) -> None:
    try:
        with interrupts.body():
            send(interrupts)
    except KeyboardInterrupt as error:
        sigint.leave_out_handler(error)
        traceback = error.__traceback__
        assert traceback is not None
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        assert traceback.tb_frame.f_code.co_name == "send"
