"""Deaths of real kernels: the cause, the cell, its line and the lost names are known at once; an orderly end is none."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from front_end import BOUND, FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.launch.pool.provisioner import PoolProvisioner
from marimo_kernel_bridge.protocol import black_box, cgroups
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.deaths import death_of, sentence
from marimo_kernel_bridge.protocol.notebook import Death, KernelDescription
from tests.isolation import Home, Homes

TOLD_WITHIN = 1.0  # seconds after the process has ended
FATAL = {
    "segmentation fault": ("lost = 1\nimport ctypes\nctypes.string_at(0)", "signal", "SIGSEGV", 3),
    "kill -9": ("import os\nos.kill(os.getpid(), 9)", "killed", None, None),
    "os._exit": ("import os; os._exit(3)", "exit", None, None),
}


def ended(kernel: KernelManager) -> float:
    """Wait until the kernel's process has ended; return when."""
    deadline = time.monotonic() + BOUND
    while kernel.is_alive():
        assert time.monotonic() < deadline, "the kernel lives"
        time.sleep(0.01)
    return time.monotonic()


def death(kernel: KernelManager, home: Home) -> Death:
    with home.lived_in():
        box = black_box.read(black_box.folder_of(kernel.connection_file))
    assert box is not None
    return death_of(box, cgroups.oom_kills(box.born.cgroup))


def boxes(home: Home, kernel: KernelManager) -> list[str]:
    """Return what is recorded of this kernel."""
    with home.lived_in():
        folder = black_box.folder_of(kernel.connection_file)
    return [path.name for path in folder.parent.glob(folder.name)]


def described(front_end: FrontEnd) -> KernelDescription:
    return wire.decode_reply(front_end.ask(wire.Describe()), KernelDescription)


@pytest.mark.parametrize("how", FATAL)
def test_a_death_has_its_cause_its_cell_and_all_lost_names_within_a_second(
    lab: FrontEnd, kernel: KernelManager, pool_home: Home, restart: Callable[[], None], how: str
) -> None:
    code, cause, signal_name, line = FATAL[how]
    lab.send("one", "a = 1\nrows = [1, 2]")  # a Run All: nothing settles in between
    lab.send("two", "b = a")
    lab.send("three", code)
    at = ended(kernel)
    died = death(kernel, pool_home)
    assert time.monotonic() - at < TOLD_WITHIN
    assert (died.cause, died.signal, died.line) == (cause, signal_name, line)
    assert died.code == code.split("\n")[0]
    assert died.exit_code == (3 if how == "os._exit" else None)
    assert {"a", "rows", "b"} <= {name.name for name in died.lost}

    restart()
    lab._await_kernel()
    assert lab.run("one", "c = 5").ok
    told = lab.text("one")
    assert told.startswith("The kernel died at ")
    assert sentence(died).split(": ")[1].split(" in ")[0] in told
    lab.run("two", "d = 6")
    assert lab.text("two") == ""
    before = described(lab).died
    assert before is not None
    assert before.what == died.what


def test_once_there_is_an_agent_what_it_would_be_told_of_a_death_has_no_secret(
    lab: FrontEnd, kernel: KernelManager, pool_home: Home
) -> None:
    def line() -> str:
        with pool_home.lived_in():
            box = black_box.read(black_box.folder_of(kernel.connection_file))
        assert box is not None
        return box.line

    lab.run("first", "import os; os.environ['A_TOKEN'] = 'zq81-' + 'HUSH-99'")
    lab.run("one", "key = 'zq81-HUSH-99'")
    assert line() == "key = 'zq81-HUSH-99'"
    described(lab)
    assert line() == "key = '<<redacted:A_TOKEN>>'"
    lab.run("one", "other = 'zq81-HUSH-99'")
    assert line() == "other = '<<redacted:A_TOKEN>>'"


def test_an_orderly_end_leaves_nothing_and_the_next_kernel_tells_of_no_death(
    lab: FrontEnd, kernel: KernelManager, pool_home: Home, restart: Callable[[], None]
) -> None:
    assert lab.run("one", "a = 1").ok
    assert boxes(pool_home, kernel)
    lab.run("fork", "import os\nif os.fork() == 0: os._exit(7)\nos.wait()[1] >> 8")
    assert lab.text("fork") == "7"
    restart()
    lab._await_kernel()
    assert lab.run("one", "b = 2").ok
    assert lab.text("one") == ""
    assert described(lab).died is None
    with pool_home.lived_in():
        kernel.restart_kernel(now=True)
    lab._await_kernel()
    assert lab.run("one", "c = 3").ok
    assert ": it was restarted by force while no cell ran. Lost: `b`." in lab.text("one")
    with pool_home.lived_in():
        kernel.shutdown_kernel(now=True)
    assert not boxes(pool_home, kernel)


def test_a_request_to_end_that_a_dead_kernel_did_not_take_does_not_end_the_next_one(
    lab: FrontEnd, kernel: KernelManager, restart: Callable[[], None]
) -> None:
    assert isinstance(kernel.provisioner, PoolProvisioner)
    assert kernel.provisioner.pid is not None
    os.kill(kernel.provisioner.pid, signal.SIGKILL)
    ended(kernel)
    lab.client.shutdown(restart=True)  # ZeroMQ keeps it, as it does for the manager's own
    restart()
    lab._await_kernel()
    described(lab)  # an answer on control, after what was sent there before
    assert lab.run("one", "a = 1").ok
    lab.client.shutdown(restart=True)
    ended(kernel)


LIMIT = 700_000_000
ALLOCATE = "big = bytearray(900_000_000)"
KEEP = "kept = bytearray(420_000_000)"
MORE = "more = bytearray(100_000_000)\nimport time; time.sleep(2.5)"
SHARED = """
import mmap
shared = mmap.mmap(-1, 900_000_000)  # the limit of private memory does not count it
for page in range(0, len(shared), 4096): shared[page] = 1
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes may use 700 MB."""
    own = cgroups.own_folder()
    if not own or not os.access(own, os.W_OK):
        pytest.skip("no control group can be made here")
    made = Path(own) / f"marimo-kernel-bridge-{os.getpid()}"
    made.mkdir()
    limit = "memory.max" if (made / "memory.max").exists() else "memory.limit_in_bytes"
    (made / limit).write_text(str(LIMIT))
    yield made
    deadline = time.monotonic() + BOUND
    while made.exists() and time.monotonic() < deadline:  # its processes may still be ending
        with suppress(OSError):
            made.rmdir()
        time.sleep(0.02)


@pytest.fixture
def confined(homes: Homes, group: Path) -> Iterator[tuple[KernelManager, Home]]:
    """A kernel in that group."""
    home = homes.new("k")
    file = str(home.runtime / "kernel.json")
    manager = KernelManager(
        kernel_name="marimo", connection_file=file, transport="ipc", ip=str(home.folder / "s")
    )
    assert manager.kernel_spec is not None
    enter = f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"'
    manager.kernel_spec.argv = ["/bin/sh", "-c", enter, sys.executable, *manager.kernel_spec.argv[1:]]
    manager.start_kernel(env=home.environment())
    yield manager, home
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


def test_memory_runs_out_in_an_error_where_it_can_after_a_warning_and_a_kill_is_named(
    confined: tuple[KernelManager, Home],
) -> None:
    kernel, home = confined
    lab = FrontEnd(kernel.connection_file)
    try:
        assert not lab.run("large", ALLOCATE).ok
        assert "MemoryError" in lab.text("large")
        assert lab.run("keep", KEEP).ok
        assert lab.run("more", MORE).ok
        assert "of memory are in use; the largest: `kept` 0.4 GB" in lab.text("more")
        lab.send("shared", SHARED)
        at = ended(kernel)
        died = death(kernel, home)
        assert time.monotonic() - at < TOLD_WITHIN
        assert (died.cause, died.certain, died.code) == ("out_of_memory", True, "import mmap")
        assert died.limit == LIMIT // 4096 * 4096
        assert {"kept"} <= {name.name for name in died.lost}
    finally:
        lab.close()


LARGER_LIMIT = 1_400_000_000
"""A tenth of it is more than the kernel takes for the next cell, with the stacks of all its threads."""
GROW = """
import time
from pathlib import Path
def resident():
    fields = Path('/proc/self/statm').read_text().split()
    return (int(fields[1]) - int(fields[2])) * 4096
kept, deadline = [], time.monotonic() + 60
while resident() < 0.905 * {limit}: kept.append(bytearray(4_000_000))
while time.monotonic() < deadline: time.sleep(0.01)
"""


@pytest.fixture
def guarded(homes: Homes) -> Iterator[FrontEnd]:
    """A front end of a kernel that may use 1.4 GB, and interrupts a cell before that is used up."""
    home = homes.new("k")
    file = str(home.runtime / "kernel.json")
    manager = KernelManager(
        kernel_name="marimo", connection_file=file, transport="ipc", ip=str(home.folder / "s")
    )
    guard = [f"--MarimoKernel.memory_limit={LARGER_LIMIT}", "--MarimoKernel.memory_guard=interrupt"]
    manager.start_kernel(env=home.environment(), extra_arguments=guard)
    lab = FrontEnd(file)
    yield lab
    lab.close()
    manager.shutdown_kernel(now=True)


@pytest.mark.skipif(sys.platform != "linux", reason="no limit is known elsewhere")
def test_a_cell_that_comes_near_the_limit_is_interrupted_where_the_person_wants_that(
    guarded: FrontEnd,
) -> None:
    """It fills 90.5 % of the limit slowly, and then would wait for a minute."""
    assert guarded.run("one", "before = 1").ok
    reply = guarded.run("grow", GROW.format(limit=LARGER_LIMIT))
    assert (reply.content["status"], reply.content["ename"]) == ("error", "KeyboardInterrupt")
    assert "1.3 GB of 1.4 GB are in use; the cell is interrupted (memory_guard)." in guarded.text("grow")
    assert guarded.run("two", "before + len(kept[0])").text.endswith("4000001")
