"""The limits of a kernel, without the system's: which one an exception comes from, what is interrupted when, and what is refused."""

from __future__ import annotations

import errno
import faulthandler
import os
import signal
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ipykernel.kernelapp import kernel_aliases, kernel_flags

from marimo_kernel_bridge.__main__ import _asks_for_bounds as asks_for_bounds
from marimo_kernel_bridge.__main__ import run_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel import memory_guard
from marimo_kernel_bridge.kernel.limits import groups, resources, starting, watch
from marimo_kernel_bridge.kernel.limits.hits import hit_by, told
from marimo_kernel_bridge.kernel.limits.watch import LimitWatch
from marimo_kernel_bridge.kernel.memory_guard import MemoryGuard
from marimo_kernel_bridge.kernel.recording import Recording
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol import cgroups
from marimo_kernel_bridge.protocol.black_box import BlackBox
from marimo_kernel_bridge.protocol.bounds import Bounds, Limits, Sandbox
from marimo_kernel_bridge.protocol.deaths import CPU_IS_USED_UP, death_of, sentence
from marimo_kernel_bridge.protocol.refused_starts import note_refusal, take_refusal
from marimo_kernel_bridge.protocol.written_bounds import limits_of
from tests.unit.kernel.notebook_in_memory import KernelInMemory

if TYPE_CHECKING:
    from collections.abc import Callable

resource = pytest.importorskip("resource", reason="Windows has none")

ALL = limits_of(
    "memory=2GB,cpu_seconds=60,cell_seconds=30,processes=64,open_files=256,file_size=1GB,temporary=1GB,idle_seconds=2h"
)


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))


# What an exception comes from


def _execute_child() -> None:
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def _receive() -> None:
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def _wrapped() -> None:
    try:
        _raises(OSError(errno.EMFILE, "Too many open files"))()
    except OSError as error:
        raise ValueError("cannot read") from error


def _no_room() -> None:
    raise OSError(errno.ENOSPC, "full", f"{tempfile.gettempdir()}/a")


def _raises(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("fails", "limit"),
    [
        (_raises(MemoryError()), "memory"),
        (_wrapped, "open_files"),
        (_raises(OSError(errno.EFBIG, "File too large")), "file_size"),
        (_execute_child, "processes"),
        (_receive, ""),
        (_raises(RuntimeError("can't start new thread")), "processes"),
        (_raises(RuntimeError("no")), ""),
        (_no_room, "temporary"),
        (_raises(OSError(errno.ENOSPC, "full", "/data/a")), ""),
        (_raises(OSError(errno.ENOENT, "none")), ""),
        (_raises(KeyboardInterrupt()), ""),
    ],
)
def test_an_exception_names_the_limit_that_it_comes_from_if_the_kernel_has_one(
    fails: Callable[[], None], limit: str
) -> None:
    with pytest.raises(BaseException) as failed:  # of any class
        fails()
    assert hit_by(failed.value, ALL) == limit
    assert hit_by(failed.value, Limits()) == ""


def test_each_limit_is_told_with_its_name_and_amount() -> None:
    for name in ALL.given():
        assert told(name, ALL).startswith(f"limit_exceeded: {name}: ")
    assert "may use 2 GB of memory" in told("memory", ALL)
    assert "ran for 30 s" in told("cell_seconds", ALL)


# Time


class Timers:
    """A clock, and the timers on it."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, Callable[[], Any]]] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object:
        self._due.append((self.now + delay, callback))
        return callback

    def add_callback(self, callback: Callable[[], Any]) -> None:
        self.call_later(0.0, callback)

    def passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and min(at for at, _ in self._due) <= until:
            first = min(self._due, key=lambda timer: timer[0])
            self._due.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = until

    @property
    def waiting(self) -> int:
        return len(self._due)


class Watched:
    """A watch, and what it does to the process."""

    def __init__(self, limits: Limits, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.interrupts: list[float] = []
        self.ends_after: list[float] = []  # timers that end the process, and 0.0 where one is stopped
        self.due = 0
        self.timers = Timers()
        self.crash = folder / "crash.txt"
        stop = lambda: self.ends_after.append(0.0)  # noqa: E731
        monkeypatch.setattr(watch, "interrupt_main_thread", lambda: self.interrupts.append(self.timers.now))
        monkeypatch.setattr(faulthandler, "dump_traceback_later", self._end_later)
        monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", stop)
        self.watch = LimitWatch(limits, self, self.timers, self.crash.open("wb"), self.timers.clock)

    def _end_later(self, seconds: float, *, exit: bool, file: Any) -> None:  # noqa: A002  # faulthandler's name
        assert exit
        assert file.name == str(self.crash)
        self.ends_after.append(seconds)

    def on_sigint(self, signum: int, frame: object, /) -> None:
        assert (signum, frame) == (signal.SIGXCPU, None)
        self.interrupts.append(self.timers.now)

    def fall_due(self) -> None:
        self.due += 1

    def take_due(self) -> bool:
        self.due = 0
        return True

    def runs(self, seconds: float) -> str:
        """Run a cell; return which limit it has hit."""
        self.watch.begins()
        self.timers.passes(seconds)
        exceeded = self.watch.exceeded(None)
        self.watch.ends()
        return exceeded.limit if exceeded else ""


def test_a_cell_is_interrupted_once_when_it_has_run_for_its_time_and_ended_after_some_grace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Watched(Limits(cell_seconds=30.0), monkeypatch, tmp_path)
    assert kernel.runs(29.0) == ""
    assert kernel.runs(29.0) == "", "each cell has its own time"
    assert kernel.interrupts == []
    kernel.timers.passes(500.0)
    assert kernel.timers.waiting == 0, "nothing looks while no cell runs"
    assert kernel.interrupts == []
    began = kernel.timers.now
    assert kernel.runs(35.0) == "cell_seconds"
    assert kernel.interrupts == [began + 30.0]
    assert kernel.runs(1.0) == ""
    assert kernel.ends_after == [40.0, 0.0] * 4


def test_an_interrupt_that_comes_as_a_cell_ends_is_not_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Watched(Limits(cell_seconds=30.0), monkeypatch, tmp_path)
    kernel.watch.begins()
    kernel.timers.passes(30.0)
    kernel.due = 1  # no body was there to be interrupted
    kernel.watch.ends()
    assert kernel.due == 0


def test_the_grace_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Watched(Limits(cell_seconds=30.0, grace_seconds=1.0), monkeypatch, tmp_path)
    kernel.runs(1.0)
    assert kernel.ends_after == [31.0, 0.0]


def test_no_time_is_watched_without_a_limit_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = Watched(Limits(memory=10**9), monkeypatch, tmp_path)
    assert kernel.runs(1e6) == ""
    assert (kernel.interrupts, kernel.ends_after, kernel.timers.waiting) == ([], [], 0)


def test_when_the_cpu_time_is_used_up_the_cell_is_interrupted_and_no_other_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Watched(Limits(cpu_seconds=60.0), monkeypatch, tmp_path)
    kernel.watch.begins()
    kernel.watch._on_sigxcpu(signal.SIGXCPU, None)
    assert kernel.interrupts == [100.0]
    exceeded = kernel.watch.exceeded(KeyboardInterrupt())
    assert exceeded is not None
    assert exceeded.limit == "cpu_seconds"
    kernel.watch.ends()
    assert kernel.due == 0
    assert kernel.runs(1.0) == "cpu_seconds"
    assert kernel.due == 1, "it ends as it begins"
    assert kernel.crash.read_bytes() == CPU_IS_USED_UP


def test_cpu_time_of_threads_that_get_no_signal_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Watched(Limits(cpu_seconds=60.0), monkeypatch, tmp_path)
    monkeypatch.setattr(time, "process_time", lambda: 59.0)
    kernel.watch.look()
    assert kernel.crash.read_bytes() == b""
    monkeypatch.setattr(time, "process_time", lambda: 60.0)
    kernel.watch.look()
    kernel.watch.look()
    assert kernel.crash.read_bytes() == CPU_IS_USED_UP


# Deaths

BORN = layout.Born(1, 1.0, limits={"cell_seconds": 30.0, "cpu_seconds": 60.0, "memory": 2e9})
OVERDUE = """Timeout (0:00:40)!
Thread 0x00007f2 (most recent call first):
  File "/lib/threading.py", line 331 in wait
Thread 0x00007f1 (most recent call first):
  File "/tmp/ipykernel_1/1.py", line 7 in <module>
  File "/lib/IPython/core/interactiveshell.py", line 3 in run_code
"""


def box(**facts: Any) -> BlackBox:
    return BlackBox(BORN, "cell", "abcd", "big = sum(r)", "/tmp/ipykernel_1/1.py", 1.0, 2.0, **facts)


def test_a_kernel_that_was_ended_for_a_cells_time_died_of_that_limit_and_the_line_is_known() -> None:
    died = death_of(box(crash=OVERDUE))
    assert (died.cause, died.exceeded, died.line) == ("limit_exceeded", "cell_seconds", 7)
    assert died.traceback == ("the cell, line 7, in <module>",)
    said = sentence(died)
    assert (
        "limit_exceeded: cell_seconds (30 s); no interrupt had stopped it in cell abcd `big = sum(r)`, line 7"
        in said
    )


@pytest.mark.parametrize(
    ("facts", "cause", "exceeded"),
    [
        ({"crash": CPU_IS_USED_UP.decode()}, "limit_exceeded", "cpu_seconds"),
        (
            {"crash": 'Stack (most recent call first):\n  File "/a.py", line 1 in f\n'},
            "limit_exceeded",
            "cpu_seconds",
        ),
        ({"crash": CPU_IS_USED_UP.decode(), "killed": True}, "restarted", ""),
        ({"crash": CPU_IS_USED_UP.decode(), "exit_code": 3}, "exit", ""),
        ({"used": 1_900_000_000, "limit": 2_000_000_000}, "out_of_memory", "memory"),
        ({"used": 1_900_000_000, "limit": 2_100_000_000}, "out_of_memory", ""),
        ({"crash": 'print("Timeout (")'}, "killed", ""),
    ],
)
def test_other_deaths_name_a_limit_where_it_was_one(facts: dict[str, Any], cause: str, exceeded: str) -> None:
    died = death_of(box(**facts))
    assert (died.cause, died.exceeded) == (cause, exceeded)
    assert died.what.startswith("limit_exceeded: ") == bool(exceeded)


# What the system holds


@pytest.fixture
def set_limits(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """The limits of the system that are set; none of them is."""
    found: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: found.update({which: pair}))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(groups, "join", lambda *_: True)
    return found


@pytest.mark.parametrize(("alone", "held"), [(True, {resource.RLIMIT_NPROC: (4096, 4096)}), (False, {})])
def test_a_sandbox_without_a_limit_of_processes_has_one_that_nobody_notices_where_its_own_are_counted(
    set_limits: dict[int, tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    alone: bool,
    held: dict[int, Any],
) -> None:
    monkeypatch.setattr(resources, "counts_alone", lambda: alone)
    resources.most_processes()
    assert set_limits == held


def test_limits_of_the_system_cannot_be_raised_again_and_the_cpu_time_has_some_grace(
    set_limits: dict[int, tuple[int, int]],
) -> None:
    resources.hold(
        limits_of("cpu_seconds=60,open_files=256,file_size=1GB,cell_seconds=5,idle_seconds=9,memory=1GB")
    )
    assert set_limits == {
        resource.RLIMIT_CPU: (60, 90),
        resource.RLIMIT_NOFILE: (256, 256),
        resource.RLIMIT_FSIZE: (10**9, 10**9),
    }


def test_a_lower_limit_of_the_system_stays(
    monkeypatch: pytest.MonkeyPatch, set_limits: dict[int, tuple[int, int]]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    resources.hold(limits_of("open_files=256"))
    assert set_limits == {resource.RLIMIT_NOFILE: (200, 200)}


@pytest.mark.parametrize("asked", ["temporary=1GB,open_files=256", "processes=64,open_files=256"])
def test_what_cannot_be_held_is_refused_before_anything_is_set(
    monkeypatch: pytest.MonkeyPatch, set_limits: dict[int, tuple[int, int]], asked: str
) -> None:
    monkeypatch.setattr(groups, "join", lambda *_: False)
    with pytest.raises(BridgeError, match="cannot be held here") as refused:
        resources.hold(limits_of(asked))
    assert refused.value.code == "limit_unavailable"
    assert set_limits == {}


def test_processes_that_no_namespace_counts_are_counted_before_the_sandbox_is_entered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined: list[tuple[int | None, int | None]] = []
    monkeypatch.setattr(groups, "join", lambda *most: not joined.append(most))
    monkeypatch.setattr(resources, "counts_alone", lambda: True)
    assert resources.hold_outside(limits_of("processes=64")) == frozenset()
    monkeypatch.setattr(resources, "counts_alone", lambda: False)
    assert joined == []
    assert resources.hold_outside(limits_of("memory=1GB")) == frozenset()
    assert resources.hold_outside(limits_of("processes=64")) == frozenset({"processes"})
    assert joined == [(None, 10**9), (64, None)]
    monkeypatch.setattr(groups, "join", lambda *_: False)
    with pytest.raises(BridgeError, match="root's not at all"):
        resources.hold_outside(limits_of("processes=64"))


def test_what_a_sandbox_holds_is_left_to_it(set_limits: dict[int, tuple[int, int]]) -> None:
    resources.hold(limits_of("temporary=1GB,processes=64"), held=frozenset({"temporary", "processes"}))
    assert set_limits == {}


@pytest.mark.parametrize(
    ("release", "uid_map", "alone"),
    [
        ("6.1.0", "1000 1000 1", True),
        ("6.1.0", "0 1000 1", True),
        ("5.10.0", "1000 1000 1", False),
        ("6.1.0", "1000 0 1", False),
        ("nonsense", "1000 1000 1", False),
    ],
)
def test_processes_are_counted_by_user_namespace_where_the_system_does_that_and_never_for_root(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    set_limits: dict[int, tuple[int, int]],
    release: str,
    uid_map: str,
    *,
    alone: bool,
) -> None:
    mapped = tmp_path / "uid_map"
    mapped.write_text(f"{uid_map}\n")
    monkeypatch.setattr(resources, "_UID_MAP", str(mapped))
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    monkeypatch.setattr(os, "getuid", lambda: int(uid_map.split(maxsplit=1)[0]))
    monkeypatch.setattr(groups, "join", lambda *_: False)
    if alone:
        resources.hold(limits_of("processes=64"), own_users=True)
        assert set_limits == {resource.RLIMIT_NPROC: (64, 64)}
    else:
        with pytest.raises(BridgeError, match="counts all processes of the user"):
            resources.hold(limits_of("processes=64"), own_users=True)


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_of_its_own_counts_a_kernels_processes(tmp_path: Path, version: int) -> None:
    root = tmp_path / "cgroup"
    if version == 1:
        parent, described = root / "pids/a", "4:memory:/a\n3:pids:/a\n0::/\n"
        for made in (parent, root / "memory/a"):
            made.mkdir(parents=True)
    else:
        parent, described = root / "a", "0::/a/b\n"
        (parent / "b").mkdir(parents=True)
        (parent / "b/cgroup.subtree_control").write_text("")
        (parent / "cgroup.subtree_control").write_text("cpu pids memory\n")
    (parent / "marimo-kernel-999999999").mkdir()
    assert groups.may_be_made(described, str(root))
    assert sorted(path.name for path in parent.iterdir() if path.is_dir() and "probe" in path.name) == []
    assert groups.join(64, 10**9, described, str(root))
    own = parent / f"marimo-kernel-{os.getpid()}"
    assert (own / "pids.max").read_text() == "64"
    memory = own / "memory.max" if version > 1 else root / f"memory/a/{own.name}/memory.limit_in_bytes"
    assert memory.read_text() == "1000000000"
    assert (memory.parent / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.procs").read_text() == str(os.getpid())
    assert not (parent / "marimo-kernel-999999999").exists(), "what an ended kernel has left"


def test_no_group_is_made_where_none_may_be(tmp_path: Path) -> None:
    assert not groups.join(64, None, "0::/../../etc\n", str(tmp_path))
    assert not groups.join(64, None, "3:pids:/no/such\n0::/\n", str(tmp_path))
    assert not groups.may_be_made("3:pids:/no/such\n0::/\n", str(tmp_path))
    assert not groups.join(64, None, "", str(tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "data"] or not list(tmp_path.iterdir())


def test_a_limit_of_memory_that_was_asked_for_is_one_that_no_code_can_raise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gigabyte = 10**9
    limits = [(resource.RLIM_INFINITY, resource.RLIM_INFINITY)]
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(memory_guard, "_own", lambda: (300_000_000, 100_000_000))
    monkeypatch.setattr(memory_guard, "_machine", lambda: (16 * gigabyte, 8 * gigabyte))
    monkeypatch.setattr(cgroups, "limit", lambda _: 0)
    guard = MemoryGuard(gigabyte, hard=True)
    guard.protect()
    assert limits[-1] == (1_120_000_000, 1_200_000_000), "200 MB are reserved and not used"
    with guard.room_for(gigabyte):
        assert limits[-1] == (1_200_000_000, 1_200_000_000)
    assert limits[-1] == (1_120_000_000, 1_200_000_000)
    assert MemoryGuard(64 * gigabyte, hard=True).limit == 64 * gigabyte, (
        "also one that the machine does not have"
    )


# The start


def test_the_strictest_of_all_bounds_in_the_arguments_holds_and_the_rest_is_the_kernels() -> None:
    rest, bounds = starting.taken(
        [
            "-f",
            "a.json",
            "--limits",
            '{"memory": "2GB"}',
            "--ttl=5",
            "--limits=memory=1GB,open_files=256",
            "--sandbox=strict",
        ]
    )
    assert rest == ["-f", "a.json", "--ttl=5"]
    assert bounds == Bounds(Limits(memory=10**9, open_files=256), Sandbox())


def test_a_kernel_that_was_moved_elsewhere_before_it_could_enter_its_sandbox_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root / "sub", elsewhere):
        folder.mkdir(parents=True)
    sandbox = Sandbox(within=(str(root),))
    monkeypatch.chdir(root / "sub")
    starting.require_within(sandbox)
    (root / "sub").rename(root / "other")
    starting.require_within(sandbox)
    (root / "link").symlink_to(elsewhere)
    monkeypatch.chdir(root / "link")
    with pytest.raises(BridgeError, match="is not in") as refused:
        starting.require_within(sandbox)
    assert refused.value.code == "not_allowed"


@pytest.mark.parametrize(
    "arguments", [["--limits"], ["--sandbox", ""], ["--limits="], ["--limits", "-f"], ["--sandbox", "-f"]]
)
def test_bounds_without_a_value_are_no_kernel_without_bounds(arguments: list[str]) -> None:
    with pytest.raises(BridgeError):
        starting.taken([*arguments])


@pytest.mark.parametrize(
    "option",
    [
        *(
            "--sandbx=strict",
            "--sandboxed",
            "-sandbox=strict",
            "--Sandbox={}",
            "--sanbdox",
            "--MarimoKernel.sandbox=strict",
        ),
        *("--limit=memory=1GB", "-limits", "--limts=memory=1GB", "--LIMITS=a", "--MarimoKernelApp.limits={}"),
    ],
)
def test_a_mistyped_bound_starts_no_kernel_without_it(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "kernel-1.json")
    Path(file).write_text("{}")
    with pytest.raises(SystemExit) as ended:
        run_kernel(["-f", file, option])
    assert ended.value.code == 1
    assert f"[bad_request] The kernel has no option {option.partition('=')[0]!r}" in capsys.readouterr().err
    refusal = take_refusal(file)
    assert refusal is not None
    assert refusal.code == "bad_request"


def test_options_of_ipykernel_are_no_bounds() -> None:
    flags = [f"--{name}" for name in (*kernel_flags, *kernel_aliases)]
    others = [
        "-f",
        "--ttl=3",
        "--MarimoKernel.output_limit=0",
        "--MarimoKernel.memory_limit=5",
        "limits.json",
        "/sandbox/a",
    ]
    assert [argument for argument in (*flags, *others) if asks_for_bounds(argument)] == []


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["-f", "a.json"], "a.json"),
        (["-f=a.json"], "a.json"),
        (["--f=a.json"], "a.json"),
        (["--IPKernelApp.connection_file=a.json", "--ttl=3"], "a.json"),
        (["--ttl", "-f"], None),
        ([], None),
    ],
)
def test_the_connection_file_is_found_in_the_arguments(arguments: list[str], file: str | None) -> None:
    assert starting.connection_file_of(arguments) == file


def test_a_refusal_to_start_is_there_for_who_has_started_the_kernel_and_once(tmp_path: Path) -> None:
    file = str(tmp_path / "kernel-1.json")
    note_refusal(file, BridgeError("limit_unavailable", "No.", "Ask for less."))
    assert list(tmp_path.iterdir()) == [], "nobody waits for it"
    Path(file).write_text("{}")
    note_refusal(file, BridgeError("limit_unavailable", "No.", "Ask for less."))
    assert take_refusal(str(tmp_path / "kernel-2.json")) is None
    refusal = take_refusal(file)
    assert refusal is not None
    assert (refusal.code, refusal.message, refusal.hint) == ("limit_unavailable", "No.", "Ask for less.")
    assert take_refusal(file) is None
    note_refusal(None, refusal)


@pytest.mark.parametrize(
    "written", [b"", b"{", b'{"code": "no_such_code", "message": "x"}', b'{"code": 1}', b"[" * 20_000]
)
def test_a_refusal_that_cannot_be_read_is_none(tmp_path: Path, written: bytes) -> None:
    file = str(tmp_path / "kernel-1.json")
    Path(file).write_text("{}")
    note_refusal(file, BridgeError("limit_unavailable", "No."))
    (tmp_path / "kernel-1.refused").write_bytes(written)
    assert take_refusal(file) is None


def test_a_refusal_is_not_written_through_a_link(tmp_path: Path) -> None:
    file = tmp_path / "kernel-1.json"
    file.write_text("{}")
    (tmp_path / "other").write_text("kept")
    (tmp_path / "kernel-1.refused").symlink_to(tmp_path / "other")
    note_refusal(str(file), BridgeError("limit_unavailable", "No."))
    assert (tmp_path / "other").read_text() == "kept"
    assert take_refusal(str(file)) is not None


# In the cell


def test_the_cell_and_its_error_name_the_limit_and_so_does_code_that_is_no_cell(tmp_path: Path) -> None:
    kernel = KernelInMemory(tmp_path)
    try:
        lab = kernel.connect()
        assert lab.run("a", "a = 1").ok
        notebook = kernel.kernel.notebook
        own = LimitWatch(
            Limits(memory=10**9), kernel.kernel.interrupts, Timers(), (tmp_path / "c").open("wb")
        )
        recording = Recording("", notebook, kernel.kernel.file, {}, ())
        recording.watch = own
        kernel.kernel.recording = recording
        assert not lab.run("b", "b = a\nbytearray(10**18)").ok
        assert "MemoryError" in lab.text("b")
        assert lab.text("b").endswith(
            "limit_exceeded: memory: the kernel may use 1 GB of memory. `del` what no cell needs, or work on less at once."
        )
        assert [cell.error.limit for cell in notebook.view.snapshot() if cell.error] == ["memory"]
        assert not lab.run("b", "b = a\n1 / 0").ok
        assert "limit_exceeded" not in lab.text("b")
        assert "limit_exceeded: memory: " in lab.run(None, "bytearray(10**18)", store_history=False).text
    finally:
        kernel.close()
