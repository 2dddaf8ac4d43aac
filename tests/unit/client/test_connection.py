"""Connection files that are refused, each with its own code, without a hang and without showing their key."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.client import socket_owner
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import (
    connection_files,
    listens,
    new_connection_file,
    read_connection,
)
from marimo_kernel_bridge.errors import BridgeError

Write = Callable[..., str]

KEY = "do-not-tell-this-key"


def a_file(ports_from: int = 40000, **changes: object) -> dict[str, Any]:
    channels = ("shell", "iopub", "stdin", "control", "hb")
    ports = {f"{channel}_port": ports_from + offset for offset, channel in enumerate(channels)}
    fields: dict[str, Any] = {
        "ip": "127.0.0.1",
        "transport": "tcp",
        "signature_scheme": "hmac-sha256",
        "key": KEY,
    }
    return {**ports, **fields, **changes}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | dict[str, Any], mode: int = 0o600) -> str:
        path = tmp_path / "kernel-test.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture
def runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "runtime"
    directory.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
    return directory


def refusal(path: str) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        read_connection(path)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


def free_ports() -> int:
    """The first of five ports on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_whole_file_is_read(write: Write) -> None:
    connection = read_connection(write(a_file(kernel_name="marimo")))
    assert connection.url("shell") == "tcp://127.0.0.1:40000"
    assert connection.url("hb") == "tcp://127.0.0.1:40004"
    assert connection.kernel_id == "test"
    assert connection.warnings == ()


def test_a_key_is_in_no_repr(write: Write) -> None:
    assert KEY not in repr(read_connection(write(a_file())))


@pytest.mark.parametrize("name", ["kernel-{}.json", "{}", "{}.json"])
def test_a_file_in_the_runtime_directory_is_found_by_name_or_kernel_id(runtime_dir: Path, name: str) -> None:
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
def test_a_missing_file_is_refused(runtime_dir: Path, name: str) -> None:
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
        a_file(curve_publickey="x" * 39, curve_secretkey="x" * 40),
        a_file(curve_publickey="\n" * 40, curve_secretkey="x" * 40),
        a_file(signature_scheme="hmac-shake_128"),
        a_file(ip="tcp://127.0.0.1"),
        a_file(ip=""),
        {name: value for name, value in a_file().items() if name != "key"},
        {name: value for name, value in a_file().items() if name != "hb_port"},
        "\udcff\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        json.dumps(a_file()) + " " * 70000,
    ],
)
def test_a_malformed_file_is_refused(write: Write, content: str | dict[str, Any]) -> None:
    assert refusal(write(content)).code == "connection_file_malformed"


def test_a_folder_or_a_pipe_is_no_connection_file(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)).code == "connection_file_malformed"
    os.mkfifo(tmp_path / "pipe")  # opening it waits for a writer unless asked not to
    assert refusal(str(tmp_path / "pipe")).code == "connection_file_malformed"


def test_a_file_that_opens_and_cannot_be_read_is_refused() -> None:
    assert refusal("/proc/self/mem").code in {
        "connection_file_malformed",
        "connection_file_missing",
    }  # only on Linux


def test_a_file_of_another_user_is_refused(write: Write) -> None:
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
def test_a_file_that_others_may_write_is_refused(write: Write, mode: int) -> None:
    error = refusal(write(a_file(), mode))
    assert error.code == "connection_file_foreign"
    assert f"{mode:o}" in error.message


def test_a_file_that_others_may_read_is_used_with_a_warning(write: Write) -> None:
    (warning,) = read_connection(write(a_file(), 0o644)).warnings
    assert "644" in warning
    assert "chmod 600" in warning


def test_a_file_without_a_key_is_used_with_a_warning(write: Write) -> None:
    (warning,) = read_connection(write(a_file(key=""))).warnings
    assert "not signed" in warning


@pytest.mark.anyio
async def test_a_stale_file_is_refused_at_once(write: Write) -> None:
    connection = read_connection(write(a_file(free_ports())))
    assert not await listens(connection)
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection)
    assert caught.value.code == "connection_file_stale"


@pytest.mark.anyio
async def test_a_port_that_another_program_took_is_told_from_a_kernel(write: Write) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        connection = read_connection(write(a_file(server.getsockname()[1])))
        with pytest.raises(BridgeError) as caught:
            await KernelClient.attach(connection, bound=0.3)
    assert caught.value.code == "kernel_silent"
    assert "another program" in caught.value.hint


def test_connection_files_are_listed_the_newest_first_whatever_they_are_worth(runtime_dir: Path) -> None:
    for age, name in enumerate(["kernel-new.json", "kernel-old.json"]):
        (runtime_dir / name).write_text("{")
        os.utime(runtime_dir / name, (1000 - age, 1000 - age))
    (runtime_dir / "jpserver-1.json").write_text("{}")
    (runtime_dir / "kernel-gone.json").symlink_to(runtime_dir / "nowhere")
    assert [path.name for path in connection_files()] == ["kernel-new.json", "kernel-old.json"]


def test_a_kernel_that_binds_every_address_is_reached_on_loopback(write: Write) -> None:
    connection = read_connection(write(a_file(ip="0.0.0.0")))
    assert connection.url("control") == "tcp://127.0.0.1:40003"


def test_a_kernel_s_sockets_may_be_files(write: Write) -> None:
    connection = read_connection(write(a_file(ports_from=1, transport="ipc", ip="/run/k")))
    assert connection.url("shell") == "ipc:///run/k-1"


def test_a_new_kernel_s_file_is_where_jupyter_servers_put_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    path = new_connection_file()
    assert (path.parent, path.exists()) == (tmp_path / "run", False)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.write_text("{}")
    assert connection_files() == [path]


@pytest.mark.parametrize("address", ["203.0.113.7", "example.org", "2001:db8::7"])
def test_a_kernel_on_another_machine_is_told_and_its_file_expected_in_the_runtime_directory_only(
    write: Write, runtime_dir: Path, address: str
) -> None:
    connection = read_connection(write(a_file(ip=address)))
    assert any(address in warning and "encrypted" in warning for warning in connection.warnings)
    assert not connection.expected
    path = runtime_dir / "kernel-a.json"
    path.write_text(json.dumps(a_file(ip=address)))
    path.chmod(0o600)
    assert read_connection(path).expected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.5", "::1", "localhost", "0.0.0.0", "*"])
def test_a_kernel_on_this_machine_is_expected_and_without_a_warning(write: Write, address: str) -> None:
    connection = read_connection(write(a_file(ip=address)))
    assert (connection.expected, connection.warnings) == (True, ())


def test_a_weak_signature_is_told(write: Write) -> None:
    assert "md5" in read_connection(write(a_file(signature_scheme="hmac-md5"))).warnings[0]


def test_a_kernel_whose_port_another_user_has_is_not_connected_to(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "marimo_kernel_bridge.client.connection.foreign_listener", lambda _, port: {40000: 4242}.get(port)
    )
    found = refusal(write(a_file()))
    assert found.code == "connection_file_foreign"
    assert "user id 4242 listens on its port 40000" in found.message
    assert read_connection(write(a_file(ports_from=50000))).warnings == ()


def test_a_kernel_whose_sockets_may_be_another_users_is_not_connected_to(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    Path("k").mkdir(mode=0o700)
    of_ipc = write(a_file(ports_from=1, transport="ipc", ip="k/a"))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("k/a-3")
        read_connection(of_ipc)
        for mode, refused in ((0o777, True), (0o1777, False), (0o770, True), (0o700, False)):
            Path("k").chmod(mode)
            if refused:
                assert "other users can put sockets into k" in refusal(of_ipc).message
            else:
                read_connection(of_ipc)
        Path("k/a-1").symlink_to("a-3")
        found = refusal(of_ipc)
        assert (found.code, "k/a-1 is no socket of this user" in found.message) == (
            "connection_file_foreign",
            True,
        )
        Path("k/a-1").unlink()
        monkeypatch.setattr(socket_owner, "_ours", lambda: frozenset({os.getuid() + 1}))
        assert "k/a-3 is no socket of this user" in refusal(of_ipc).message
    assert "abstract" in refusal(write(a_file(ports_from=1, transport="ipc", ip="@k"))).message


def test_an_encrypted_kernel_on_another_machine_is_told_unless_jupyter_named_it(
    write: Write, runtime_dir: Path
) -> None:
    elsewhere = a_file(ip="203.0.113.7", curve_publickey="k" * 40, curve_secretkey="k" * 40)
    (warning,) = read_connection(write(elsewhere)).warnings
    assert "203.0.113.7" in warning
    path = runtime_dir / "kernel-1.json"
    path.write_text(json.dumps(elsewhere))
    path.chmod(0o600)
    assert read_connection(path).warnings == ()
