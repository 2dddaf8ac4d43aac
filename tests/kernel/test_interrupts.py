"""An interrupt ends user code and nothing else: the kernel answers, and the graph stays whole."""

import signal
import time

import pytest
from front_end import BOUND, FrontEnd
from jupyter_client import KernelManager


def started(front_end: FrontEnd, cell: str | None, code: str, **options) -> str:
    """Run code that prints "on" when it is inside, and wait for that. Returns the message id."""
    msg_id = front_end.send(cell, code, **options)
    while "on\n" not in "".join(m["content"]["text"] for m in front_end.seen if m["msg_type"] == "stream"):
        front_end._take(BOUND)  # a line may come in two messages
    return msg_id


def test_an_interrupt_during_the_first_request_is_answered_and_harms_nothing():
    manager = KernelManager(kernel_name="marimo")
    manager.start_kernel()
    try:
        lab = FrontEnd(manager.connection_file)
        msg_id = lab.send("one", "a = 1")  # marimo is being imported now
        while not any(m["msg_type"] == "execute_input" for m in lab.seen):
            if lab._take(BOUND)["msg_type"] == "status":
                manager.interrupt_kernel()
        lab.finish(msg_id)
        assert lab.run("one", "a = 1").ok
        assert lab.run("two", "print(a + 1)").ok
        lab.run("one", "a = 2")
        assert lab.text("two") == "3"
    finally:
        lab.close()
        manager.shutdown_kernel(now=True)


def test_a_swallowed_interrupt_leaves_the_second_one_its_effect(lab, kernel):
    code = "import time\ntry:\n    print('on', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('no', flush=True)\ntime.sleep(60)"
    msg_id = started(lab, "one", code)
    kernel.interrupt_kernel()
    lab.wait_for("one", "no")
    kernel.interrupt_kernel()
    assert not lab.finish(msg_id).ok, lab.text("one")
    assert lab.run("one", "a = 1").ok


def test_a_cell_that_swallows_its_interrupt_ends_well_and_its_dependents_wait(lab, kernel):
    lab.run("time", "import time")
    lab.run("one", "a = 1")
    lab.run("two", "print('two', a)")
    code = "try:\n    print('on', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass\na = 2"
    msg_id = started(lab, "one", code)
    kernel.interrupt_kernel()
    reply = lab.finish(msg_id)
    assert reply.ok, reply.content
    assert lab.run("three", "a").text == "2"
    lab.run("one", "a = 3")
    assert lab.text("two") == "two 3"


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nprint('on', flush=True)\nawait asyncio.sleep(60)",
        "import asyncio\nawait asyncio.sleep(0)\nprint('on', flush=True)\nwhile True: pass",
        "import subprocess\nprint('on', flush=True)\nsubprocess.run(['sleep', '60'])",
        "print('on', flush=True)\n!sleep 60",
        "print('on', flush=True)\nimport threading; threading.Event().wait()",
    ],
)
def test_an_interrupt_ends_whatever_a_cell_waits_for(lab, kernel, code):
    msg_id = started(lab, "one", code)
    kernel.interrupt_kernel()
    reply = lab.finish(msg_id)
    assert reply.content["status"] == "error" or "!sleep" in code
    assert lab.run("one", "a = 1\na").text == "1"


def test_an_interrupt_while_a_cell_forks_is_not_lost(lab, kernel):
    prepare = """
import time
history = get_ipython().history_manager
def stop(stop=history._stop_save_thread):  # what IPython does before a fork
    print('on', flush=True)
    time.sleep(0.5)
    print('waited', flush=True)
    stop()
history._stop_save_thread = stop
"""
    lab.run(None, prepare, store_history=False)
    msg_id = started(
        lab, "one", "import os\nif os.fork() == 0: os._exit(0)\nos.wait()\ntime.sleep(60)\nprint('lost')"
    )
    kernel.interrupt_kernel()
    reply = lab.finish(msg_id)
    assert (reply.content.get("ename"), reply.content["status"]) == ("KeyboardInterrupt", "error"), lab.text(
        "one"
    )
    assert "waited" in lab.text("one")
    assert "Exception ignored" not in lab.text("one")
    assert lab.run("two", "2").text == "2"


INTERRUPTED_AS_IT_BEGINS = """
def interrupt_next(kernel):
    hook, current = kernel.pre_handler_hook, kernel.get_parent
    def interrupted():
        hook()
        if current("shell")["header"]["msg_type"] == "execute_request":
            import signal
            kernel.pre_handler_hook = hook
            signal.raise_signal(signal.SIGINT)
    kernel.pre_handler_hook = interrupted
interrupt_next(get_ipython().kernel)
"""


def test_an_interrupt_just_before_a_cell_is_handled_ends_the_cell_and_the_request_is_answered(lab):
    assert lab.run("patch", INTERRUPTED_AS_IT_BEGINS).ok
    assert "KeyboardInterrupt" in lab.run("one", "x = 1").text
    assert lab.run("one", "x = 1").ok


def test_interrupts_at_any_moment_leave_every_request_answered_and_the_graph_whole(lab, kernel):
    cells = {
        "c0": "v0 = {}",
        **{
            f"c{i}": f"import time as t{i}\nv{i} = v{i - 1} + 1\nt{i}.sleep(0.01)\nprint(v{i})"
            for i in range(1, 6)
        },
    }
    pid = kernel.provisioner.process.pid
    for value in range(12):
        pending = [lab.send(cell, code.format(value)) for cell, code in cells.items()]
        time.sleep(0.011 * value)  # somewhere in the run; there is no event to wait for
        kernel.provisioner.process.send_signal(signal.SIGINT)
        for msg_id in pending:
            lab.finish(msg_id)
    assert kernel.provisioner.process.pid == pid
    for cell, code in cells.items():
        assert lab.run(cell, code.format(100)).ok
    lab.run("c0", "v0 = 200")
    assert [lab.text(f"c{i}") for i in range(1, 6)] == ["201", "202", "203", "204", "205"]


def test_the_traceback_of_an_interrupt_ends_in_the_cell(lab, kernel):
    msg_id = started(lab, "one", "print('on', flush=True)\nwhile True: pass")
    kernel.interrupt_kernel()
    traceback = "\n".join(lab.finish(msg_id).content["traceback"])
    assert "while" in traceback
    assert "on_sigint" not in traceback


def test_an_interrupted_request_of_ipython_itself_is_answered(lab, kernel):
    lab.run(
        "one",
        "class Slow:\n    def __dir__(self):\n        import time; print('on', flush=True); time.sleep(60)\nslow = Slow()",
    )
    msg_id = lab.client.complete("slow.", 5)
    while not any("on" in m["content"].get("text", "") for m in lab.seen if m["msg_type"] == "stream"):
        lab._take(BOUND)
    kernel.interrupt_kernel()
    assert lab._reply(msg_id, lab.client.shell_channel)["msg_type"] == "complete_reply"
    assert lab.run("two", "print(2)").ok
