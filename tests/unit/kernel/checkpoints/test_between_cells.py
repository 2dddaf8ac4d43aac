"""A long Run All saves between its cells: what there is time for, at the cost of a fiftieth of the time that passed."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.kernel.checkpoints import (
    after_runs,
    automatic,
    between_cells,
    choice,
    one_save,
    own_code,
)
from marimo_kernel_bridge.kernel.messaging.sigint import interrupt_main_thread
from marimo_kernel_bridge.kernel.recording import Recording
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSummary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.kernel.checkpoints.lives import Lives

COSTLY = 0.05
"""Seconds, in place of five."""
LOAD = f"__import__('time').sleep({COSTLY})\n"
# Runs while what was begun before it is written: it waits for the file, in the main thread, as a long cell would.
LOOK = """
import os, pathlib, time
deadline = time.monotonic() + 60
while not (saved := list(pathlib.Path(os.environ['MARIMO_KERNEL_BRIDGE_CHECKPOINTS']).glob('*/auto-*.json'))):
    assert time.monotonic() < deadline
    time.sleep(0.001)
"""


@pytest.fixture(autouse=True)
def _seconds_are_few_and_no_time_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (after_runs, automatic, choice):
        monkeypatch.setattr(module, "LONG", COSTLY)
    monkeypatch.setattr(automatic, "_SHARE", 1e9)
    monkeypatch.setattr(after_runs, "_WAITS", 1_000)
    monkeypatch.setattr(after_runs, "_AT_ONCE", 60)
    monkeypatch.setattr(one_save, "_QUIET", 3600)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which cells were to wait."""
    seconds: list[float] = []
    begin = between_cells.BetweenCells.__init__

    def noted(self: between_cells.BetweenCells, *args: object, **more: object) -> None:
        seconds.append(args[-1])  # type: ignore[arg-type]  # as the signature has it
        begin(self, *args, **more)  # type: ignore[arg-type]  # the same

    monkeypatch.setattr(between_cells.BetweenCells, "__init__", noted)
    return seconds


def checkpoints(lives: Lives) -> list[CheckpointSummary]:
    return wire.decode_reply(lives.lab.ask(wire.ListCheckpoints()), list[CheckpointSummary])


def finish(lives: Lives) -> None:
    """Wait until what was begun between two cells is written."""
    automatic = lives.kernel.kernel.checkpointing.automatic
    lives.kernel._loop.run_until_complete(automatic.finished())


def test_what_took_long_is_saved_before_the_next_cell_of_a_run_all_ends(lives: Lives) -> None:
    load = f"{LOAD}rows, data = [[1]], bytearray(1_000_000)"
    assert all(reply.ok for reply in lives.lab.run_all({"load": load, "train": LOOK}))
    lives.die()
    restored = lives.restore()
    assert lives.named(restored.fresh) == ["load"]
    assert lives.why(restored)["train"] == "it had not run"
    assert (lives.values["rows"], len(lives.values["data"])) == ([[1]], 1_000_000)


def test_it_is_saved_between_the_cells_that_one_request_runs(lives: Lives) -> None:
    lives.run({"n": "n = 1", "load": "loaded = [n]", "train": "done = loaded"})
    lives.run({"load": f"{LOAD}loaded = [n]", "train": f"{LOOK}done = loaded"})
    lives.lab.run("n", "n = 2")
    lives.lab.sync()
    assert all(cell.status == "ok" for cell in lives.cells().values())
    finish(lives)
    lives.die()
    assert "load" in lives.named(lives.restore().fresh)
    assert lives.values["loaded"] == [2]


def test_a_request_that_a_person_sends_later_waits_for_nothing(
    lives: Lives, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_runs, "_AT_ONCE", 0)
    lives.run({"load": f"{LOAD}loaded = [1]", "next": "y = 1"})
    assert waits == []
    assert checkpoints(lives) == []


def test_the_next_cell_waits_a_fiftieth_of_the_time_of_the_cells_before_it(
    lives: Lives, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_runs, "_WAITS", 0.02)
    monkeypatch.setattr(after_runs, "_LEAST", 0.0001)
    lives.lab.run_all({"load": f"{LOAD}loaded = [1]", "next": "y = 1", "last": "z = 1"})
    assert len(waits) == 1  # after the one that took long
    spent = sum(cell.duration or 0.0 for cell in lives.cells().values())
    assert COSTLY * 0.02 <= waits[0] <= spent * 0.02


def test_where_time_was_short_the_next_attempt_waits_for_twice_as_much(
    lives: Lives, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cell gives 0.2 s, and each of the others 0.041."""
    monkeypatch.setattr(after_runs, "_LEAST", 0.15)
    monkeypatch.setattr(after_runs, "_WAITS", 1.0)
    monkeypatch.setattr(automatic.AutomaticSaving, "seconds_to_write", lambda _self, _size: 3600.0)
    ended = after_runs.AfterRuns.cell_ended

    def cell_ended(self: after_runs.AfterRuns, _: float) -> None:
        ended(self, 0.041 if self._long_ended else 0.2)

    monkeypatch.setattr(after_runs.AfterRuns, "cell_ended", cell_ended)
    lives.lab.run_all({f"c{number}": f"data{number} = bytearray(100_000)" for number in range(13)})
    assert waits == pytest.approx([0.2, 0.41])


@pytest.mark.parametrize("late", ["pickled", "written"])
def test_what_there_is_no_time_for_is_left_out_and_the_rest_is_saved(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """A value that takes for ever to pickle, or to write, before one that does not."""
    if late == "pickled":
        tried = choice.Choice._tried

        def never_rows(self: choice.Choice, work: Callable[[], object], names: list[str]) -> object:
            if "rows" in str(getattr(work, "args", "")):
                monkeypatch.setattr(self, "_give_up", lambda: True)
                try:
                    return tried(self, work, names)
                finally:
                    monkeypatch.setattr(self, "_give_up", lambda: False)
            return tried(self, work, names)

        monkeypatch.setattr(choice.Choice, "_tried", never_rows)
    else:
        monkeypatch.setattr(automatic.AutomaticSaving, "seconds_to_write", lambda _, size: float(size))
        monkeypatch.setattr(after_runs, "_WAITS", 100_000)  # some thousand seconds, for as many bytes
    rows = "rows = bytearray(1_000_000)"
    lives.lab.run_all({"slow": f"{LOAD}{rows}", "load": f"{LOAD}loaded = [1]", "train": LOOK})
    (saved, *_) = checkpoints(lives)
    assert [(lost.name, lost.reason) for lost in saved.lost] == [
        ("rows", "was not written before the next cell began")
    ]
    lives.die()
    restored = lives.restore()
    assert lives.named(restored.fresh) == ["load"], lives.why(restored)
    assert lives.values["loaded"] == [1]


def test_a_value_that_a_later_cell_changes_is_saved_as_it_was_between_the_two(lives: Lives) -> None:
    load = f"{LOAD}import numpy as np\ndata = np.zeros(1_000_000)"
    lives.lab.run_all({"load": load, "change": f"{LOOK}data += 1"})
    assert lives.values["data"][0] == 1
    lives.die()
    assert lives.named(lives.restore().fresh) == ["load"]
    assert lives.values["data"].sum() == 0
    assert lives.ran_by("change", "data += 1") == ["change"]


def test_a_kernel_that_ends_itself_waits_for_what_is_being_written(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[int] = []
    may_end = threading.Event()
    finish = between_cells.finish

    def noted(saving: object, *args: object) -> None:
        assert may_end.wait(60)
        finish(saving, *args)  # type: ignore[arg-type]  # as they come
        numbers.append(saving.number)  # type: ignore[attr-defined]

    monkeypatch.setattr(automatic, "finish", noted)
    lives.lab.run_all({"load": f"{LOAD}loaded = [1]", "next": "y = 1"})
    lives.kernel._loop.call_later(0.05, may_end.set)
    lives.kernel._loop.run_until_complete(lives.kernel.kernel.checkpointing.save_before_end())
    may_end.set()
    assert [each.name for each in checkpoints(lives)] == [f"auto-{numbers[0] + 1}", f"auto-{numbers[0]}"]


def test_when_memory_is_nearly_full_what_is_due_is_saved_before_the_next_cell_whoever_requests_it(
    lives: Lives, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_runs, "_WAITS", 0.0)
    monkeypatch.setattr(after_runs, "_WAITS_WHEN_FULL", 1_000.0)
    monkeypatch.setattr(after_runs, "_AT_ONCE", 0.0)
    recording = Recording("", lives.kernel.kernel.notebook, lives.kernel.kernel.file, {}, ())
    lives.kernel.kernel.recording = recording
    lives.run({"load": f"{LOAD}loaded = [1]", "next": "y = 1"})
    assert waits == []  # without a limit
    recording.guard.limit = 10
    monkeypatch.setattr(recording.guard, "look", lambda: (9, 0))
    lives.run({"load": f"{LOAD}loaded = [2]", "next": "y = 2", "more": "z = 1"})
    assert len(waits) == 2  # before `load` begins anew, and after it
    finish(lives)
    lives.die()
    assert "load" in lives.named(lives.restore().fresh)
    assert lives.values["loaded"] == [2]


def test_a_kernel_without_memory_for_a_checkpoint_says_so_and_goes_on(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind = type(lives.kernel.kernel)

    def no_memory(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kind, "checkpointing", property(no_memory), raising=False)
    monkeypatch.setattr(after_runs, "get_logger", lambda: logging.getLogger("kernel"))
    replies = lives.lab.run_all({"load": f"{LOAD}loaded = [1]", "next": "y = loaded"})
    assert all(reply.ok for reply in replies)
    assert "No automatic checkpoint: no memory is left" in caplog.text


@pytest.mark.parametrize("by", ["a person", "the watch"])
def test_a_value_that_does_not_come_back_holds_no_run_up(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """An interrupt of the person ends the run as well, as between any two cells; that of the watch does not."""
    monkeypatch.setattr(own_code, "LONGEST", 3600)  # however slow the machine is with other values

    def begin() -> None:
        if by == "the watch":
            monkeypatch.setattr(own_code, "LONGEST", 0.05)
        else:
            threading.Thread(target=interrupt_main_thread).start()

    monkeypatch.setattr(own_code, "begin", begin, raising=False)
    never = (
        "import time\nclass Never:\n def __reduce__(self):\n"
        "  import sys; sys.modules[%r].begin()\n  while True: time.sleep(0.001)"
    )
    with monkeypatch.context() as others:
        # On a slow machine it would be saved, and `train` see its file
        others.setattr(after_runs, "LONG", 3600)
        lives.lab.run("never", never % own_code.__name__)
    replies = lives.lab.run_all({"load": f"{LOAD}stuck, loaded = Never(), [1]", "train": LOOK})
    assert [reply.ok for reply in replies] == ([True, True] if by == "the watch" else [True, False])
    finish(lives)
    (saved, *_) = checkpoints(lives)
    why = "its own code did not pickle it within 0.05 s" if by == "the watch" else "was interrupted"
    assert ("stuck", why) in [(lost.name, lost.reason) for lost in saved.lost]
    lives.die()
    lives.restore()
    assert "stuck" not in lives.values
