"""Pools: how they start and end, whom they fork kernels for, and how kernels end with and without them."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from jupyter_client.connect import write_connection_file
from pooled_kernel import COMMAND, ended, pool_of

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.launch.pool.protocol import PoolOptions, own_directory
from marimo_kernel_bridge.launch.pool.provisioner import NoPoolError, fork_kernel
from marimo_kernel_bridge.launch.pool.status import running_pools


def free_ports(count: int) -> list[int]:
    """Return ports that no other worker takes, and that systems give nobody for a connection of theirs."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[int] = []
    for port in range(20_000 + 100 * worker, 20_100 + 100 * worker):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[:count]


@pytest.fixture
def connection_file(tmp_path) -> Path:
    path = tmp_path / "kernel.json"
    shell, iopub, stdin, control, hb = free_ports(5)
    write_connection_file(
        str(path),
        shell_port=shell,
        iopub_port=iopub,
        stdin_port=stdin,
        control_port=control,
        hb_port=hb,
        key=b"key",
    )
    return path


def test_clients_can_connect_as_soon_as_a_kernel_is_there(connection_file):
    kernel = fork_kernel([*COMMAND, "-f", str(connection_file)], {}, PoolOptions())
    try:
        info = json.loads(connection_file.read_text())
        for channel in ("shell", "iopub", "stdin", "control", "hb"):
            socket.create_connection((info["ip"], info[f"{channel}_port"]), timeout=60).close()
    finally:
        kernel.kill()
        kernel.wait(60)


def test_a_process_with_over_a_thousand_open_files_has_kernels_of_a_pool_and_sees_them_end(connection_file):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        for _ in range(1024):
            opened.enter_context(open(os.devnull))  # noqa: PTH123
        kernel = fork_kernel([*COMMAND, "-f", str(connection_file)], {}, PoolOptions())
        assert kernel.poll() is None
        kernel.kill()
        kernel.wait(60)
        assert kernel.poll() == -signal.SIGKILL


def test_a_kernel_that_cannot_open_its_sockets_is_left_to_a_new_process_which_says_why(connection_file):
    info = json.loads(connection_file.read_text())
    connection_file.write_text(json.dumps(info | {"ip": "no address"}))
    with pytest.raises(NoPoolError, match="ended before it opened its sockets"):
        fork_kernel([*COMMAND, "-f", str(connection_file)], {}, PoolOptions())


def test_shutdown_ends_the_process_in_order(start):
    kernel = start()
    process = kernel.manager.provisioner.process
    kernel.manager.shutdown_kernel()
    assert process.returncode == 0
    assert not kernel.manager.is_alive()
    assert ended(process.pid)


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


def test_a_connection_that_says_nothing_holds_nobody_up(start):
    start()
    with ExitStack() as stack:
        silent = []
        for path in own_directory().glob("*.sock"):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            with suppress(ConnectionRefusedError):  # left by a pool that was killed
                connection.connect(str(path))
                silent.append(connection)
        assert len(running_pools()) == len(silent) > 0
        for connection in silent:
            with pytest.raises(BlockingIOError):  # it is still open: others did not wait for its end
                connection.recv(1, socket.MSG_DONTWAIT)


def test_a_directory_that_others_may_enter_holds_no_pool():
    directory = own_directory()
    directory.chmod(0o755)
    try:
        with pytest.raises(NoPoolError, match="accessible to other users"):
            fork_kernel(COMMAND, {}, PoolOptions())
    finally:
        directory.chmod(0o700)
