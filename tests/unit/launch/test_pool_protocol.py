"""What passes between a pool and who asks it; both ends are sockets of the test."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.own_sockets import socket_path
from marimo_kernel_bridge.launch.pool import protocol
from marimo_kernel_bridge.launch.pool.protocol import (
    PROTOCOL,
    ArrivingRequest,
    KernelReply,
    KernelRequest,
    PoolOptions,
    PoolRequest,
    PoolState,
    ask,
    digest,
    own_directory,
    receive_reply,
    send_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Ends = tuple[socket.socket, socket.socket]

KERNEL = KernelRequest(["-f", "kernel.json"], {"BYTES": "\udcff"}, "/work", dies_with_requester=True)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The requester's end and the pool's."""
    ends = socket.socketpair()
    for end in ends:
        end.settimeout(5)
    yield ends
    for end in ends:
        end.close()


def arrived(pool: socket.socket) -> ArrivingRequest:
    arriving = ArrivingRequest()
    while not arriving.receive(pool):
        pass
    return arriving


def test_a_request_for_a_kernel_arrives_with_its_streams_and_an_environment_of_any_bytes(ends: Ends) -> None:
    requester, pool = ends
    reading, writing = os.pipe()
    request = PoolRequest(protocol=PROTOCOL, kernel=KERNEL)
    send_line(requester, request, (writing,))
    arriving = arrived(pool)
    (stream,) = arriving.descriptors
    assert arriving.request() == request
    os.write(stream, b"it writes")
    assert os.read(reading, 100) == b"it writes"
    for descriptor in (reading, writing, stream):
        os.close(descriptor)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (PoolRequest(protocol=PROTOCOL, status=True), {"protocol": 1, "status": True}),
        (PoolRequest(protocol=PROTOCOL, stop=True), {"protocol": 1, "stop": True}),
        (
            PoolRequest(protocol=PROTOCOL, kernel=KERNEL),
            {
                "protocol": 1,
                "kernel": {
                    "arguments": ["-f", "kernel.json"],
                    "env": {"BYTES": "\udcff"},
                    "cwd": "/work",
                    "dies_with_requester": True,
                },
            },
        ),
        (KernelReply(pid=7), {"pid": 7}),
        (KernelReply(refused="no"), {"refused": "no"}),
        (KernelReply(exit=-9), {"exit": -9}),
    ],
)
def test_messages_are_what_pools_of_other_versions_understand(
    ends: Ends, request_: PoolRequest | KernelReply, message: dict[str, object]
) -> None:
    send_line(ends[0], request_)
    assert json.loads(ends[1].recv(65536)) == message


def test_the_state_of_a_pool_of_an_earlier_version_is_understood(ends: Ends) -> None:
    state = {"pid": 7, "python": "py", "preload": ["a"], "modules": 9, "kernels": [8], "forked": 3, "new": 1}
    ends[1].sendall(json.dumps(state).encode() + b"\n")
    asked = ask(ends[0], PoolRequest(protocol=PROTOCOL, status=True), PoolState)
    assert asked == PoolState(7, "py", ("a",), 9, (8,), 3, "")


def test_one_reply_is_read_and_nothing_of_the_next(ends: Ends) -> None:
    for reply in (KernelReply(pid=7), KernelReply(exit=0)):
        send_line(ends[1], reply)
    assert receive_reply(ends[0], KernelReply) == KernelReply(pid=7)
    assert receive_reply(ends[0], KernelReply) == KernelReply(exit=0)


def test_an_end_that_has_closed_is_told_from_one_that_says_nonsense(ends: Ends) -> None:
    requester, pool = ends
    requester.sendall(b"[]\n")
    with pytest.raises(ValueError, match="object"):
        arrived(pool).request()
    requester.close()
    assert arrived(pool).request() is None
    assert pool.fileno() >= 0


@pytest.mark.parametrize("data", [b"{", b"{}\n", b'{"protocol": "1"}\n', b"\xff\n"])
def test_a_broken_request_is_refused_and_its_streams_are_closed(ends: Ends, data: bytes) -> None:
    requester, pool = ends
    reading, writing = os.pipe()
    socket.send_fds(requester, [data], [writing])
    os.close(writing)
    requester.shutdown(socket.SHUT_WR)
    arriving = arrived(pool)
    with pytest.raises(ValueError, match=r".+"):
        arriving.request()
    arriving.close()
    assert os.read(reading, 1) == b"", "nobody has the other end open any more"
    os.close(reading)


def test_a_pool_of_another_user_is_asked_nothing(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "peer_uid", lambda _: os.getuid() + 1)
    with pytest.raises(PermissionError):
        ask(ends[0], PoolRequest(protocol=PROTOCOL, status=True), PoolState)
    ends[1].settimeout(0)
    with pytest.raises(BlockingIOError):
        ends[1].recv(1)


# Which pool


def test_pools_are_told_apart_by_what_an_interpreter_reads_when_it_starts() -> None:
    command, env = [sys.executable], {"PATH": "/bin", "PYTHONPATH": "/a"}
    name = digest(command, env, PoolOptions())
    assert name == digest(command, env | {"EDITOR": "vi"}, PoolOptions())
    others = {
        digest([*command, "-O"], env, PoolOptions()),
        digest(command, env | {"PYTHONPATH": "/b"}, PoolOptions()),
        digest(command, env | {"OMP_NUM_THREADS": "1"}, PoolOptions()),
        digest(command, env, PoolOptions(preload=("numpy",))),
    }
    assert len(others | {name}) == 5


def test_a_directory_of_others_holds_no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert own_directory() == tmp_path / "marimo-pool"
    assert (tmp_path / "marimo-pool").stat().st_mode & 0o777 == 0o700
    (tmp_path / "marimo-pool").chmod(0o755)
    with pytest.raises(BridgeError) as refusal:
        own_directory()
    assert refusal.value.code == "bad_request"


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    assert socket_path(tmp_path, "p").name == "p.sock"
    with pytest.raises(BridgeError) as refusal:
        socket_path(tmp_path / ("x" * 100), "p")
    assert "JUPYTER_RUNTIME_DIR" in refusal.value.hint
