"""The forked child of a pool, and its transformation into a kernel like one that a new interpreter runs.

Python itself reseeds `random` after a fork, and OpenSSL, `uuid`, `secrets` and `tempfile` detect it. Environment,
working directory, streams, signals and session are the requester's or new. A fork shares two things with its pool that
a new interpreter would not: the hash seed and the modules.
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
    """Turn this process into the requested kernel, and run it. Ends the process."""
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
    sys.argv = [sys.argv[0], "kernel", *request.arguments]
    _reseed()
    # A kernel in a sandbox is a fork of this process, which stays.
    run_kernel(request.arguments, forked=partial(_report_ready, request, requester, os.getpid()))


def _report_ready(request: KernelRequest, requester: socket.socket, pid: int) -> None:
    """Report to the requester that the kernel accepts connections: ZMQ retries a refused connection after 0.1 s.

    Only now is there a thread that watches the requester: a process with threads cannot enter a sandbox.
    """
    if request.sandboxed:
        with suppress(OSError):
            send_line(requester, KernelReply(pid=pid))
        requester.close()  # on which its code could speak for the pool; the pool watches the requester
        return
    if request.dies_with_requester:
        threading.Thread(target=_end_with, args=(requester,), name="RequesterWatch", daemon=True).start()
    with suppress(OSError):  # the requester may have left
        send_line(requester, KernelReply(pid=pid))


def _reseed() -> None:
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)  # the key of its connections; a fork inherits it
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _end_with(requester: socket.socket) -> None:
    """End this process when its requester ends, as ipykernel does when its parent ends."""
    poll = select.poll()
    poll.register(
        requester, select.POLLIN
    )  # the requester sends nothing more, so this is the end of the connection
    poll.poll()
    os._exit(1)
