"""The first process of a sandbox's own processes: it takes what others leave behind, passes signals on, and ends with the kernel.

When it ends, the system ends all the rest. It ends, too, when the process outside does, which holds the other end of a
connection: however that was killed, no code goes on in the sandbox.
"""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.sandbox.system_calls import control_process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

STATUS: Final = struct.Struct("i")
"""How the kernel ended, as `waitpid` says it: the last that the first process sends."""
_DUMPABLE: Final = 4
_TAKES_ORPHANS: Final = 36


def fork_kernel(outside: socket.socket, leaves: Callable[[], None]) -> None:
    """Return in a new process, the kernel; this one stays the sandbox's first and never returns.

    `outside` is the connection to the process outside, which sends numbers of signals; `leaves` gives up in this process what
    the kernel alone is to have.
    """
    control_process(_TAKES_ORPHANS, 1)
    # Its memory and its descriptors are not the kernel's to reach.
    control_process(_DUMPABLE, 0)
    kernel = os.fork()
    if not kernel:
        control_process(_DUMPABLE, 1)
        os.setpgid(0, 0)
        outside.close()
        return
    try:
        with suppress(OSError):  # it has done so
            os.setpgid(kernel, kernel)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # what comes from outside comes by the connection
        leaves()
        signal.signal(signal.SIGCHLD, lambda *_: _take_ended(kernel, outside))
        _take_ended(kernel, outside)  # it may have ended before
        while said := outside.recv(1):
            with suppress(ProcessLookupError):
                os.killpg(kernel, said[0])
    finally:
        _end(1)


def _take_ended(kernel: int, outside: socket.socket) -> None:
    """Take what has ended; end with the kernel."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            return
        if ended == kernel:
            with suppress(OSError):
                outside.sendall(STATUS.pack(status))
            _end(0)


def _end(code: int) -> None:
    """End this process, and with it all others: as the first of its namespace, or one by one where it has none of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while os.getpid() != 1 and (children := _children()):
        for child in children:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        with suppress(OSError):
            os.waitpid(-1, 0)
    os._exit(code)


def _children() -> list[int]:
    """Return the processes that this one has to wait for: its own, and what others have left behind."""
    pid = os.getpid()
    try:
        with open(f"/proc/self/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(child) for child in file.read().split()]
    except OSError:  # a system whose kernel lists none
        return [int(name) for name in os.listdir("/proc") if name.isdecimal() and _parent_of(name) == pid]  # noqa: PTH208  # numbers


def _parent_of(pid: str) -> int | None:
    """Return the parent of a process, None if it has ended, or waits for that."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            state, parent = file.read().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state == "X" else int(parent)
