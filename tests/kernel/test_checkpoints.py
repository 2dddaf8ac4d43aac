"""A checkpoint outlives the process of its kernel."""

import os
import signal

from front_end import BOUND

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
