"""A kernel's sockets, opened in the person's network before the kernel leaves it, and taken by ZeroMQ afterwards.

A socket belongs to the network that it was made in: a kernel without any is reached on the loopback as ever, with nothing
in between. So code inside holds sockets of that network, which could be taken apart and connected elsewhere. They are bound
to the loopback's device, and locked to a filter that drops what answers a connection from here: they can only accept. Some
systems refuse that filter to users; then nothing inside may connect by TCP.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import stat
import struct
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CHANNELS: Final = ("shell", "iopub", "stdin", "control", "hb")
_BACKLOG: Final = 100
_ENDING: Final = 5.0
"""Seconds that another process may still have a port."""
_LOOKS_EVERY: Final = 0.02
_ATTACH_FILTER: Final = 26
_LOCK_FILTER: Final = 44
_SYN_ACK: Final = 0x12
_NO_SYN_ACK: Final = (
    (0x30, 0, 0, 13),  # the flags of a segment
    (0x54, 0, 0, _SYN_ACK),
    (0x15, 0, 1, _SYN_ACK),
    (0x06, 0, 0, 0),  # the answer to a connection from here: dropped
    (0x06, 0, 0, 0xFFFFFFFF),
)


def is_loopback(connection: Mapping[str, Any]) -> bool:
    """Return whether a kernel listens where only this machine connects to."""
    ip = str(connection.get("ip", ""))
    return connection.get("transport") == "ipc" or ip.startswith("127.") or ip in {"localhost", "::1"}


@dataclass(frozen=True)
class Handed:
    """The five sockets of a kernel: ports and descriptors. `accept_only`: code cannot connect them."""

    sockets: Mapping[int, int]
    accept_only: bool


def listening(connection: Mapping[str, Any], *, isolated: bool) -> Handed:
    """Open the sockets of a connection file. `isolated`: for a kernel that is to reach nothing of their network.

    Raises `OSError`.
    """
    opened: dict[int, socket.socket] = {}
    accept_only = True
    with ExitStack() as closing:
        for channel in CHANNELS:
            port = int(connection[f"{channel}_port"])
            opened[port] = listener = closing.enter_context(_listener(connection, port))
            if isolated and listener.family != socket.AF_UNIX:
                accept_only &= accepts_only(listener, loopback=is_loopback(connection))
            listener.listen(_BACKLOG)
        closing.pop_all()
    return Handed({port: listener.detach() for port, listener in opened.items()}, accept_only)


def set_inherited(descriptors: Iterable[int], *, inherited: bool) -> None:
    """Let programs that this process starts have its sockets, or not: one that has them keeps the kernel's ports."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inherited)


def _listener(connection: Mapping[str, Any], port: int) -> socket.socket:
    ip = str(connection["ip"])
    if connection.get("transport") == "ipc":
        path = f"{ip}-{port}"
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):  # left by the kernel that this one follows
                os.unlink(path)  # noqa: PTH108  # as the rest
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address: Any = path
    else:
        host = "0.0.0.0" if ip == "*" else ip  # noqa: S104  # as the connection file says
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, number)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind(opened, address, port)
    except BaseException:
        opened.close()
        raise
    return opened


def _bind(opened: socket.socket, address: Any, port: int) -> None:
    """Bind a socket. Raises `OSError`, and `BridgeError` if another process has the port and goes on to have it.

    A kernel that this one follows ends a moment after the process that stood for it, when that was killed.
    """
    deadline = time.monotonic() + _ENDING
    while True:
        try:
            return opened.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() >= deadline:
                raise BridgeError(
                    "bad_request",
                    f"The kernel cannot listen on port {port}: another process does.",
                    "Nothing was started.",
                ) from error
        time.sleep(_LOOKS_EVERY)


def accepts_only(opened: socket.socket, *, loopback: bool) -> bool:
    """Keep a socket, and those that it accepts, from ever being connected; return whether that is possible. Raises `OSError`."""
    if not loopback:  # what it sends when it is to connect would leave the machine
        return False
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _NO_SYN_ACK))
    program = struct.pack("HxxxxxxP", len(_NO_SYN_ACK), ctypes.addressof(packed))
    try:
        opened.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except PermissionError:
        return False
    opened.setsockopt(socket.SOL_SOCKET, _LOCK_FILTER, 1)
    return True


def take(zmq_socket: Any, descriptor: int) -> None:
    """Let the next `bind` of a ZeroMQ socket take a socket that listens already."""
    import zmq  # noqa: PLC0415  # only in a kernel

    zmq_socket.setsockopt(zmq.USE_FD, descriptor)


@contextmanager
def heartbeat_takes(opened: Mapping[int, int]) -> Iterator[None]:
    """Let the heartbeat that ipykernel makes take its socket."""
    from ipykernel import kernelapp  # noqa: PLC0415  # only in a kernel
    from ipykernel.heartbeat import Heartbeat  # noqa: PLC0415  # the same

    class TakingHeartbeat(Heartbeat):
        def _try_bind_socket(self) -> Any:
            take(self.socket, opened[self.port])
            return super()._try_bind_socket()  # type: ignore[no-untyped-call]  # ipykernel's has no types

    module: Any = kernelapp  # which exports no heartbeat: the name that it looks up
    module.Heartbeat = TakingHeartbeat
    try:
        yield
    finally:
        module.Heartbeat = Heartbeat


def connection_in(path: str) -> dict[str, Any]:
    """Return what a connection file says, and write one where there is none. Raises `BridgeError`."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            connection: dict[str, Any] = dict(json.load(file))
    except FileNotFoundError:
        connection = {}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _malformed(path, error) from error
    if not all(connection.get(f"{channel}_port") for channel in CHANNELS):
        kept = {name: value for name, value in connection.items() if name != "kernel_name"}
        if isinstance(kept.get("key"), str):
            kept["key"] = kept["key"].encode()
        from jupyter_client.connect import write_connection_file  # noqa: PLC0415  # slow, and seldom needed

        try:
            _, written = write_connection_file(path, **kept)
        except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise _malformed(path, error) from error
        connection = dict(written)
    wrong = [name for name, kind in _KINDS.items() if not isinstance(connection.get(name, kind()), kind)]
    ports = (f"{channel}_port" for channel in CHANNELS)
    wrong = wrong or [name for name in ports if not 0 < connection[name] < _PORTS]
    if wrong:
        raise _malformed(path, f"{', '.join(wrong)} cannot be {connection[wrong[0]]!r:.100}")
    return connection


def _malformed(path: str, why: object) -> BridgeError:
    return BridgeError(
        "connection_file_malformed", f"{path} is no connection file: {why}", "Nothing was started."
    )


_PORTS: Final = 65_536
_KINDS: Final = {"ip": str, "transport": str, **{f"{channel}_port": int for channel in CHANNELS}}
