"""A process that a pool has just forked: how it becomes the kernel that a new interpreter would be.

Python itself reseeds `random` after a fork, and OpenSSL, `uuid`, `secrets` and `tempfile` notice one. Environment,
working directory, streams, signals and session are the requester's or new. What a fork shares with its pool and no
new interpreter would: the hash seed, and the modules.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from marimo_kernel_bridge.launch.pool.protocol import KernelReply, send_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from marimo_kernel_bridge.launch.pool.protocol import KernelRequest

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


class RunKernel(Protocol):
    """Run a kernel with ipykernel's arguments, and call `forked` when its sockets are open."""

    def __call__(self, arguments: list[str], *, forked: Callable[[], None]) -> None: ...


def become(
    request: KernelRequest, streams: list[int], requester: socket.socket, run_kernel: RunKernel
) -> None:
    """Turn this process into the kernel that was asked for, and run it. Ends the process."""
    os.setsid()
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for target, descriptor in enumerate(streams):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.env)
    time.tzset()
    os.chdir(request.cwd)
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` does
    sys.argv = [sys.argv[0], "kernel", *request.arguments]
    _reseed()
    if request.dies_with_requester:
        threading.Thread(target=_end_with, args=(requester,), name="RequesterWatch", daemon=True).start()
    run_kernel(request.arguments, forked=partial(_report_ready, requester))


def _report_ready(requester: socket.socket) -> None:
    """Report to the requester that the kernel accepts connections: ZeroMQ retries only 0.1 s later where it does not."""
    with suppress(OSError):  # the requester may have left
        send_line(requester, KernelReply(pid=os.getpid()))


def _reseed() -> None:
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _end_with(requester: socket.socket) -> None:
    """End this process when its requester has gone, as ipykernel does when its parent has."""
    poll = select.poll()
    poll.register(requester, select.POLLIN)  # it sends nothing any more: what can be read is the end
    poll.poll()
    os._exit(1)
