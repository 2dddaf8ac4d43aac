"""Where the viewer's process of this user and this interpreter is found: a file that only this user reads.

It names the process, its port, and the secret for its control. Jupyter's runtime directory may be shared by several machines,
as homes of a cluster are, so the file's name has the machine's. Each release has its own process.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch import own_files
from marimo_kernel_bridge.launch.locks import take
from marimo_kernel_bridge.launch.own_sockets import private_directory
from marimo_kernel_bridge.launch.sessions.processes import runs, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS: Final = "127.0.0.1"
_LOCK_BOUND: Final = 240.0  # seconds: another one starts the process meanwhile
_PAUSE: Final = 0.05
_STANDARD_ERROR: Final = 2


class Process(msgspec.Struct, frozen=True):
    """The viewer's process. `since` is its start, which a later process of its id does not share."""

    pid: int
    since: str
    port: int
    secret: str

    @property
    def runs(self) -> bool:
        """Whether it still runs, and nobody else has its port."""
        return runs(self.pid, self.since) and foreign_listener(ADDRESS, self.port) is None

    def __repr__(self) -> str:
        return f"Process(pid={self.pid}, port={self.port})"


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_PROCESS: Final = msgspec.json.Decoder(Process)


def place() -> Path:
    """Return the path of the file. Raises `BridgeError`: bad_request."""
    machine = "" if sys.platform == "darwin" else socket.gethostname()  # a Mac's name depends on its network
    of = f"{machine}\0{sys.executable}\0{sys.prefix}\0{__version__}"
    try:
        return private_directory("marimo-view") / f"{hashlib.sha256(of.encode()).hexdigest()[:16]}.json"
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"{error.filename} cannot be used: {error.strerror}.",
            "Set JUPYTER_RUNTIME_DIR to a folder that you can write to.",
        ) from error


def running(path: Path) -> Process | None:
    """Return the process that a file names, if it runs. Raises `BridgeError`: bad_request, if others can reach the file."""
    text = own_files.read(path)
    if text is None:
        return None
    try:
        process = _PROCESS.decode(text)
    except (ValueError, RecursionError):
        return None
    return process if process.runs else None


def started_meanwhile(path: Path) -> Process | None:
    """Return the process that somebody starts right now, when it has started; None if nobody does. Raises as `locked`."""
    if not _lock_of(path).exists():
        return None
    with locked(path):
        return running(path)


def publish(path: Path, port: int, secret: str) -> None:
    """Write the file for this process. Raises `BridgeError`: bad_request."""
    since = started(os.getpid())
    assert since is not None, "this process runs"
    own_files.replace(path, msgspec.json.encode(Process(os.getpid(), since, port, secret)).decode())


def withdraw(path: Path) -> None:
    """Remove the file, if it is this process's."""
    with suppress(OSError, BridgeError), locked(path):
        process = running(path)
        if process is not None and process.pid == os.getpid():
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of a file, so that one alone starts a process, and yield its descriptor. Raises `BridgeError`: bad_request."""
    deadline = time.monotonic() + _LOCK_BOUND
    descriptor = _beside_standard_streams(os.open(_lock_of(path), os.O_RDWR | os.O_CREAT, 0o600))
    try:
        while True:
            try:
                take(descriptor)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise BridgeError(
                        "bad_request",
                        f"Another process has been starting the viewer for {_LOCK_BOUND:.0f} s.",
                    ) from None
                time.sleep(_PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)


def _beside_standard_streams(descriptor: int) -> int:
    """Return a descriptor that is none of a standard stream's: a host may have closed these, and what is started gets others in their place."""
    if descriptor > _STANDARD_ERROR or sys.platform == "win32":
        return descriptor
    import fcntl  # noqa: PLC0415  # not on Windows

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STANDARD_ERROR + 1)
    finally:
        os.close(descriptor)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
