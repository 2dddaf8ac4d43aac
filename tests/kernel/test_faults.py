"""What user code and the world can do to the kernel process: it survives what ipykernel survives, and tells the truth."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from front_end import BOUND, FrontEnd
from IPython.core.profiledir import ProfileDir
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol import messages as wire

resource = pytest.importorskip("resource", reason="Windows has none")


def wait_until(condition, what: str, bound: float = BOUND) -> None:
    """Wait for something that no message tells of: the end of a process."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left_in_group(group: int) -> list[int]:
    """Processes that a kernel left behind: it leads a process group."""
    left = []
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group and alive(pid):
                left.append(pid)
    return left


def assert_responsive(front_end: FrontEnd) -> None:
    assert front_end.run("probe", "probe = 40 + 2\nprobe").text == "42"
    assert front_end.ask(wire.Describe())["status"] == "ok"


# -- death ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill -9", "os._exit", "segmentation fault"])
def test_a_death_in_mid_run_is_seen_and_leaves_nothing_behind(lab, kernel, how):
    pid = kernel.provisioner.process.pid
    code = {
        "kill -9": "import time; print('on', flush=True); time.sleep(60)",
        "os._exit": "import os; print('on', flush=True); os._exit(3)",
        "segmentation fault": "import ctypes; print('on', flush=True); ctypes.string_at(0)",
    }[how]
    lab.send("one", code)
    if how == "kill -9":
        lab.wait_for("one", "on")
        os.kill(pid, 9)
    wait_until(lambda: not kernel.is_alive(), "the manager to see it")
    wait_until(lambda: not lab.client.hb_channel.is_beating(), "the client to see it")
    assert not left_in_group(pid)


def test_a_kernel_that_was_killed_can_be_started_again(lab, kernel, restart):
    lab.send("one", "import os; os.kill(os.getpid(), 9)")
    wait_until(lambda: not kernel.is_alive(), "the manager to see it")
    restart()
    lab._await_kernel()
    assert "killed from outside" in lab.run("first", "1").text
    assert_responsive(lab)


LAUNCHER = """
import time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="marimo")
client.execute("import time; print('on', flush=True); time.sleep(600)")
while "on" not in client.get_iopub_msg(timeout=60)["content"].get("text", ""):
    pass
print(manager.provisioner.process.pid, manager.connection_file, flush=True)
time.sleep(600)
"""


def test_a_kernel_whose_parent_was_killed_ends_also_in_mid_run():
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER], stdout=subprocess.PIPE, text=True)
    pid, connection_file = launcher.stdout.readline().split()
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not alive(int(pid)), "the kernel to end")
    Path(connection_file).unlink()  # its manager did not live to do it


def test_a_thread_that_never_ends_does_not_hold_up_a_shutdown(lab, kernel):
    code = "import threading\nthreading.Thread(target=threading.Event().wait).start()"
    assert lab.run("one", code).ok
    pid = kernel.provisioner.process.pid
    started = time.monotonic()
    kernel.shutdown_kernel()
    assert not alive(pid)
    assert time.monotonic() - started < 10


def hears_of_the_end(front_end: FrontEnd) -> bool:
    """Whether a client is told that the kernel ends: the request that comes second may find nobody to answer it."""
    channels = (front_end.client.control_channel, front_end.client.iopub_channel)
    messages = [channel.get_msg(timeout=0) for channel in channels if channel.msg_ready()]
    return any(message["msg_type"] == "shutdown_reply" for message in messages)


def test_two_clients_that_shut_down_at_once_both_hear_of_the_end(lab, connect, kernel):
    other = connect("lab")
    lab.run("one", "a = 1")
    for front_end in (lab, other):
        front_end.client.control_channel.send(
            front_end.client.session.msg("shutdown_request", {"restart": False})
        )
    for front_end in (lab, other):
        wait_until(lambda client=front_end: hears_of_the_end(client), "word of the end")
    wait_until(lambda: not kernel.is_alive(), "the kernel to end")


SLOW_END = """
import threading
def slow_end(kernel):
    iopub, control = kernel.iopub_thread.io_loop, kernel.control_thread
    at_end, published = threading.Event(), threading.Event()
    close, stop, publish = iopub.close, control.stop, kernel._publish_status
    def close_and_live_on(**options):
        close(**options)
        at_end.set()
        published.wait(300)
    def noted_stop():
        at_end.set()
        stop()
    def publish_late(status, channel, *rest):
        last = status == "idle" and channel == "control"
        if last:
            at_end.wait(300)
        publish(status, channel, *rest)
        if last:
            published.set()
    iopub.close, control.stop, kernel._publish_status = close_and_live_on, noted_stop, publish_late
slow_end(get_ipython().kernel)
"""


def test_a_kernel_ends_also_if_its_control_thread_has_something_to_publish_at_the_end(lab, kernel):
    assert lab.run("one", SLOW_END).ok
    lab.client.shutdown()
    wait_until(lambda: hears_of_the_end(lab), "word of the end")
    wait_until(lambda: not kernel.is_alive(), "the kernel to end", bound=120)


@pytest.mark.parametrize("code", ["exit", "exit()", "quit()"])
def test_exit_ends_the_kernel_and_tells_the_front_end_first(lab, kernel, code):
    reply = lab.run("one", code)
    assert [payload["source"] for payload in reply.content["payload"]] == ["ask_exit"]
    wait_until(lambda: not kernel.is_alive(), "the kernel to end")


# -- text and floods -------------------------------------------------------------------------------------------------


def test_fifty_megabytes_in_one_write_arrive_whole(lab):
    assert lab.run("one", "print('x' * 50_000_000)").ok
    assert len(lab.text("one")) == 50_000_000


def test_more_displays_than_a_socket_holds_arrive_whole_and_in_order(lab):
    msg_id = lab.send("one", "from IPython.display import display\nfor i in range(1500): display(i)")
    lab.wait_idle(msg_id)  # a client that does not read loses messages
    assert lab.finish(msg_id).ok
    shown = [output["data"]["text/plain"] for output in lab.outputs("one")]
    assert shown == [str(i) for i in range(1500)]


def test_a_client_that_is_slow_to_read_loses_nothing(lab):
    with zmq.Context() as context, context.socket(zmq.SUB) as slow:
        slow.rcvhwm = 1
        slow.subscribe(b"")
        slow.rcvtimeo = int(BOUND * 1000)
        slow.connect(lab.client._make_url("iopub"))
        wait_until(lambda: lab.run("one", "pass") and slow.poll(0), "the kernel's messages")
        lab.run("one", "from IPython.display import display\nfor i in range(2500): display('i' * 1000)")
        lab.run("two", "print('that was all')")
        got = 0
        while b"that was all" not in (message := b"".join(slow.recv_multipart())):
            got += b"display_data" in message
    assert got == 2500


def test_what_many_threads_print_arrives_whole(lab):
    code = (
        "import threading\n"
        "def say(n):\n    for i in range(200): print(f'<{n}:{i}>')\n"
        "threads = [threading.Thread(target=say, args=(n,)) for n in range(8)]\n"
        "for t in threads: t.start()\nfor t in threads: t.join()"
    )
    lab.run("one", code)
    assert (
        sorted(lab.text("one").split("<"))
        == sorted(["", *(f"{n}:{i}>" + "\n" for n in range(8) for i in range(200))])
        or lab.text("one").count(">") == 1600
    )


def test_a_background_task_prints_under_the_cell_that_began_it(lab):
    lab.run(
        "one",
        "import asyncio\ngo = asyncio.Event()\nasync def later():\n    await go.wait()\n    print('late')\ntask = asyncio.create_task(later())",
    )
    lab.run("two", "go.set()")
    lab.wait_for("one", "late")


# -- processes ----------------------------------------------------------------------------------------------------------


def test_a_forked_child_prints_and_answers_nothing(lab):
    code = "import os\npid = os.fork()\nif pid == 0:\n    print('child', flush=True)\n    os._exit(0)\nos.waitpid(pid, 0)\nprint('parent')"
    reply = lab.run("one", code)
    assert reply.ok
    lab.wait_for("one", "child")
    assert sorted(lab.text("one").split()) == ["child", "parent"]
    assert_responsive(lab)
    assert len([m for m in lab.seen if m["msg_type"] == "execute_input"]) == 2


def test_a_forked_child_that_goes_on_into_the_kernel_does_no_harm(lab, kernel):
    kernel_pid = kernel.provisioner.process.pid
    lab.run("one", "import os\nchild = os.fork()\nprint('after')")
    assert_responsive(lab)
    assert set(lab.text("one").split()) == {"after"}
    assert lab.run("two", "child > 0").text == "True"
    kernel.shutdown_kernel()
    assert not left_in_group(kernel_pid)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works_in_a_cell(lab, method):
    code = f"import multiprocessing, operator\nwith multiprocessing.get_context({method!r}).Pool(2) as pool:\n    print(pool.map(operator.neg, [1, 2]))"
    assert lab.run("one", code).ok
    assert lab.text("one") == "[-1, -2]"
    assert_responsive(lab)


# -- many and big ---------------------------------------------------------------------------------------------------------


def test_thousands_of_queued_requests_are_all_answered(lab, connect):
    """Stock ipykernel stops answering at 10,000."""
    number = int(os.environ.get("QUEUED_REQUESTS", "1000"))
    pending = [
        lab.send(f"c{i % 20}", f"x{i % 20} = {i}") if i % 10 == 0 else lab.client.kernel_info()
        for i in range(number)
    ]
    for msg_id in pending:
        assert lab._reply(msg_id, lab.client.shell_channel)["content"]["status"] == "ok"
    assert_responsive(connect("lab"))


def disk_is_full() -> None:
    """Let no file grow: for the kernel's process, before it starts."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_disk_that_fills_up_costs_the_history_and_no_cell(lab):
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))"
    lab.run("full", full)
    lab.run("one", "a = 2")
    assert lab.text("two") == "a is 2"
    lab.client.history(hist_access_type="tail", n=5)
    assert lab.client.get_shell_msg(timeout=BOUND)["content"]["status"] == "ok"
    assert_responsive(lab)


def test_a_disk_that_is_full_from_the_start_is_told_of_on_each_cell(tmp_path):
    """IPython needs a temporary folder to name cells; stock ipykernel says so too."""
    ProfileDir.create_profile_dir_by_name(str(tmp_path), "default")  # as an earlier run does
    env = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    env.pop("PYTEST_CURRENT_TEST")
    manager = KernelManager(kernel_name="marimo")
    manager.start_kernel(env=env, preexec_fn=disk_is_full)
    lab = FrontEnd(manager.connection_file)
    reply = lab.run("one", "a = 1\na")
    assert lab.text("one") == reply.text
    assert "No usable temporary directory" in reply.text
    assert not reply.ok
    assert lab.ask(wire.Describe())["status"] == "ok"
    lab.close()
    manager.shutdown_kernel()
