"""A pool of warm kernels: a process that has imported what kernels need, and forks one on request.

It has one thread, no event loop and no ZMQ context, so that a fork is complete. It keeps each kernel's connection to
the requester: it reports the exit code there, and the kernel's pid can be reused only after the requester has closed
it. It ends after some idle time, and refuses requests once a module or package has changed on disk, because new kernels
must not run old code.

How it is started: `python -m marimo_kernel_bridge pool-server DESCRIPTOR NAME OPTIONS`, with the descriptor of the listening
socket. Its environment is JSON on stdin: that of its start stays readable in all kernels (/proc/self/environ), and so has
only what Python and libraries read at start.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import site
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.launch.own_sockets import socket_path
from marimo_kernel_bridge.launch.pool.child import become
from marimo_kernel_bridge.launch.pool.pandas_import import pandas_as_in_a_kernel
from marimo_kernel_bridge.launch.pool.preload_check import STARTS_A_THREAD
from marimo_kernel_bridge.launch.pool.protocol import (
    OUTDATED,
    PROTOCOL,
    ArrivingRequest,
    KernelReply,
    KernelRequest,
    PoolOptions,
    PoolState,
    locked,
    own_directory,
    peer_uid,
    send_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.launch.pool.child import RunKernel
    from marimo_kernel_bridge.launch.pool.protocol import PoolRequest

_PRELOADED: Final = (
    "marimo_kernel_bridge.zmq_kernel",
    "marimo_kernel_bridge.runtime.engine",
    "marimo_kernel_bridge.runtime.display.drawing",
    "marimo_kernel_bridge.runtime.lazy_imports",  # imported here, so that all kernels share them
    # Imported by a kernel between its start and the end of its first cell:
    "marimo_kernel_bridge.analysis.value_flows",
    "marimo_kernel_bridge.kernel.ipython.marimo_magic",
    "marimo_kernel_bridge.kernel.bridge_handler",
    "marimo_kernel_bridge.kernel.notebook.agent_edits",
    "marimo_kernel_bridge.kernel.notebook.commands",
    "marimo_kernel_bridge.kernel.notebook.execution",
    "marimo_kernel_bridge.kernel.notebook.lookahead",
    "marimo_kernel_bridge.kernel.notebook.requested_cells",
    "marimo_kernel_bridge.kernel.messaging.output_streams",
    "marimo_kernel_bridge.kernel.limits.starting",
    "marimo_kernel_bridge.kernel.recording",
    "marimo_kernel_bridge.sandbox.entering",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.debugger_backport",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "encodings.idna",
    "faulthandler",
    "psutil",
    "pwd",
    "sqlite3",
    "tornado.platform.asyncio",
    "webbrowser",
)
_REQUEST_BOUND: Final = 5.0  # seconds for a requester to send its request; others are served meanwhile


def main(arguments: list[str], run_kernel: RunKernel) -> None:
    """Serve until idle; in a forked child, run its kernel."""
    descriptor, name, options = int(arguments[0]), arguments[1], PoolOptions(**json.loads(arguments[2]))
    os.environ.update(json.loads(sys.stdin.buffer.read()))
    if os.fork():  # the process that started the pool does not wait for it
        os._exit(0)
    os.setsid()
    os.set_inheritable(descriptor, False)  # noqa: FBT003
    listening = socket.socket(fileno=descriptor)
    with open(os.devnull) as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.chdir("/")
    os.environ.setdefault(
        "MPLBACKEND", "module://matplotlib_inline.backend_inline"
    )  # as ipykernel does, later
    for module in _PRELOADED:
        importlib.import_module(module)
    pool = Pool(name, options, listening, _preload(options.preload))
    child = pool.serve()
    if child is not None:
        become(*child, run_kernel)


def _preload(modules: Iterable[str]) -> str:
    """Import modules; return why kernels cannot be forked afterwards, "" if they can."""
    for module in modules:
        try:
            with pandas_as_in_a_kernel():
                importlib.import_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's module may raise anything
            traceback.print_exc()
            # After a failed import the process is no longer like a new interpreter.
            return f"{module} cannot be preloaded: {type(error).__name__}: {error}"
        if threading.active_count() > 1:
            return f"{module} cannot be preloaded: {STARTS_A_THREAD}"
    return ""


Child = tuple[KernelRequest, list[int], socket.socket]
"""A forked child: its request, its streams, and the connection to its requester."""


class Pool:
    """A process that forks kernels on request, reports their ends to their requesters, and ends when it is idle."""

    def __init__(self, name: str, options: PoolOptions, listening: socket.socket, trouble: str) -> None:
        """`trouble` is the reason why the pool cannot fork, "" if it can."""
        self._trouble = trouble
        self._path = socket_path(own_directory(), name)
        self._inode = self._path.stat().st_ino
        self._options = options
        self._listening = listening
        self._arriving: dict[socket.socket, tuple[ArrivingRequest, float]] = {}
        self._kernels: dict[int, socket.socket | None] = {}
        self._ended: set[int] = set()
        self._watched: set[int] = (
            set()
        )  # kernels that end with their requesters, and do not watch for themselves
        self._forked = 0
        self._last_used = time.monotonic()
        self._closed = False
        self._modules = _files_of_modules()
        self._woken, wakes = socket.socketpair()
        for end in (self._woken, wakes):
            end.setblocking(False)  # noqa: FBT003
        self._wakes = wakes
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> Child | None:
        """Answer requests. Returns None when the pool ends, and a `Child` in each forked child."""
        gc.collect()
        gc.freeze()  # garbage collections in a kernel then do not touch pages shared with the pool
        while True:
            for key, _ in self._selector.select(self._time_left()):
                child = key.data()
                if child is not None:
                    return child  # type: ignore[no-any-return]  # the data of a selector key is Any
            self._reap()
            self._drop_late()
            if self._closed and not self._kernels and not self._arriving:
                return None
            if not self._closed and self._idle_left() == 0:
                self._close()

    def _time_left(self) -> float | None:
        """Return the seconds until something is to do without an event, None if nothing is."""
        now = time.monotonic()
        ends = [max(0.0, until - now) for _, until in self._arriving.values()]
        idle = self._idle_left()
        return min(ends if idle is None else [idle, *ends], default=None)

    def _idle_left(self) -> float | None:
        if self._kernels or self._arriving:
            return None
        return max(0.0, self._last_used + self._options.idle_timeout - time.monotonic())

    def _drain(self) -> None:
        self._woken.recv(4096)

    # -- requests ---------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Let a request arrive."""
        if self._listening.fileno() < 0:  # closed by another event of the same moment
            return
        connection, _ = self._listening.accept()
        connection.setblocking(False)  # noqa: FBT003
        self._arriving[connection] = ArrivingRequest(), time.monotonic() + _REQUEST_BOUND
        self._selector.register(connection, selectors.EVENT_READ, partial(self._receive, connection))

    def _receive(self, connection: socket.socket) -> Child | None:
        """Receive a part of a request, and answer it when it is whole."""
        arriving, _ = self._arriving[connection]
        try:
            if peer_uid(connection) == os.getuid() and not arriving.receive(connection):
                return None
        except BlockingIOError:
            return None
        except OSError:  # then it is no request
            traceback.print_exc()
        child = None
        self._leave(connection)
        try:
            if peer_uid(connection) == os.getuid():
                child = self._answer(connection, arriving.request(), arriving.descriptors)
        except (OSError, ValueError, TypeError):  # a malformed request does not end the pool
            traceback.print_exc()
        finally:
            arriving.close()
        if child is None and connection not in self._kernels.values():
            connection.close()
        return child

    def _leave(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._arriving[connection]

    def _drop_late(self) -> None:
        """Close the connections whose requests have not arrived in time."""
        now = time.monotonic()
        for connection, (arriving, until) in list(self._arriving.items()):
            if until <= now:
                self._leave(connection)
                arriving.close()
                connection.close()

    def _answer(
        self, connection: socket.socket, request: PoolRequest | None, streams: list[int]
    ) -> Child | None:
        """Answer one request."""
        connection.settimeout(_REQUEST_BOUND)
        if request is not None and request.kernel is not None and request.protocol == PROTOCOL:
            refused = self._refusal()
            if refused is None:
                return self._fork(connection, request.kernel, streams)
            send_line(connection, KernelReply(refused=refused))
        elif request is not None:
            if request.stop:
                self._close()
            send_line(connection, self._status())
        return None

    def _refusal(self) -> str | None:
        """Return why no kernel can be forked, None if one can."""
        if self._closed or _files_of_modules(self._modules) != self._modules:
            self._close()
            return OUTDATED
        if self._trouble:
            return self._trouble
        if len(self._kernels) >= self._options.limit:
            return "the pool has reached its limit of kernels"
        if threading.active_count() > 1:
            return "a preloaded module has started a thread"
        return None

    def _fork(self, connection: socket.socket, request: KernelRequest, streams: list[int]) -> Child | None:
        """Fork a kernel, which reports its pid to the requester; return a `Child` in the child, None in the pool."""
        connection.settimeout(None)
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            others = (*self._arriving, *self._kernels.values())
            for closing in (self._listening, self._woken, self._wakes, *others):
                if closing is not None:
                    closing.close()
            for arriving, _ in self._arriving.values():
                arriving.close()
            return request, [os.dup(stream) for stream in streams], connection
        self._forked += 1
        self._last_used = time.monotonic()
        self._kernels[pid] = connection
        if request.sandboxed and request.dies_with_requester:
            self._watched.add(pid)
        self._selector.register(connection, selectors.EVENT_READ, partial(self._requester_left, connection))
        return None

    def _status(self) -> PoolState:
        return PoolState(
            pid=os.getpid(),
            python=sys.executable,
            preload=tuple(self._options.preload),
            modules=len(sys.modules),
            kernels=tuple(sorted(set(self._kernels) - self._ended)),
            forked=self._forked,
            trouble=self._trouble,
        )

    # -- kernels that end, requesters that leave -----------------------------------------------------------------------

    def _requester_left(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        for pid, of in self._kernels.items():
            if of is connection:
                self._kernels[pid] = None
                if pid in self._watched - self._ended:
                    os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Report ended kernels to their requesters, and reap those without a requester."""
        for pid, requester in list(self._kernels.items()):
            if pid not in self._ended:
                code = _exit_code(pid)
                if code is None:
                    continue
                self._ended.add(pid)
                if requester is not None:
                    with suppress(OSError):
                        send_line(requester, KernelReply(exit=code))
            if requester is None:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
                self._ended.discard(pid)
                self._watched.discard(pid)
                del self._kernels[pid]
                self._last_used = time.monotonic()

    # -- the end ----------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Stop accepting requests. Waiting requesters are told to retry, which starts another pool."""
        if self._closed:
            return
        self._closed = True
        with locked(self._path), suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
                self._path.with_suffix(".log").unlink()
        self._selector.unregister(self._listening)
        self._listening.setblocking(False)  # noqa: FBT003
        with suppress(BlockingIOError):
            while True:
                self._accept()
        self._listening.close()


def _exit_code(pid: int) -> int | None:
    """Return the exit code of a child, None while it runs. Leaves it a zombie where the system supports that."""
    if hasattr(os, "waitid"):
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _files_of_modules(names: Iterable[str] | None = None) -> dict[str, int]:
    """Return the modification times of modules' files and of packages' directories; 0 for deleted ones."""
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in names or list(sys.modules)}
    files |= {place: place for place in (*site.getsitepackages(), site.getusersitepackages())}
    return {name: _changed(file) for name, file in files.items() if file}


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  # a thousand of them for each kernel
    except OSError:
        return 0
