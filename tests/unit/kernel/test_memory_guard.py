"""What the guard of memory decides: which limit holds, how much may be allocated under it, and when to warn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.kernel import memory_guard, recording
from marimo_kernel_bridge.kernel.memory_guard import (
    MemoryGuard,
    known_limit,
    largest_names,
    most_data,
    warning,
)
from marimo_kernel_bridge.protocol import cgroups
from tests.unit.kernel.notebook_in_memory import KernelInMemory

resource = pytest.importorskip("resource", reason="Windows has none")

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("given", "of_group", "installed", "limit"),
    [
        (0, 0, 16 * GB, 0),
        (4 * GB, 0, 16 * GB, 4 * GB),
        (4 * GB, 2 * GB, 16 * GB, 2 * GB),
        (0, 2 * GB, 16 * GB, 2 * GB),
        (0, 32 * GB, 16 * GB, 0),
        (4 * GB, 0, 0, 4 * GB),
    ],
)
def test_the_lowest_limit_holds_that_is_below_what_is_installed(
    given: int, of_group: int, installed: int, limit: int
) -> None:
    assert known_limit(given, of_group, installed) == limit


def test_what_is_reserved_and_not_touched_is_no_use_of_memory() -> None:
    assert most_data(10 * GB, mapped=1 * GB, resident=1 * GB) == 9_200_000_000
    assert most_data(10 * GB, mapped=3 * GB, resident=1 * GB) == 11_200_000_000
    assert most_data(1 * GB, mapped=950_000_000, resident=940_000_000) == 1_200_000_000


@pytest.mark.parametrize(
    ("used", "limit", "available", "warned"),
    [
        (7 * GB, 10 * GB, 0, ""),
        (75 * GB // 10, 10 * GB, 0, "7.5 GB of 10.0 GB of memory are in use"),
        (15 * GB, 0, 2 * GB, ""),
        (15 * GB, 0, 1 * GB, "only 1.0 GB of this machine's 16.0 GB of memory are left"),
        (15 * GB, 0, 0, "only 0 MB"),
    ],
)
def test_it_warns_at_three_quarters_of_a_limit_or_when_the_machine_has_a_tenth_left(
    used: int, limit: int, available: int, warned: str
) -> None:
    text = warning(used, limit, available, 16 * GB, [("df", 5 * GB)])
    assert bool(text) == bool(warned)
    assert warned in text
    assert ("`df` 5.0 GB" in text) == bool(warned)


def test_the_five_largest_names_are_told_and_a_value_that_cannot_be_sized_ends_nothing() -> None:
    class Hostile:
        @property
        def nbytes(self) -> int:
            raise ZeroDivisionError

    names: dict[str, Any] = {f"n{size}": bytes(size * 1_000_000) for size in (1, 10, 3, 8, 4, 2)}
    names |= {"_hidden": bytes(90_000_000), "small": 1, "hostile": Hostile()}
    assert [name for name, _ in largest_names(names)] == ["n10", "n8", "n4", "n3", "n2"]


def test_only_the_soft_limit_is_set_and_only_where_a_limit_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 60 * GB))
    monkeypatch.setattr(memory_guard, "_own", lambda: (2 * GB, 1 * GB))
    monkeypatch.setattr(memory_guard, "_machine", lambda: (64 * GB, 32 * GB))
    monkeypatch.setattr(cgroups, "limit", lambda _: 0)
    MemoryGuard(0).protect()
    assert set_to == []
    MemoryGuard(10 * GB).protect()
    assert set_to == [(10_200_000_000, 60 * GB)]


def test_files_that_are_mapped_are_not_taken_from_what_cells_may_allocate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = [(5 * GB, 60 * GB)]
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(memory_guard, "_own", lambda: (5 * GB, 1 * GB))
    monkeypatch.setattr(memory_guard, "_machine", lambda: (64 * GB, 32 * GB))
    monkeypatch.setattr(cgroups, "limit", lambda _: 0)
    guard = MemoryGuard(10 * GB)
    with guard.room_for(4 * GB):
        assert limits[-1] == (9 * GB, 60 * GB)
    assert limits[-1] == (9_200_000_000 + 4 * GB, 60 * GB)  # 4 GB of the mapped ones are in files


@pytest.mark.parametrize("bounded", [True, False])
def test_a_kernel_in_a_sandbox_gets_an_error_for_what_the_whole_machine_does_not_have(
    monkeypatch: pytest.MonkeyPatch, *, bounded: bool
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(memory_guard, "_machine", lambda: (8 * GB, 8 * GB))
    monkeypatch.setattr(memory_guard, "_swap", lambda: 16 * GB)
    monkeypatch.setattr(memory_guard, "_own", lambda: (GB, GB))
    monkeypatch.setattr(cgroups, "limit", lambda _: 0)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    guard = MemoryGuard(0, bounded=bounded)
    guard.protect()
    assert guard.limit == 0, "nobody has given one"
    assert set_to == ([(int(24 * GB * 0.92), resource.RLIM_INFINITY)] if bounded else [])


class Timers:
    """Takes what is to be called later; nothing calls it."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object:
        self.waits.append(delay)
        return callback

    def add_callback(self, callback: Callable[[], Any]) -> None:
        callback()


@pytest.mark.parametrize("interrupts", [True, False])
def test_a_cell_is_interrupted_once_when_memory_is_nearly_full_if_the_person_wants_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, interrupts: bool
) -> None:
    interrupted: list[str] = []
    monkeypatch.setattr(recording, "interrupt_main_thread", lambda: interrupted.append("cell"))
    monkeypatch.setattr(MemoryGuard, "protect", lambda _: None)
    kernel = KernelInMemory(tmp_path)
    try:
        lab = kernel.connect()
        assert lab.run("a", "a = 1").ok
        notebook, timers, shown = kernel.kernel.notebook, Timers(), []
        own = recording.Recording(str(tmp_path / "kernel.json"), notebook, kernel.kernel.file, {}, ())
        own.begin(10 * GB, timers, timers, lambda content, _: shown.append(content), interrupts=interrupts)
        own.guard.limit = 10 * GB
        entry = next(iter(notebook.cells))
        waited = {}
        for used in (4 * GB, 6 * GB, 9 * GB, 95 * GB // 10):
            monkeypatch.setattr(own.guard, "look", lambda used=used: (used, 0))
            if used == 4 * GB:
                own.body_begins(entry)
            own._look(timers)
            waited[used] = timers.waits[-1]
        # The next cell finds memory nearly full: it may free some.
        own.body_ended()
        assert lab.run("b", "b = 2").ok
        own.body_begins(next(entry for entry in notebook.cells if entry.cell.code == "b = 2"))
        own._look(timers)
        assert len(interrupted) == interrupts
        for used in (4 * GB, 94 * GB // 10):  # and one that then takes it all again is interrupted
            monkeypatch.setattr(own.guard, "look", lambda used=used: (used, 0))
            own._look(timers)
        own.close()
    finally:
        kernel.close()
    assert interrupted == (["cell"] * 2 if interrupts else [])
    texts = [content["data"]["text/plain"] for content in shown]
    assert (
        "memory: 9.0 GB of 10.0 GB are in use; the cell is interrupted (memory_guard)." in texts
    ) == interrupts
    assert waited[4 * GB] == recording.LOOKS_EVERY
    assert waited[6 * GB] == (recording.LOOKS_OFTEN if interrupts else recording.LOOKS_EVERY)
