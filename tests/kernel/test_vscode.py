"""VS Code's notebook editor over real sockets: a Run All that begins while a dependent runs."""

import time

from front_end import BOUND

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import KernelDescription


def await_a_running_cell(front_end):
    deadline = time.monotonic() + BOUND
    while wire.decode_reply(front_end.ask(wire.Describe()), KernelDescription).running_cell is None:
        assert time.monotonic() < deadline, "no cell ran"
        time.sleep(0.01)  # nothing tells of it


def test_a_run_all_that_begins_while_a_dependent_runs_gets_no_late_message(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "import time; print('begins', a); time.sleep(0.5); print('two', a)")
    code.run("one", "a = 2")
    await_a_running_cell(code)
    assert code.run("one", "a = 3").ok
    assert code.text("two") == "begins 1\ntwo 1"
    code.wait_for("two", "begins 3\ntwo 3")
