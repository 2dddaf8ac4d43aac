"""Automatic checkpoints: what is kept, and that whoever asks the kernel for something comes first."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from marimo_kernel_bridge.kernel.checkpoints import after_runs, automatic, choice, one_save, own_code
from marimo_kernel_bridge.kernel.checkpoints.automatic import AutomaticSaving
from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
from marimo_kernel_bridge.kernel.checkpoints.pickling import Pickling
from marimo_kernel_bridge.kernel.messaging.sigint import interrupt_main_thread
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSummary
from tests.inputs import inputs
from tests.unit.kernel.checkpoints.lives import Lives

COSTLY = 0.25
"""Seconds, in place of five: more than a quick cell takes on a machine that computes something else."""


@pytest.fixture
def interrupted() -> OwnCode:
    class Nobody:
        in_values = asking = staticmethod(nullcontext)

        def end_values(self) -> None: ...

    return OwnCode(Nobody())


@pytest.fixture(autouse=True)
def _seconds_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(after_runs, "LONG", COSTLY)
    monkeypatch.setattr(automatic, "LONG", COSTLY)
    monkeypatch.setattr(choice, "LONG", COSTLY)
    monkeypatch.setattr(automatic, "_SHARE", 1e9)
    monkeypatch.setattr(one_save, "_QUIET", 0.02)


def saving(lives: Lives) -> AutomaticSaving:
    return lives.kernel.kernel.checkpointing.automatic


def checkpoints(lives: Lives) -> list[CheckpointSummary]:
    return wire.decode_reply(lives.lab.ask(wire.ListCheckpoints()), list[CheckpointSummary])


def wait(lives: Lives, until: Callable[[], bool]) -> None:
    assert lives.kernel.run_until(until)


def test_what_took_long_is_kept_with_what_it_needs_and_nothing_else(lives: Lives) -> None:
    lives.run(
        {
            "import": "import time",
            "size": "size = 3",
            "aside": "aside = 1",
            "load": f"time.sleep({COSTLY})\nloaded = list(range(size))",
        }
    )
    wait(lives, lambda: bool(checkpoints(lives)))
    (kept,) = checkpoints(lives)
    assert (kept.kind, kept.cells) == ("automatic", 3)
    lives.die()
    restored = lives.restore()
    assert lives.named(restored.fresh) == ["import", "size", "load"]
    assert lives.why(restored) == {"aside": "`aside`: its value was not kept"}
    assert lives.values["loaded"] == [0, 1, 2]


def test_nothing_is_kept_of_quick_cells_and_nothing_if_the_person_wants_none(lives: Lives) -> None:
    lives.run({"x": "x = 1"})
    lives.kernel.kernel.checkpoints = "off"
    lives.run({"y": f"import time; time.sleep({COSTLY}); y = 1"})
    lives.kernel.run_until(lambda: False, within=0.1)
    assert checkpoints(lives) == []


def test_all_is_kept_if_the_person_wants_that(lives: Lives) -> None:
    lives.kernel.kernel.checkpoints = "all"
    lives.run({"x": "x = 1", "y": "y = x + 1"})
    wait(lives, lambda: any(each.cells == 2 for each in checkpoints(lives)))


def test_what_takes_longer_to_write_than_a_tenth_of_its_making_is_not_kept(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "_SHARE", 0.1)
    monkeypatch.setattr(automatic, "_FIRST_SPEED", 1e6)
    lives.run({"load": f"import time\ntime.sleep({COSTLY})\nsmall, large = 1, bytearray(1_000_000)"})
    wait(lives, lambda: bool(checkpoints(lives)))
    (lost,) = checkpoints(lives)[0].lost
    assert (lost.name, lost.reason) == (
        "large",
        "takes longer to write (1 MB) than a tenth of what it took to make",
    )


def test_a_request_ends_an_attempt_and_the_value_is_kept_later(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request comes while the value is being pickled, which is given up at the next look."""
    monkeypatch.setattr(one_save, "_LOOK", 0.0)
    asked: list[str] = []

    def ask_once(self: object) -> bool:
        if not asked:
            asked.append(lives.lab.send("other", "other = 1"))
        return bool(lives.kernel.kernel.queue.any_wait())

    monkeypatch.setattr(one_save.OneSave, "_give_up", ask_once)
    lives.run({"load": f"import time\ntime.sleep({COSTLY})\nrows = [[n] for n in range(50_000)]"})
    wait(lives, lambda: bool(checkpoints(lives)))
    assert saving(lives).given_up >= 1
    assert lives.values["other"] == 1
    lives.die()
    assert lives.named(lives.restore().fresh) == ["load"]
    assert len(lives.values["rows"]) == 50_000


def test_a_value_that_changes_while_it_is_written_is_written_as_it_is_in_the_end(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[str] = []
    written = one_save.OneSave._written

    async def change_once(self: one_save.OneSave, *args: object, raw: bool = False) -> object:
        if not changed:
            changed.append(
                lives.lab.send(
                    "load", f"import time\ntime.sleep({COSTLY})\ndata = bytearray(b'2') * 9_000_000"
                )
            )
        return await written(self, *args, raw=raw)  # type: ignore[arg-type]

    monkeypatch.setattr(one_save.OneSave, "_written", change_once)
    lives.run({"load": f"import time\ntime.sleep({COSTLY})\ndata = bytearray(b'1') * 9_000_000"})
    wait(lives, lambda: bool(checkpoints(lives)) and not saving(lives).busy)
    lives.die()
    assert lives.named(lives.restore().fresh) == ["load"]
    assert set(lives.values["data"]) == {ord("2")}


def test_others_have_their_turn_between_two_values(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    look = Pickling.look

    def noted(self: Pickling, name: str, value: object) -> object:
        if name in {"a", "b", "c"}:
            seen.append(name)
            asyncio.get_running_loop().call_soon(seen.append, "turn")
        return look(self, name, value)

    monkeypatch.setattr(Pickling, "look", noted)
    lives.run({"load": f"__import__('time').sleep({COSTLY})\na, b, c = [1], [2], [3]"})
    wait(lives, lambda: bool(checkpoints(lives)))
    assert seen == ["a", "turn", "b", "turn", "c", "turn"]


def test_a_save_that_is_given_up_waits_for_the_thread_that_writes() -> None:
    """The thread has a file open, whose number another file would get."""
    order: list[str] = []

    async def give_up() -> None:
        begun, ends = threading.Event(), threading.Event()

        def write() -> None:
            begun.set()
            assert ends.wait(60)
            order.append("written")

        saving = asyncio.ensure_future(one_save.in_thread(write))
        await asyncio.to_thread(begun.wait, 60)
        saving.cancel()
        asyncio.get_running_loop().call_later(0.01, ends.set)
        with pytest.raises(asyncio.CancelledError):
            await saving
        order.append("given up")

    asyncio.run(give_up())
    assert order == ["written", "given up"]


@pytest.mark.parametrize("by", ["a person", "the watch"])
def test_a_value_that_does_not_come_back_is_left_out_until_a_cell_makes_it_anew(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """No cell runs that could be interrupted, and the kernel would answer nobody for ever."""
    monkeypatch.setattr(own_code, "LONGEST", 3600)  # however slow the machine is with other values
    tried: list[None] = []

    def begin() -> bool:
        """Called by the value's own code; return whether it may come back."""
        tried.append(None)
        if by == "a person":
            threading.Thread(target=interrupt_main_thread).start()
        else:
            monkeypatch.setattr(own_code, "LONGEST", 0.05)
        return len(tried) > 1

    monkeypatch.setattr(own_code, "begin", begin, raising=False)
    lives.run({
        "class": f"import time, {own_code.__name__} as own\nclass Never:\n def __reduce__(self):\n"
        "  while not own.begin():\n   while True: time.sleep(0.001)\n  return int, ()",
        "load": f"time.sleep({COSTLY})\nstuck, loaded = Never(), [1]",
    })  # fmt: skip
    wait(lives, lambda: bool(checkpoints(lives)) and not saving(lives).busy)
    why = "its own code did not pickle it within 0.05 s" if by == "the watch" else "was interrupted"
    assert [(lost.name, lost.reason) for lost in checkpoints(lives)[0].lost] == [("stuck", why)]
    monkeypatch.setattr(own_code, "LONGEST", 3600)
    newest = checkpoints(lives)[0]  # the second, where the first cell took long enough for one of its own
    lives.run({"other": f"time.sleep({COSTLY}); other = 1"})
    wait(lives, lambda: checkpoints(lives)[0] != newest and not saving(lives).busy)
    assert len(tried) == 1
    lives.kernel.kernel.checkpointing.automatic.left.clear()  # as for a value of another run
    monkeypatch.setattr(own_code, "begin", lambda: True)
    newest = checkpoints(lives)[0]
    lives.run({"load": f"time.sleep({COSTLY})\nstuck, loaded = Never(), [1]"})
    wait(lives, lambda: checkpoints(lives)[0] != newest and not saving(lives).busy)
    assert checkpoints(lives)[0].lost == ()


class Looks(threading.Event):
    """What ends a watch, after some looks."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == 0.5
        self._left -= 1
        return self._left < 0


def test_time_in_which_the_process_is_stopped_ends_no_value(
    interrupted: OwnCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted.comes_back()
    monkeypatch.setattr(f"{own_code.__name__}.time.monotonic", lambda: 1e9)  # it goes on
    monkeypatch.setattr(interrupted, "_over", Looks(5))
    interrupted._look()
    overdue = [interrupted.overdue]
    monkeypatch.setattr(interrupted, "_over", Looks(21))
    interrupted._look()
    overdue.append(interrupted.overdue)
    interrupted.comes_back()
    overdue.append(interrupted.overdue)  # who interrupts it now is a person
    assert overdue == [False, True, False]


@pytest.mark.parametrize("by", ["a person", "the watch"])
def test_who_interrupts_the_search_for_what_values_share_has_them_saved_by_the_next_checkpoint(
    lives: Lives, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Only the watch is for code that would hold up the next one, too."""
    groups, searched = Pickling.groups, list[None]()

    def interrupted(self: Pickling) -> object:
        searched.append(None)
        if len(searched) > 1:
            return groups(self)
        codes[0].overdue = by == "the watch"
        raise KeyboardInterrupt

    codes: list[OwnCode] = []
    begin = OwnCode.__enter__
    monkeypatch.setattr(OwnCode, "__enter__", lambda self: codes.append(self) or begin(self))
    monkeypatch.setattr(Pickling, "groups", interrupted)
    lives.run({"load": f"__import__('time').sleep({COSTLY})\nloaded = [1]"})
    wait(lives, lambda: bool(searched) and not saving(lives).busy)
    assert list(saving(lives).left) == ([] if by == "a person" else ["loaded"])


def test_an_interrupt_while_pickling_looks_for_requests_ends_neither_that_nor_the_value(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that was being received would be lost."""
    looked: list[None] = []

    def look(_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        looked.append(None)
        return False

    monkeypatch.setattr(one_save.OneSave, "_give_up", look)
    lives.run({"load": f"import time\ntime.sleep({COSTLY})\nrows = [[n] for n in range(20_000)]"})
    wait(lives, lambda: bool(checkpoints(lives)))
    assert checkpoints(lives)[0].lost == ()
    assert len(looked) > 3


def test_a_kernel_that_ends_itself_does_not_wait_for_a_value_that_does_not_come_back(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_code, "LONGEST", 0.05)
    lives.run({
        "stuck": "class Never:\n def __reduce__(self):\n  while True: pass\nstuck = Never()",
        "kept": "kept = [1]",
    })  # fmt: skip
    lives.kernel._loop.run_until_complete(lives.kernel.kernel.checkpointing.save_before_end())
    lives.die()
    assert lives.named(lives.restore().fresh) == ["kept"]


def test_saving_while_threads_compute_never_hangs(lives: Lives) -> None:
    """A fork in such a process can wait for ever for a worker of BLAS."""
    lives.run(
        {
            "threads": (
                "import threading, numpy as np\nstop = threading.Event()\n"
                "def compute():\n    m = np.ones((64, 64))\n    while not stop.is_set(): m @ m\n"
                "workers = [threading.Thread(target=compute, daemon=True) for _ in range(2)]\n"
                "for each in workers: each.start()"
            ),
            "data": "data = np.arange(100_000)",
        }
    )
    try:
        for number in range(inputs(3, 200)):
            lives.save(f"number {number}")
    finally:
        lives.run({"stop": "stop.set()\nfor each in workers: each.join()"})
