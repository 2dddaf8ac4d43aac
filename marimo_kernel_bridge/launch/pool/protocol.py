"""The protocol of a pool: its socket's path, its identity, and the messages on its socket.

A pool is a process that has imported what a kernel needs and forks a kernel on request. It listens on a Unix socket
in a directory that only its user can enter; each end checks the other's user id as well. Requests and replies are
lines of JSON, the kernel's stdin, stdout and stderr travel beside the request. No key of a kernel passes here: the
requester writes the connection file, and gives its path.

A forked kernel has from its pool what a new interpreter would read for itself: flags, locale, resource limits, and
what libraries took from the environment when they were imported. So a pool's name is a digest of all of that: a
requester gets kernels as they would be if started plainly, or another pool.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from marimo_kernel_bridge.launch.own_sockets import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROVISIONER: Final = "marimo-pool"
"""The name of the pool's provisioner in kernelspecs; an entry point of the package."""

PROTOCOL: Final = 1
OUTDATED: Final = "outdated"
"""The refusal of a pool after its modules have changed on disk: the requester starts another pool."""

START_BOUND: Final = 60.0
_MAX_LINE: Final = 8 * 1024 * 1024

# Read by interpreters, the C library or numeric libraries when they start, not later.
_READ_ONCE: Final = (
    *("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "VIRTUAL_ENV", "CONDA_PREFIX", "HOME", "XDG_"),
    *(
        "OMP_",
        "MKL_",
        "OPENBLAS_",
        "BLIS_",
        "NUMEXPR_",
        "NUMBA_",
        "CUDA_",
        "MPL",
        "POLARS_",
        "ARROW_",
        "MARIMO_",
    ),
)


@dataclass(frozen=True)
class PoolOptions:
    """A kernelspec's options of its pool."""

    preload: tuple[str, ...] = ()
    """Modules to import in addition to the kernel's own."""
    idle_timeout: float = 900.0
    """Seconds without a kernel after which the pool ends."""
    limit: int = 128
    """The maximum number of kernels at one time; further ones are spawned."""


@dataclass(frozen=True)
class KernelRequest:
    """The arguments and the environment that a kernel gets from its requester."""

    arguments: list[str]
    env: dict[str, str]
    cwd: str
    dies_with_requester: bool

    @property
    def sandboxed(self) -> bool:
        """Whether the kernel's code is in a sandbox, and this process is of no trust once it runs."""
        return any(argument.startswith("--sandbox") for argument in self.arguments)


class PoolRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request to a pool: for a kernel, for its state, or to stop. The reply is a `KernelReply` or a `PoolState`."""

    protocol: int
    kernel: KernelRequest | None = None
    status: bool = False
    stop: bool = False


class KernelReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a request for a kernel; exactly one field is set.

    `pid`: its sockets are open. `refused`: why the pool makes none. `exit`: its exit code; it has ended.
    """

    pid: int | None = None
    refused: str | None = None
    exit: int | None = None


class PoolState(msgspec.Struct, frozen=True):
    """A pool as it describes itself.

    `modules` is how many it has imported, `kernels` are the pids of those that run, `forked` is how many kernels it has
    made, `trouble` why it makes none ("": it does).
    """

    pid: int
    python: str
    preload: tuple[str, ...]
    modules: int
    kernels: tuple[int, ...]
    forked: int
    trouble: str = ""  # a pool of an earlier version has none


_T = TypeVar("_T")


def is_supported() -> bool:
    """Return whether this system can fork and pass sockets."""
    return hasattr(os, "fork") and hasattr(socket, "AF_UNIX") and hasattr(socket, "send_fds")


def own_directory() -> Path:
    """Return the directory of the pools' sockets, made if need be. Raises `BridgeError`: bad_request."""
    return private_directory("marimo-pool")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for binding and removing a pool's socket."""
    import fcntl  # noqa: PLC0415  # not on Windows

    lock = os.open(path.parent / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def digest(command: list[str], env: dict[str, str], options: PoolOptions, *, sandboxed: bool = False) -> str:
    """Return the name of the pool for kernels that `command` (a Python and its flags) would start in `env`.

    Kernels in sandboxes have pools of their own: what a pool was asked for before may still lie in the memory of its forks.
    """
    import resource  # noqa: PLC0415  # not on Windows

    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    shared = [
        PROTOCOL,
        command,
        asdict(options),
        sorted(read_once(env).items()),
        [os.getuid(), os.getgid(), sorted(os.getgroups()), os.getpriority(os.PRIO_PROCESS, 0), _umask()],
        [(name, resource.getrlimit(getattr(resource, name))) for name in limits],
        _text("/proc/self/cgroup"),
        *(["sandboxed"] if sandboxed else []),
    ]
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:16]


def read_once(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a process cannot take on later."""
    return {name: value for name, value in env.items() if name.startswith(_READ_ONCE)}


def _umask() -> str:
    for line in _text("/proc/self/status").split("\n"):
        if line.startswith("Umask:"):
            return line
    umask = os.umask(0o077)  # it cannot be read without setting it
    os.umask(umask)
    return oct(umask)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the peer process."""
    if hasattr(socket, "SO_PEERCRED"):  # Linux
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    # macOS and BSD: struct xucred { u_int cr_version; uid_t cr_uid; ... } by LOCAL_PEERCRED (1) of SOL_LOCAL (0)
    credentials = connection.getsockopt(0, 1, 128)
    return int(struct.unpack_from("2I", credentials)[1])


def send_line(connection: socket.socket, message: msgspec.Struct, descriptors: tuple[int, ...] = ()) -> None:
    """Send a message, with file descriptors as ancillary data."""
    # Not msgspec's own JSON: an environment may contain bytes that are not UTF-8.
    data = json.dumps(msgspec.to_builtins(message)).encode() + b"\n"
    sent = socket.send_fds(connection, [data], descriptors) if descriptors else 0
    connection.sendall(data[sent:])


def ask(
    connection: socket.socket, request: PoolRequest, kind: type[_T], descriptors: tuple[int, ...] = ()
) -> _T | None:
    """Send a request to a pool and wait for its reply; None if the pool ends first.

    Raises `OSError`, `ValueError`.
    """
    connection.settimeout(START_BOUND)
    if peer_uid(connection) != os.getuid():
        raise PermissionError("the pool belongs to another user")
    send_line(connection, request, descriptors)
    return receive_reply(connection, kind)


class ArrivingRequest:
    """What has arrived of a request, and the file descriptors beside it."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        self._data = bytearray()

    def receive(self, connection: socket.socket) -> bool:
        """Receive what is there; return whether the request is whole, or the peer has closed. Raises `OSError`."""
        data, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
        self.descriptors += descriptors
        self._data += data
        return not data or data.endswith(b"\n") or len(self._data) >= _MAX_LINE

    def request(self) -> PoolRequest | None:
        """Return the request; None if the peer has closed without one. Raises `ValueError` if it is malformed."""
        return _parsed(bytes(self._data), PoolRequest)

    def close(self) -> None:
        """Close the file descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def receive_reply(connection: socket.socket, kind: type[_T]) -> _T | None:
    """Receive one message and nothing of the next; None if the peer has closed. Raises `ValueError`, `OSError`."""
    data = b""
    while not data.endswith(b"\n"):
        byte = connection.recv(1)  # replies are short
        if not byte:
            return None
        data += byte
    return _parsed(data, kind)


def _parsed(data: bytes, kind: type[_T]) -> _T | None:
    if not data:
        return None
    try:
        return msgspec.convert(json.loads(data), kind)
    except RecursionError as error:
        raise ValueError(str(error)) from error
