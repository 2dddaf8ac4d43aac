"""Kernels from warm pools, through jupyter_client as JupyterLab and nbclient use it."""

import gc
import os
import signal
import subprocess
import sys
import weakref

import nbformat
import pytest
from nbclient import NotebookClient
from pooled_kernel import pool_of

from marimo_kernel_bridge.launch import install
from marimo_kernel_bridge.launch.install import install_kernelspec
from marimo_kernel_bridge.launch.pool.protocol import PoolOptions, read_once
from marimo_kernel_bridge.launch.pool.provisioner import PooledKernel
from marimo_kernel_bridge.launch.pool.status import running_pools

PLOTTING = ("matplotlib.pyplot", "pandas", "multiprocessing")  # which import numpy


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
    at_start = dict(
        line.partition("=")[::2]
        for line in two.value("open('/proc/self/environ').read().split('\\0')")
        if line
    )
    assert read_once(at_start) | {"PATH": at_start["PATH"]} == at_start, (
        "the environment of the first requester stays"
    )
    plain = start(pooled=False, cwd=str(tmp_path), extra_arguments=["--Session.username=ada"])
    alike = "[__import__('sys').path, len(__import__('sys').argv), __import__('sys').argv[0], __import__('sys').flags]"
    assert two.value(alike) == plain.value(alike)
    assert kernel_session(two) == two.pid != kernel_session(one)


def kernel_session(kernel) -> int:
    return kernel.value("__import__('os').getsid(0)")


SAY_THAT_IT_ENDED = """
import os, socket
for descriptor in os.listdir("/proc/self/fd"):
    try:
        with socket.socket(fileno=os.dup(int(descriptor))) as one:
            if one.family == socket.AF_UNIX:
                one.send(b'{"exit":7}\\n')
    except OSError:  # no socket, or closed meanwhile
        continue
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only the connection tells of an end elsewhere")
def test_a_kernel_that_says_that_it_has_ended_is_not_believed(start):
    kernel = start()
    assert kernel.run(SAY_THAT_IT_ENDED)["status"] == "ok"
    assert kernel.manager.is_alive()
    assert kernel.value("1 + 1") == 2


def test_kernels_of_one_pool_draw_different_random_numbers_and_keys(start):
    draw = (
        "[__import__('random').random(), __import__('numpy').random.rand(), str(__import__('uuid').uuid4()), "
        "__import__('multiprocessing').current_process().authkey.hex()]"
    )
    one, two = start(preload=PLOTTING), start(preload=PLOTTING)
    assert pool_of(one) == pool_of(two)
    assert all(a != b for a, b in zip(one.value(draw), two.value(draw), strict=True))


def test_a_preloaded_pandas_shows_frames_as_in_any_kernel(start):
    kernel = start(preload=PLOTTING)
    assert isinstance(kernel.manager.provisioner.process, PooledKernel)
    assert kernel.value("'pandas' in __import__('sys').modules") is True
    kernel.run("import pandas as pd")
    assert kernel.value("pd.get_option('display.max_columns')") == 20
    kernel.run("pd.set_option('display.max_columns', 3)\npd.reset_option('display.max_columns')")
    assert kernel.value("pd.get_option('display.max_columns')") == 20


def test_other_interpreter_settings_get_another_pool(start):
    pools = [state.pid for state in running_pools()]
    seed = {"PYTHONHASHSEED": "7"}
    kernel = start(env=seed)
    printed = subprocess.check_output([sys.executable, "-c", "print(hash('a'))"], env=os.environ | seed)
    assert kernel.value("hash('a')") == int(printed)
    assert pool_of(kernel) not in pools


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
    # A pool that a change of the package's files has ended meanwhile, as building it does, is no longer there.
    assert sum(forked - before.get(pool, 0) for pool, forked in forked_for_plotting().items()) == 1


def forked_for_plotting() -> dict[int, int]:
    """Return how many kernels each pool has forked, by its process."""
    return {state.pid: state.forked for state in running_pools() if state.preload == PLOTTING}
