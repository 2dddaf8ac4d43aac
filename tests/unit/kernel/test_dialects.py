"""What each kind of front end needs, at the message level. JupyterLab's way is all of test_reactivity.py."""

import time

import pytest

from marimo_kernel_bridge.kernel.outputs import vscode_queue
from marimo_kernel_bridge.protocol import messages as wire
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


class Clock:
    """The clock by which the kernel tells that VS Code is quiet. A test can stop it."""

    def __init__(self) -> None:
        self._stopped: float | None = None

    def stop(self) -> None:
        self._stopped = time.monotonic()

    def go_on(self) -> None:
        self._stopped = None

    def monotonic(self) -> float:
        return time.monotonic() if self._stopped is None else self._stopped


def test_vscode_dependents_run_after_its_queue_is_quiet(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(vscode_queue, "time", clock)
    code = connect("vscode")
    code.run("one", "a = 1; log = []")
    code.run("two", "b = a + 1; log.append(b)\nb")
    for value in (10, 20):  # Run All: each request after the reply to the one before
        code.wait_quiet()
        clock.stop()  # the next request is in time, however busy the machine is
        code.run("one", f"a = {value}; log = []")
        time.sleep(0.4)  # longer than VS Code's queue would pause
        code.run("two", "b = a + 1; log.append(b)\nb")
        clock.go_on()
        assert code.run(None, "log", store_history=False).text == f"[{value + 1}]"
    code.wait_quiet()
    code.run("one", "a = 30; log = []")
    assert code.text("two") == "21"
    code.wait_for("two", "31")


def test_no_late_message_reaches_a_vscode_cell_while_a_run_all_is_on(connect: Connect) -> None:
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "print('two', a)")
    code.wait_quiet()
    busy = code.send("busy", "import time; time.sleep(0.5)")
    seen = len(code.seen)
    # Over the same socket, so that it is sure to come second.
    changes = code.send(None, "a = 5", metadata={wire.METADATA_KEY: {"client": "agent"}})
    queued = code.send("two", "print('two again', a)")
    assert code.finish(busy).ok
    code.finish(changes)
    assert code.finish(queued).text == "two again 5"
    assert [m for m in code.seen[seen:] if m["msg_type"] == "clear_output"] == []


def test_a_vscode_ancestor_that_runs_early_shows_its_output_when_all_is_quiet(connect: Connect) -> None:
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a; print('two', b)")
    code.run("one", "a = 2")
    code.run("three", "print('three', b)")
    assert (code.text("two"), code.text("three")) == ("two 1", "three 2")
    code.wait_for("two", "two 2")


def test_output_held_for_a_vscode_cell_is_dropped_when_it_runs_again(connect: Connect) -> None:
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a; print('two', b)")
    code.run("one", "a = 2")
    code.run("three", "print('three', b)")
    code.run("two", "b = a; print('again', b)")
    code.wait_for("three", "three 2")
    code.wait_quiet()
    assert code.text("two") == "again 2"


def test_vscode_ids_of_another_session_are_other_cells(connect: Connect) -> None:
    first = connect("vscode")
    first.run("W0", "a = 1")
    again = connect("vscode")
    assert again.run("W0", "b = 2").ok
    assert again.run(None, "a, b", store_history=False).text == "(1, 2)"


def test_a_batch_accumulator_is_not_run_again_by_itself(connect: Connect) -> None:
    batch = connect("batch")
    batch.run(None, "step = 1")
    batch.run(None, "total = 0")
    batch.run(None, "total = total + step")
    assert batch.run(None, "total").text == "1"
    batch.run(None, "step = 5")
    assert batch.run(None, "total").text == "1"


def test_a_terminal_prints_changed_dependents_with_a_heading(connect: Connect) -> None:
    terminal = connect("terminal")
    terminal.run(None, "a = 1")
    terminal.run(None, "print('a is', a)")
    terminal.run(None, "a + 0 * 5 > 0")
    reply = terminal.run(None, "a = 2")
    assert reply.text == "↻ cell [2] `print('a is', a)`\na is 2"


def test_hidden_requests_never_touch_the_graph(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    for options in ({"silent": True}, {"store_history": False}):
        assert lab.run(None, "a = 5", **options).ok
        assert lab.text("two") == "1"
    hidden = lab.run(None, "print(a); a", store_history=False)
    assert hidden.text == "5\n5"
    assert lab.run(None, "1/0", store_history=False).content["ename"] == "ZeroDivisionError"


def test_vscodes_hidden_probes_work(lab: FrontEnd) -> None:
    lab.run("one", "import math; numbers = [1, 2]")
    assert "numbers" in lab.run(None, "%who_ls", store_history=False, stop_on_error=False).text
    assert lab.run(None, "import sys; print(sys.executable)", store_history=False).ok
    assert lab.run(None, "%config Completer.use_jedi = False", store_history=False).ok


def test_code_that_is_too_deep_is_an_error_and_vscode_stays_reactive(connect: Connect) -> None:
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a + 1; print('b', b)")
    deep = code.run("deep", "r = " + "+".join(["1"] * 20_000))
    assert deep.content["ename"] in {"RecursionError", "MemoryError", "NotebookError"}
    code.run("one", "a = 2")
    code.wait_for("two", "b 3")
