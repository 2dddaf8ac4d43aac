"""The process that whoever started a kernel knows, where the kernel itself is in processes of its own: it lives and ends with it.

What it has started ends when it does, however that ends, and the kernel with it. A program that was this process
itself could be killed, and would leave the kernel behind, with its ports.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from marimo_kernel_bridge.sandbox.first_process import STATUS
from marimo_kernel_bridge.sandbox.system_calls import control_process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

_SIGNAL_AT_PARENTS_END: Final = 1
_PIECE: Final = 65_536
_END_BOUND: Final = 120.0
"""Seconds for what is left of a sandbox to end after its kernel."""


def supervise(
    command: list[str],
    variables: dict[str, str],
    *,
    leaving: Iterable[int],
    dies_with_parent: bool,
    at_end: Callable[[], None],
) -> NoReturn:
    """Run a program, which ends with this process, and end as it does.

    `leaving` are descriptors that are the program's alone. `dies_with_parent`: end with who started this process, too. `at_end` is called
    when the program has ended by itself.
    """
    parent = os.getppid()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Jupyter interrupts the process group: the kernel takes it again
    child = start(command, variables)
    for descriptor in leaving:
        os.close(descriptor)
    if dies_with_parent:
        end_with(parent, child)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    status = os.waitpid(child, 0)[1]
    at_end()
    _end_as(status)


def start(
    command: list[str], variables: dict[str, str], *, errors: int | None = None, apart: bool = False
) -> int:
    """Start a program; return its process. `errors`: the descriptor that becomes its stderr; `apart`: signals to this process's group are not its."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        if apart:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is ignored stays so in what is executed
            end_with(parent, None)  # which may have ended by now
        if errors is not None:
            os.dup2(errors, 2)
        os.execve(command[0], command, variables)  # noqa: S606  # the engine's program
    finally:
        os._exit(127)


def end_with(parent: int, child: int | None) -> None:
    """Let this process be killed when its parent ends; `child`, too, if that has ended already."""
    control_process(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if os.getppid() != parent:
        if child is not None:
            os.kill(child, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def stand_for(
    kernel: socket.socket, process: int, *, log: int | None = None, at_end: Callable[[], None]
) -> NoReturn:
    """Pass signals on to the first process of a sandbox, and end as the kernel in it does.

    `kernel` is the connection to that, `process` what this one has started, `log` where that writes what is for this one's stderr.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: _send(kernel, number))
    watched = select.poll()
    watched.register(kernel, select.POLLIN)
    if log is not None:
        watched.register(log, select.POLLIN)
    said = b""
    while True:
        ready = {descriptor for descriptor, _ in watched.poll()}
        if log is not None and log in ready and not pass_on(log):
            watched.unregister(log)
        if kernel.fileno() in ready:
            piece = kernel.recv(STATUS.size - len(said))
            said += piece
            if not piece or len(said) == STATUS.size:
                break
    kernel.close()
    deadline = time.monotonic() + _END_BOUND
    if log is not None:
        pass_on_the_rest(log, deadline)
    status = status_of(process, deadline)
    at_end()
    _end_as(STATUS.unpack(said)[0] if len(said) == STATUS.size else status)


def pass_on_the_rest(log: int, deadline: float) -> None:
    """Write to stderr what a pipe has until its other end is closed, which what goes on in the background may never do."""
    watched = select.poll()
    watched.register(log, select.POLLIN)
    while watched.poll(1000 * max(0.0, deadline - time.monotonic())) and pass_on(log):
        pass


def status_of(process: int, deadline: float) -> int:
    """Return how a child of this process ends; kill it where it does not: an engine may wait for its daemon forever."""
    ended = os.pidfd_open(process)
    try:
        watched = select.poll()
        watched.register(ended, select.POLLIN)
        if not watched.poll(1000 * max(0.0, deadline - time.monotonic())):
            os.kill(process, signal.SIGKILL)
    finally:
        os.close(ended)
    return os.waitpid(process, 0)[1]


def pass_on(log: int) -> bytes:
    """Write to stderr what a pipe has; return it."""
    piece = os.read(log, _PIECE)
    with suppress(OSError):
        os.write(2, piece)
    return piece


def _send(kernel: socket.socket, number: int) -> None:
    with suppress(OSError):  # it has ended
        kernel.send(bytes([number]))


def _end_as(status: int) -> NoReturn:
    import resource  # noqa: PLC0415  # not on Windows

    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it is not this process that has crashed
        with suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
