"""A checkpoint outlives the process of its kernel."""

import os
import signal

import pytest
from click.testing import CliRunner
from front_end import BOUND

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import Restored


def test_what_was_saved_is_back_after_the_process_was_killed(lab, kernel, restart):
    lab.run("load", "rows = [[n] for n in range(1000)]\nsame = rows")
    lab.run("total", "total = sum(n for (n,) in rows)")
    lab.run("grow", "def grow(by):\n    return total + by")
    lab.run("open", "import threading\nlock = threading.Lock()")
    saved = lab.run("save", "%marimo save before").text
    assert saved.startswith("saved 3 cells as 'before' in ")
    assert "without `lock`" in saved

    os.kill(kernel.provisioner.process.pid, signal.SIGKILL)
    kernel.provisioner.process.wait(BOUND)
    restart()
    lab._await_kernel()
    reply = lab.ask(wire.RestoreCheckpoint(client="claude"), "shell")
    restored = wire.decode_reply(reply, Restored)

    assert (restored.name, len(restored.fresh)) == ("before", 3)
    assert [(stale.code, stale.why) for stale in restored.stale] == [
        ("import threading", "`lock`: a lock cannot be kept")
    ]
    looked = lab.run(
        "look", "print(rows is same, total, grow(1))"
    ).text  # the first cell that the person runs
    assert looked.startswith("The kernel died at")
    assert looked.endswith("\nTrue 499500 499501")


def test_a_running_notebook_is_saved_and_restored_from_the_command_line(lab, kernel, restart):
    lab.run("rows", "rows = [1, 2]")
    lab.run("open", "import threading\nlock = threading.Lock()")
    command = CliRunner()
    saved = command.invoke(main, ["checkpoints", "save", kernel.connection_file, "before"])
    assert saved.output.splitlines()[0].startswith("Saved 1 cells as before: ")
    assert saved.output.splitlines()[1:] == ["  without lock (_thread.lock): a lock cannot be kept"]
    os.kill(kernel.provisioner.process.pid, signal.SIGKILL)
    kernel.provisioner.process.wait(BOUND)
    restart()
    lab._await_kernel()
    restored = command.invoke(main, ["checkpoints", "restore", kernel.connection_file])
    assert restored.output.splitlines() == [
        "Restored 1 of 2 cells of before.",
        "  stale: import threading (`lock`: a lock cannot be kept)",
    ]
    assert lab.run("look", "print(rows)").text.endswith("\n[1, 2]")


@pytest.mark.long
def test_what_took_long_is_back_after_the_next_cell_of_a_run_all_killed_the_process(lab, kernel, restart):
    """The quick twin is `tests/unit/kernel/checkpoints/test_between_cells.py`."""
    load = "import time, numpy as np\ntime.sleep(5)\ndata = np.arange(1_000_000)"
    train = (
        "import os, pathlib, jupyter_core.paths as paths\n"
        "folder = pathlib.Path(paths.jupyter_data_dir(), 'marimo_kernel_bridge', 'checkpoints')\n"
        "deadline = time.monotonic() + 10\n"
        "while not (saved := list(folder.glob('*/auto-*.json'))) and time.monotonic() < deadline: time.sleep(0.01)\n"
        "if saved: os.kill(os.getpid(), 9)"
    )
    lab.send("load", load)
    for number in range(8):  # on a busy machine the first pause may be too short
        lab.send(f"train{number}", train)
    kernel.provisioner.process.wait(120)
    restart()
    lab._await_kernel()
    restored = wire.decode_reply(lab.ask(wire.RestoreCheckpoint(client="claude"), "shell"), Restored)
    assert restored.fresh
    assert restored.stale[-1].why == "it had not run"
    assert lab.run("look", "print(data.sum())").text.endswith("\n499999500000")
