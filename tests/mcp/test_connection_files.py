"""Connection files that must be refused, each with its own code, without a hang and without telling their key."""

import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from person import BOUND

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import listens, read_connection
from marimo_kernel_bridge.client.discovery import find_kernels
from marimo_kernel_bridge.errors import BridgeError

pytestmark = pytest.mark.anyio

KEY = "do-not-tell-this-key"


def a_file(ports_from: int = 40000, **changes) -> dict:
    channels = ("shell", "iopub", "stdin", "control", "hb")
    ports = {f"{channel}_port": ports_from + offset for offset, channel in enumerate(channels)}
    fields = {"ip": "127.0.0.1", "transport": "tcp", "signature_scheme": "hmac-sha256", "key": KEY}
    return {**ports, **fields, **changes}


@pytest.fixture
def write(tmp_path):
    def write(content, mode: int = 0o600) -> str:
        path = tmp_path / "kernel-test.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return str(path)

    return write


def as_written(path: str) -> dict:
    return json.loads(Path(path).read_text())


def refusal(path: str) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        read_connection(path)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_a_whole_file_is_read(write):
    connection = read_connection(write(a_file(kernel_name="marimo")))
    assert connection.url("shell") == "tcp://127.0.0.1:40000"
    assert connection.url("hb") == "tcp://127.0.0.1:40004"
    assert connection.kernel_id == "test"
    assert connection.warnings == ()


def test_a_key_is_in_no_repr(write):
    assert KEY not in repr(read_connection(write(a_file())))


@pytest.mark.parametrize("name", ["kernel-{}.json", "{}", "{}.json"])
def test_a_file_in_the_runtime_directory_is_found_by_name_or_kernel_id(runtime_dir, name):
    kernel_id = "0b9c-found"
    path = runtime_dir / f"kernel-{kernel_id}.json"
    path.write_text(json.dumps(a_file()))
    path.chmod(0o600)
    asked = (
        name.format(kernel_id)
        if "kernel-" in name
        else name.format(f"kernel-{kernel_id}" if ".json" in name else kernel_id)
    )
    try:
        assert read_connection(asked).path == path
    finally:
        path.unlink()


@pytest.mark.parametrize("name", ["/nowhere/kernel-1.json", "no-such-kernel", "", "\0", "x" * 5000])
def test_a_missing_file_is_refused(runtime_dir, name):
    assert refusal(name).code == "connection_file_missing"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        f"not json, but {KEY}",
        "[]",
        f'"{KEY}"',
        a_file(shell_port="40000"),
        a_file(shell_port=0),
        a_file(iopub_port=70000),
        a_file(transport="pigeon"),
        a_file(signature_scheme="md5"),
        a_file(signature_scheme="hmac-nonesuch"),
        a_file(key=7),
        a_file(curve_publickey="x" * 40),
        {name: value for name, value in a_file().items() if name != "key"},
        {name: value for name, value in a_file().items() if name != "hb_port"},
        "\udcff\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        json.dumps(a_file()) + " " * 70000,
    ],
)
def test_a_malformed_file_is_refused(write, content):
    assert refusal(write(content)).code == "connection_file_malformed"


def test_a_folder_or_a_pipe_is_no_connection_file(tmp_path):
    assert refusal(str(tmp_path)).code == "connection_file_malformed"
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    assert refusal(str(tmp_path / "pipe")).code == "connection_file_malformed"
    assert time.monotonic() - began < 1, "opening a pipe waits for a writer unless asked not to"


def test_a_file_of_another_user_is_refused(write):
    if os.getuid() != 0:
        # Only root can give a file away; anybody else meets files of others, such as this one.
        assert refusal("/etc/hostname").code == "connection_file_foreign"
        return
    path = write(a_file())
    os.chown(path, 12345, -1)
    error = refusal(path)
    assert error.code == "connection_file_foreign"
    assert "12345" in error.message


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(write, mode):
    error = refusal(write(a_file(), mode))
    assert error.code == "connection_file_foreign"
    assert f"{mode:o}" in error.message


def test_a_file_that_others_may_read_is_used_with_a_warning(write):
    (warning,) = read_connection(write(a_file(), 0o644)).warnings
    assert "644" in warning
    assert "chmod 600" in warning


def test_a_file_without_a_key_is_used_with_a_warning(write):
    (warning,) = read_connection(write(a_file(key=""))).warnings
    assert "not signed" in warning


def free_ports() -> int:
    """The first of five ports on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_stale_file_is_refused_at_once(write):
    connection = read_connection(write(a_file(free_ports())))
    assert not await listens(connection)
    began = time.monotonic()
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection)
    assert caught.value.code == "connection_file_stale"
    assert time.monotonic() - began < 1


async def test_a_kernel_that_is_starting_is_told_from_one_that_has_ended_and_waited_for(start_kernel):
    manager = start_kernel(wait=False)
    pid = manager.provisioner.pid
    os.kill(pid, signal.SIGSTOP)
    connection = read_connection(manager.connection_file)
    assert not await listens(connection)
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection, bound=0)
    assert (caught.value.code, "is starting" in caught.value.message) == ("kernel_silent", True)
    (problem,) = (one.problem for one in await find_kernels() if one.path == connection.path)
    assert str(problem) == str(caught.value)
    attaching = asyncio.create_task(KernelClient.attach(connection, bound=BOUND))
    os.kill(pid, signal.SIGCONT)
    async with await attaching as client:
        assert client.info.language == "python"
    os.kill(pid, signal.SIGKILL)
    manager.provisioner.process.wait()
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection, bound=BOUND)
    assert caught.value.code == "connection_file_stale"


async def test_a_port_that_another_program_took_is_told_from_a_kernel(write):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        connection = read_connection(write(a_file(server.getsockname()[1])))
        with pytest.raises(BridgeError) as caught:
            await KernelClient.attach(connection, bound=0.3)
    assert caught.value.code == "kernel_silent"
    assert "another program" in caught.value.hint


@pytest.mark.parametrize("name", ["python3", "marimo"])
async def test_a_wrong_key_is_recognised_and_not_waited_for(start_kernel, write, name):
    manager = start_kernel(name)
    connection = read_connection(write(as_written(manager.connection_file) | {"key": KEY}))
    began = time.monotonic()
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection)
    assert caught.value.code == "wrong_key"
    assert KEY not in str(caught.value)
    assert time.monotonic() - began < 1
