"""Kernels from a warm pool, through jupyter_client as JupyterLab and nbclient use it."""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from jupyter_client.connect import write_connection_file
from nbclient import NotebookClient

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.launch import install
from marimo_kernel_bridge.launch.install import install_kernelspec
from marimo_kernel_bridge.launch.pool.protocol import PoolOptions, own_directory
from marimo_kernel_bridge.launch.pool.provisioner import NoPoolError, PooledKernel, fork_kernel
from marimo_kernel_bridge.launch.pool.status import running_pools

BOUND_MS = 60_000
PLOTTING = ("matplotlib.pyplot", "pandas")  # which import numpy
COMMAND = [sys.executable, "-m", "marimo_kernel_bridge", "kernel"]


def ended(pid: int) -> bool:
    """Wait for the end of a process that is not ours."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    over = bool(poll.poll(BOUND_MS))
    os.close(watched)
    return over


@pytest.fixture
def connection_file(tmp_path) -> Path:
    path = tmp_path / "kernel.json"
    write_connection_file(str(path), key=b"key")
    return path


def pool_of(kernel) -> int:
    """Return the process that forked a kernel."""
    (pool,) = (state for state in running_pools() if kernel.pid in state.kernels)
    return pool.pid


# -- what a kernel is like ------------------------------------------------------------------------------------------


def test_a_forked_kernel_is_reactive_and_imports_nothing_but_its_user_module(start):
    kernel = start()
    (pool,) = (state for state in running_pools() if kernel.pid in state.kernels)
    first = kernel.value("sorted(__import__('sys').modules)")
    assert kernel.run("x = 1")["status"] == kernel.run("y = x + 1")["status"] == "ok"
    assert kernel.value("y") == 2
    assert len(first) - pool.modules <= 8, "the pool has to import what a kernel needs"


def test_a_kernel_has_the_environment_the_directory_and_the_arguments_of_its_requester_alone(start, tmp_path):
    one = start(env={"ONE": "1"})
    two = start(env={"TWO": "\udcff"}, cwd=str(tmp_path), extra_arguments=["--Session.username=ada"])
    assert pool_of(one) == pool_of(two)
    assert two.value("[__import__('os').environ.get(n) for n in ('ONE', 'TWO')]") == [None, "\udcff"]
    assert two.value("__import__('os').environ['JPY_PARENT_PID']") == str(os.getpid())
    assert two.value("__import__('os').getcwd()") == str(tmp_path)
    assert two.value("__import__('sys').argv[-1]") == "--Session.username=ada"
    plain = start(pooled=False, cwd=str(tmp_path), extra_arguments=["--Session.username=ada"])
    alike = "[__import__('sys').path, len(__import__('sys').argv), __import__('sys').argv[0], __import__('sys').flags]"
    assert two.value(alike) == plain.value(alike)
    assert kernel_session(two) == two.pid != kernel_session(one)


def kernel_session(kernel) -> int:
    return kernel.value("__import__('os').getsid(0)")


def test_clients_can_connect_as_soon_as_a_kernel_is_there(connection_file):
    kernel = fork_kernel([*COMMAND, "-f", str(connection_file)], {}, PoolOptions())
    try:
        info = json.loads(connection_file.read_text())
        for channel in ("shell", "iopub", "stdin", "control", "hb"):
            socket.create_connection((info["ip"], info[f"{channel}_port"]), timeout=60).close()
    finally:
        kernel.kill()
        kernel.wait(60)


def test_a_kernel_that_cannot_open_its_sockets_is_left_to_a_new_process_which_says_why(connection_file):
    info = json.loads(connection_file.read_text())
    connection_file.write_text(json.dumps(info | {"ip": "no address"}))
    with pytest.raises(NoPoolError, match="ended before it opened its sockets"):
        fork_kernel([*COMMAND, "-f", str(connection_file)], {}, PoolOptions())


def test_kernels_of_one_pool_draw_different_random_numbers(start):
    draw = (
        "[__import__('random').random(), __import__('numpy').random.rand(), str(__import__('uuid').uuid4())]"
    )
    one, two = start(preload=PLOTTING), start(preload=PLOTTING)
    assert pool_of(one) == pool_of(two)
    assert all(a != b for a, b in zip(one.value(draw), two.value(draw), strict=True))


def test_other_interpreter_settings_get_another_pool(start):
    pools = [state.pid for state in running_pools()]
    seed = {"PYTHONHASHSEED": "7"}
    kernel = start(env=seed)
    printed = subprocess.check_output([sys.executable, "-c", "print(hash('a'))"], env=os.environ | seed)
    assert kernel.value("hash('a')") == int(printed)
    assert pool_of(kernel) not in pools


# -- signals, ends --------------------------------------------------------------------------------------------------


def test_an_interrupt_stops_the_cell_and_not_the_kernel(start):
    kernel = start()
    message = kernel.client.execute("while True: pass")
    while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":  # it runs, or is about to
        pass
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=60)
    assert (reply["parent_header"]["msg_id"], reply["content"]["ename"]) == (message, "KeyboardInterrupt")
    while kernel.client.get_iopub_msg(timeout=60)["content"].get("execution_state") != "idle":
        pass  # until then an error aborts what is sent
    assert kernel.value("6 * 7") == 42


def test_shutdown_ends_the_process_in_order(start):
    kernel = start()
    process = kernel.manager.provisioner.process
    kernel.manager.shutdown_kernel()
    assert process.returncode == 0
    assert not kernel.manager.is_alive()
    assert ended(process.pid)


def test_restart_gives_an_empty_kernel_at_the_same_address(start):
    kernel = start()
    kernel.run("x = 1")
    before = kernel.pid
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.pid != before
    assert kernel.run("x")["ename"] == "NameError"


@pytest.mark.parametrize(
    ("code", "exit_code"), [("os.kill(os.getpid(), 9)", -signal.SIGKILL), ("os._exit(3)", 3)]
)
def test_an_unexpected_end_is_noticed_with_its_exit_code(start, code, exit_code):
    kernel = start()
    kernel.client.execute(f"import os; {code}")
    assert kernel.wait() == exit_code
    assert not kernel.manager.is_alive()


def test_a_kernel_ends_when_its_requester_is_killed():
    script = "from pooled_kernel import Kernel; print(Kernel({}).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as requester:
        kernel = int(requester.stdout.readline())
        os.kill(kernel, 0)
        requester.kill()
    assert ended(kernel)


def test_a_kernel_outlives_its_manager_as_long_as_their_process_lives(start):
    kernel = start()
    kernel.manager._owns_kernel = False  # nobody shuts it down
    process, kernel.manager.provisioner.process = kernel.manager.provisioner.process, None
    watched = weakref.ref(process)
    del process
    gc.collect()
    assert kernel.value("6 * 7") == 42
    watched().kill()
    assert watched().wait(60) == -signal.SIGKILL


def test_a_kernel_outlives_its_pool_and_its_end_is_noticed_all_the_same(start):
    kernel = start()
    pool = pool_of(kernel)
    os.kill(pool, signal.SIGKILL)
    assert ended(pool)
    assert kernel.value("1 + 1") == 2
    assert kernel.manager.is_alive()
    os.kill(kernel.pid, signal.SIGKILL)
    assert kernel.wait() == 255
    assert pool_of(start()) != pool, "the socket that the pool left is no obstacle"


# -- pools ----------------------------------------------------------------------------------------------------------


def test_two_who_ask_at_once_get_one_pool_until_a_module_changes_on_disk(start, tmp_path):
    module = tmp_path / "changing.py"
    module.write_text("version = 1")
    env = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    kernels = []
    asking = [
        threading.Thread(target=lambda: kernels.append(start(preload=["changing"], env=env)))
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    old, other = kernels
    assert pool_of(old) == pool_of(other)
    assert old.value("__import__('changing').version") == 1
    module.write_text("version = 'two'")
    assert start(preload=["changing"], env=env).value("__import__('changing').version") == "two"
    assert old.value("__import__('changing').version") == 1


def test_a_preloaded_pandas_shows_frames_as_in_any_kernel(start):
    kernel = start(preload=PLOTTING)
    assert isinstance(kernel.manager.provisioner.process, PooledKernel)
    assert kernel.value("'pandas' in __import__('sys').modules") is True
    kernel.run("import pandas as pd")
    assert kernel.value("pd.get_option('display.max_columns')") == 20
    kernel.run("pd.set_option('display.max_columns', 3)\npd.reset_option('display.max_columns')")
    assert kernel.value("pd.get_option('display.max_columns')") == 20


def test_a_preloaded_module_that_fails_leaves_plain_kernels_and_the_pool_says_why(start):
    preload = ["json", "no_such_module_at_all"]
    kernel = start(preload=preload)
    assert type(kernel.manager.provisioner.process) is subprocess.Popen
    assert kernel.value("1") == 1
    with pytest.raises(NoPoolError, match="cannot be preloaded"):
        fork_kernel([*COMMAND, "-f", "x"], {}, PoolOptions(tuple(preload)))
    (pool,) = (state for state in running_pools() if "no_such_module_at_all" in state.preload)
    assert pool.forked == 0
    told = CliRunner().invoke(main, ["pool"]).stdout
    assert (
        f"process {pool.pid}: 0 kernels running, 0 forked, with json, no_such_module_at_all\n"
        "  not in use, kernels start without it: no_such_module_at_all cannot be preloaded: "
        "ModuleNotFoundError: No module named 'no_such_module_at_all'\n"
    ) in told


def test_beyond_its_limit_a_pool_forks_nothing_and_idle_it_ends(start):
    options = PoolOptions(limit=1, idle_timeout=0.05)
    kernel = start(limit=options.limit, idle_timeout=options.idle_timeout)
    pool = pool_of(kernel)
    with pytest.raises(NoPoolError, match="limit"):
        fork_kernel([*COMMAND, "-f", "x"], {}, options)
    kernel.close()
    assert ended(pool)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([sys.executable, "-m", "ipykernel_launcher", "-f", "x"], {}),
        (COMMAND, {"stdout": subprocess.PIPE}),
        (COMMAND, {"preexec_fn": print}),
        (COMMAND, {"env": {"PYTHONPATH": "src"}}),
        (COMMAND, {"cwd": "/no/such/place"}),
        (["false", "-m", "marimo_kernel_bridge", "kernel"], {}),
    ],
)
def test_what_a_fork_cannot_do_is_left_to_a_new_process(command, options):
    with pytest.raises(NoPoolError):
        fork_kernel(command, options, PoolOptions())


def test_a_directory_that_others_may_enter_holds_no_pool():
    directory = own_directory()
    directory.chmod(0o755)
    try:
        with pytest.raises(NoPoolError, match="accessible to other users"):
            fork_kernel(COMMAND, {}, PoolOptions())
    finally:
        directory.chmod(0o700)


# -- other clients ----------------------------------------------------------------------------------------------------


def test_nbclient_runs_a_notebook_in_a_pooled_kernel_with_inline_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "trouble", lambda *_: "")  # it imports each module in a process of its own
    install_kernelspec(name="warm", prefix=tmp_path, pool=PoolOptions(PLOTTING))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import matplotlib.pyplot as plt"),
            nbformat.v4.new_code_cell("plt.plot([1, 2]);"),
        ]
    )
    before = forked_for_plotting()
    NotebookClient(notebook, kernel_name="warm").execute()
    assert "image/png" in notebook.cells[1].outputs[0]["data"]
    assert forked_for_plotting() == before + 1


def forked_for_plotting() -> int:
    return sum(state.forked for state in running_pools() if state.preload == PLOTTING)
