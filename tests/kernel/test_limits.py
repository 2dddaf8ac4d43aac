"""A real kernel with limits: each that is hit is told as what it is, and what cannot be held starts nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from front_end import BOUND, FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.kernel.limits import groups
from marimo_kernel_bridge.protocol import black_box, cgroups
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.deaths import death_of
from marimo_kernel_bridge.protocol.notebook import KernelDescription
from tests.isolation import Home, Homes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of the system are Linux's here")

LIMITS = (
    "--limits=memory=700MB,cell_seconds=4s,grace_seconds=2s,open_files=400,file_size=20MB,idle_seconds=2h"
)
HITS = {
    "memory": "big = bytearray(900_000_000)",
    "open_files": "import os\nkept = []\ntry:\n    while True: kept.append(os.open('/dev/null', 0))\nfinally:\n    [os.close(file) for file in kept]",
    "file_size": "with open('large', 'wb') as file:\n    file.truncate(30_000_000)",
    "cell_seconds": "import time\ntime.sleep(600)",
}
if groups.may_be_made():
    LIMITS += ",processes=100"
    HITS["processes"] = (
        "import threading\nstop = threading.Event()\ntry:\n"
        "    for _ in range(200): threading.Thread(target=stop.wait).start()\nfinally:\n    stop.set()"
    )
STUCK = """import ctypes
mutex, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
libc.pthread_mutex_lock(mutex)
libc.pthread_mutex_lock(mutex)  # holds the interpreter, and no signal ends it
"""


@contextmanager
def started(homes: Homes, *arguments: str) -> Iterator[tuple[KernelManager, FrontEnd, Home]]:
    home = homes.new("k")
    file = str(home.runtime / "kernel.json")
    manager = KernelManager(
        kernel_name="marimo", connection_file=file, transport="ipc", ip=str(home.folder / "s")
    )
    manager.start_kernel(env=home.environment(), cwd=str(home.folder), extra_arguments=list(arguments))
    lab = FrontEnd(file)
    try:
        yield manager, lab, home
    finally:
        lab.close()
        manager.shutdown_kernel(now=True)


def until(condition: Callable[[], bool], bound: float = BOUND) -> None:
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_limit_that_is_hit_is_named_and_a_cell_that_nothing_interrupts_ends_the_kernel_which_is_told(
    homes: Homes,
) -> None:
    with started(homes, LIMITS) as (manager, lab, home):
        said = wire.decode_reply(lab.ask(wire.Describe()), KernelDescription)
        assert '"memory":700000000' in said.limits
        for limit, code in HITS.items():
            assert not lab.run(limit, code).ok, limit
            assert f"limit_exceeded: {limit}: " in lab.text(limit)
        assert (
            lab.run("scratch", "import time; time.sleep(600)", store_history=False).content["ename"]
            == "KeyboardInterrupt"
        )
        assert lab.run("one", "a = 1").ok, "it lives"
        assert "limit_exceeded" not in lab.text("one")

        lab.send("stuck", STUCK)
        until(lambda: not manager.is_alive())
        with home.lived_in():
            box = black_box.read(black_box.folder_of(manager.connection_file))
        assert box is not None
        died = death_of(box)
        assert (died.cause, died.exceeded, died.line) == ("limit_exceeded", "cell_seconds", 4)
        assert died.what == "limit_exceeded: cell_seconds (4 s); no interrupt had stopped it"
        assert died.traceback[-1].startswith("the cell, line 4")

        with home.lived_in():
            manager.restart_kernel(now=True)
        lab._await_kernel()
        assert lab.run("one", "a = 1").ok
        assert (
            ": limit_exceeded: cell_seconds (4 s); no interrupt had stopped it in `import ctypes`, line 4. Lost: "
            in lab.text("one")
        )


SHARED = """import mmap
shared = mmap.mmap(-1, 900_000_000)  # memory that no limit of a process counts
for page in range(0, len(shared), 4096): shared[page] = 1
"""


@pytest.mark.skipif(
    not os.access(cgroups.own_folder() or "/", os.W_OK), reason="no group for memory can be made"
)
def test_memory_that_processes_share_is_held_to_the_limit_where_a_group_can_be_made(homes: Homes) -> None:
    with started(homes, "--limits=memory=700MB") as (manager, lab, home):
        assert lab.run("one", "a = 1").ok
        lab.send("shared", SHARED)
        until(lambda: not manager.is_alive())
        with home.lived_in():
            box = black_box.read(black_box.folder_of(manager.connection_file))
        assert box is not None
        died = death_of(box, cgroups.oom_kills(box.born.cgroup))
        assert (died.cause, died.certain, died.exceeded) == ("out_of_memory", True, "memory")
        assert died.what.startswith("limit_exceeded: memory: out of memory")
        with home.lived_in():
            manager.restart_kernel(now=True)
        lab._await_kernel()
        assert lab.run("one", "a = 1").ok
        assert ": limit_exceeded: memory: out of memory" in lab.text("one")


def test_a_limit_that_cannot_be_held_starts_nothing_and_says_why(homes: Homes) -> None:
    home = homes.new("k")
    file = home.runtime / "kernel.json"
    command = [
        sys.executable,
        "-P",
        "-m",
        "marimo_kernel_bridge",
        "kernel",
        "-f",
        str(file),
        "--limits",
        "temporary=1GB",
    ]
    done = subprocess.run(
        command, env=home.environment(), capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "The kernel was not started: [limit_unavailable] The limit temporary cannot be held here"
    )
    assert len(done.stderr.splitlines()) == 1
    assert list(home.runtime.iterdir()) == []


BURN = "import time\nx = 0\nwhile True: x += 1"
IN_C = "sum(range(10**12))"


@pytest.mark.long
def test_cpu_time_that_is_used_up_interrupts_ends_and_is_told(homes: Homes) -> None:
    with started(homes, "--limits=cpu_seconds=10s") as (manager, lab, home):
        assert not lab.run("burn", BURN).ok
        assert "limit_exceeded: cpu_seconds: the kernel has used the 10 s" in lab.text("burn")
        assert not lab.run("later", "print('ran')").ok
        assert "ran" not in lab.text("later")
    with started(homes, "--limits=cpu_seconds=10s") as (manager, lab, home):
        assert lab.run("one", "a = 1").ok
        lab.send("stuck", IN_C)
        until(lambda: not manager.is_alive(), 20 * BOUND)  # 40 s of CPU time
        with home.lived_in():
            box = black_box.read(black_box.folder_of(manager.connection_file))
        assert box is not None
        died = death_of(box)
        assert (died.cause, died.exceeded) == ("limit_exceeded", "cpu_seconds"), box.crash
