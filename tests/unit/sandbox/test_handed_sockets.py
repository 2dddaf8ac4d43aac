"""A kernel's sockets that were opened outside: they accept, and can never be connected."""

import ctypes
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import handed_sockets
from marimo_kernel_bridge.sandbox.handed_sockets import CHANNELS, Handed, accepts_only, listening

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A server that code in a sandbox must not reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def kept_in(*, filtered: bool) -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    if filtered and not accepts_only(listener, loopback=True):
        pytest.fail("this system refuses the filter: run as root")
    listener.listen()
    return listener


def disconnected(listener: socket.socket) -> Iterator[socket.socket]:
    """Take apart a socket that was accepted, and the one that listens, as code could that has them."""
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert LIBC.connect(accepted.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0
        yield accepted
    listener.shutdown(socket.SHUT_RD)
    yield listener


def connects(taken: socket.socket, server: socket.socket) -> bool:
    taken.settimeout(0.3)
    try:
        taken.connect(server.getsockname())
    except TimeoutError:
        return False
    return True


def test_a_socket_that_listens_can_be_taken_apart_and_connected(elsewhere: socket.socket) -> None:
    """Else the filter would be of no use."""
    with kept_in(filtered=False) as listener:
        assert [connects(each, elsewhere) for each in disconnected(listener)] == [True, True]


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="some systems refuse the filter to users"
)
def test_a_socket_with_the_filter_only_accepts(elsewhere: socket.socket) -> None:
    with kept_in(filtered=True) as listener:
        assert [connects(each, elsewhere) for each in disconnected(listener)] == [False, False]


def test_no_socket_is_said_to_accept_only_that_listens_beyond_the_loopback() -> None:
    with socket.socket() as listener:
        assert not accepts_only(listener, loopback=False)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_all_channels_listen_before_a_kernel_has_them(tmp_path: object, transport: str) -> None:
    ip = "127.0.0.1" if transport == "tcp" else f"{tmp_path}/s"
    ports = {f"{name}_port": _free() for name in CHANNELS}
    handed = listening({"ip": ip, "transport": transport, **ports}, isolated=True)
    try:
        assert sorted(handed.sockets) == sorted(ports.values())
        for port in handed.sockets:
            _connect(transport, ip, port)
        assert not any(os.get_inheritable(descriptor) for descriptor in handed.sockets.values())
    finally:
        _close(handed)


def test_a_port_of_a_kernel_that_is_about_to_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {f"{name}_port": _free() for name in CHANNELS}
    before = socket.create_server(("127.0.0.1", ports["hb_port"]))
    monkeypatch.setattr(time, "sleep", lambda _: before.close())
    _close(listening({"ip": "127.0.0.1", "transport": "tcp", **ports}, isolated=True))
    assert before.fileno() < 0


def test_a_port_that_is_taken_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_sockets, "_ENDING", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {f"{name}_port": _free() for name in CHANNELS}
        ports["hb_port"] = taken.getsockname()[1]
        before = open_files()
        with pytest.raises(BridgeError, match=f"port {ports['hb_port']}: another process"):
            listening({"ip": "127.0.0.1", "transport": "tcp", **ports}, isolated=True)
        assert open_files() == before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _connect(transport: str, ip: str, port: int) -> None:
    family = socket.AF_INET if transport == "tcp" else socket.AF_UNIX
    with socket.socket(family) as client:
        client.connect((ip, port) if transport == "tcp" else f"{ip}-{port}")


def _close(handed: Handed) -> None:
    for descriptor in handed.sockets.values():
        os.close(descriptor)
