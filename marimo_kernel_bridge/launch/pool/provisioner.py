"""The kernel provisioner of warm pools, for everything that starts kernels through jupyter_client.

A kernelspec names it as its `kernel_provisioner`; JupyterLab, nbclient, papermill and consoles then get kernels that a
pool forks (`server`), and start the pool if there is none. What a pool cannot do, on Windows or with options of `Popen`
that a fork has no equivalent of, is left to the superclass, which spawns a kernel as always.
"""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Float, Integer, List, Unicode

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.own_sockets import socket_path
from marimo_kernel_bridge.launch.pool.protocol import (
    OUTDATED,
    PROTOCOL,
    START_BOUND,
    KernelReply,
    KernelRequest,
    PoolOptions,
    PoolRequest,
    ask,
    digest,
    is_supported,
    locked,
    own_directory,
    read_once,
    receive_reply,
)
from marimo_kernel_bridge.protocol.black_box import forget_killed, note_killing
from marimo_kernel_bridge.protocol.names import MODULE
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_client.connect import KernelConnectionInfo
    from jupyter_client.kernelspec import KernelSpec

_KERNEL: Final = ["-m", MODULE, "kernel"]
_UNDERSTOOD: Final = frozenset({"env", "cwd", "stdin", "stdout", "stderr", "independent"})
_A_DAY: Final = 86_400.0  # seconds; poll takes no more than 24 of them
_UNKNOWN: Final = 255  # the exit code of a kernel if its pool has ended, too


def serves(kernel_spec: KernelSpec) -> bool:
    """Return whether a kernelspec starts this package's kernel and names no provisioner of its own."""
    start = [part for part in kernel_spec.argv[1:5] if part != "-P"]
    return start[:3] == _KERNEL and "kernel_provisioner" not in kernel_spec.metadata


class NoPoolError(Exception):
    """A kernel that must be spawned without a pool; the message is the reason."""


class PoolProvisioner(LocalProvisioner):
    """A provisioner that forks kernels from a pool, or spawns them where there can be none."""

    preload = List(Unicode(), help="Modules that are imported before kernels of this kernelspec are forked.")
    idle_timeout = Float(PoolOptions.idle_timeout, help="Seconds after which a pool without kernels ends.")
    limit = Integer(
        PoolOptions.limit,
        help="The maximum number of kernels of one pool; further ones are started without it.",
    )

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel from the pool, or spawn it if that is not possible."""
        options = PoolOptions(tuple(self.preload), self.idle_timeout, self.limit)
        try:
            kernel = await asyncio.to_thread(fork_kernel, cmd, self._scrub_kwargs(kwargs), options)
        except NoPoolError as reason:
            self.log.info("Starting a kernel without a pool: %s", reason)
            return await super().launch_kernel(cmd, **kwargs)
        self.process = kernel  # type: ignore[assignment]  # it has the part of Popen that the superclass uses
        self.pid = self.pgid = kernel.pid
        self.cwd = kwargs.get("cwd") or working_directory()
        return self.connection_info

    async def terminate(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002  # the superclass's signature
        """End a kernel that did not end when it was asked to."""
        self._note_killing()
        await super().terminate(restart)

    async def kill(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002  # jupyter_client gives False for a restart, too
        """End a kernel by force."""
        self._note_killing()
        await super().kill(restart)

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Forget the kernel that ended, unless the next one has to tell of its end."""
        if not restart and self.parent is not None:
            forget_killed(self.parent.connection_file)
        await super().cleanup(restart)

    def _note_killing(self) -> None:
        if self.parent is not None and self.process is not None and self.process.poll() is None:
            note_killing(self.parent.connection_file)


def fork_kernel(command: list[str], popen_options: dict[str, Any], options: PoolOptions) -> PooledKernel:
    """Start the kernel that `Popen(command, **popen_options)` would. Raises `NoPoolError`."""
    if not is_supported():
        raise NoPoolError("this system cannot fork")
    command = [os.path.expanduser(part) for part in command]  # noqa: PTH111  # as jupyter_client does
    if _KERNEL[1] not in command or not set(popen_options) <= _UNDERSTOOD:
        raise NoPoolError("the kernelspec or the caller sets options that a fork cannot honor")
    start = command.index(_KERNEL[1]) - 1
    if command[start : start + 3] != _KERNEL:
        raise NoPoolError("the kernelspec runs a different command")
    env = dict(popen_options.get("env") or os.environ)
    if not all(os.path.isabs(part) for part in env.get("PYTHONPATH", "").split(os.pathsep) if part):  # noqa: PTH117
        raise NoPoolError("PYTHONPATH depends on the working directory")
    folder = popen_options.get("cwd") or working_directory()
    if not folder:
        raise NoPoolError("the working directory was deleted")
    cwd = os.path.abspath(folder)  # noqa: PTH100  # keeps symbolic links
    if not os.path.isdir(cwd):  # noqa: PTH112  # as it is
        raise NoPoolError("the working directory does not exist")
    independent = bool(popen_options.get("independent"))
    python = command[:start]
    sandboxed, env = _within_sandbox(command[start + 3 :], env)
    request = KernelRequest(
        command[start + 3 :],
        env if independent else env | {"JPY_PARENT_PID": str(os.getpid())},
        cwd,
        dies_with_requester=not independent,
    )
    try:
        pool = _Pool(python, env, options, sandboxed)
        return _ask(pool, request, popen_options)
    except (BridgeError, OSError, ValueError, subprocess.SubprocessError) as error:
        raise NoPoolError(str(error)) from error


def _within_sandbox(arguments: list[str], env: dict[str, str]) -> tuple[bool, dict[str, str]]:
    """Return whether a kernel is to be in a sandbox, and what of its environment a pool may know. Raises `NoPoolError`."""
    if not any(argument.startswith("--sandbox") for argument in arguments):
        return False, env
    from marimo_kernel_bridge.protocol.written_bounds import sandbox_of  # noqa: PLC0415  # kernels in a sandbox only
    from marimo_kernel_bridge.sandbox.engines import engine_for  # noqa: PLC0415  # the same
    from marimo_kernel_bridge.sandbox.variables import cleaned  # noqa: PLC0415  # the same

    texts = [argument.partition("=")[2] for argument in arguments if argument.startswith("--sandbox=")]
    if len(texts) != 1:
        raise NoPoolError("the kernelspec names a sandbox twice, or by two arguments")
    try:
        sandbox = sandbox_of(texts[0])
        if sandbox is None or engine_for(sandbox) != "light":
            raise NoPoolError("its sandbox is a program of its own")
    except BridgeError as error:
        raise NoPoolError(str(error)) from error
    return True, cleaned(env, sandbox.environment)


@dataclass(frozen=True)
class _Pool:
    """The pool of a kernel: the Python that it runs, its environment, and whether its kernels are in sandboxes."""

    python: list[str]
    env: dict[str, str]
    options: PoolOptions
    sandboxed: bool


def _ask(pool: _Pool, request: KernelRequest, popen_options: dict[str, Any]) -> PooledKernel:
    name = digest(pool.python, pool.env, pool.options, sandboxed=pool.sandboxed)
    path = socket_path(own_directory(), name)
    for_kernel = PoolRequest(protocol=PROTOCOL, kernel=request)
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
        output = _descriptor(popen_options.get("stdout"), 1, nothing)
        errors = popen_options.get("stderr")
        errors = output if errors == subprocess.STDOUT else _descriptor(errors, 2, nothing)
        streams = (
            nothing.fileno(),
            output,
            errors,
        )  # a kernel reads no stdin: input comes from the front end
        for _ in range(3):  # a pool may end at this moment
            connection = _connect(path) or _start_pool(path, pool.python, pool.env, pool.options)
            try:
                reply = ask(connection, for_kernel, KernelReply, streams)
            except BaseException:
                connection.close()
                raise
            if reply is not None and reply.pid is not None:
                return PooledKernel(reply.pid, connection)
            connection.close()
            if reply is None or reply.exit is not None:
                ended = "the pool ended" if reply is None else "it ended before it opened its sockets"
                raise NoPoolError(f"{ended}, see {_log_of(path)}")
            if reply.refused != OUTDATED:
                raise NoPoolError(str(reply.refused))
    raise NoPoolError("pools end on request")


def _descriptor(given: Any, default: int, nothing: IO[bytes]) -> int:
    """Return the open file that `Popen` would make a stream of."""
    match given:
        case None:
            return default
        case subprocess.DEVNULL:
            return nothing.fileno()
        case subprocess.PIPE:
            raise NoPoolError("the caller requests a pipe")
        case int():
            return given
        case _:
            return int(given.fileno())


def _connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _start_pool(path: Path, python: list[str], env: dict[str, str], options: PoolOptions) -> socket.socket:
    """Start a pool unless another process just did; return a connection, which the pool accepts when it is ready."""
    with locked(path):
        running = _connect(path)
        if running is not None:
            return running
        path.unlink(missing_ok=True)  # left by a pool that was killed
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, _log_of(path).open("wb") as log:
            listening.bind(os.fspath(path))
            listening.listen(512)
            # It forks at once and its first process ends, so the pool is not our child and outlives us.
            subprocess.run(  # noqa: S603  # the kernelspec's interpreter
                [
                    *python,
                    "-m",
                    MODULE,
                    "pool-server",
                    str(listening.fileno()),
                    path.stem,
                    json.dumps(asdict(options)),
                ],
                # For the modules that it preloads. Every kernel of the pool has `env` in /proc/self/environ.
                input=json.dumps(
                    {name: value for name, value in env.items() if not name.startswith("JPY_")}
                ).encode(),
                pass_fds=[listening.fileno()],
                stdout=log,
                stderr=log,
                env={"PATH": env.get("PATH", os.defpath), **read_once(env)},
                cwd="/",
                start_new_session=True,
                check=True,
                timeout=START_BOUND,
            )
            started = _connect(path)
    if started is None:
        raise NoPoolError(f"the pool did not start, see {_log_of(path)}")
    return started


def _log_of(path: Path) -> Path:
    return path.with_suffix(".log")


_running: Final[set[PooledKernel]] = set()
"""Keeps kernels alive as long as this process, also when their managers are garbage collected."""


class PooledKernel:
    """The process of a forked kernel, with the methods of `subprocess.Popen` that `LocalProvisioner` uses.

    It is the pool's child, not ours: its exit code comes over the connection on which it was requested. If the pool has
    ended too, the end of the connection shows that the kernel has ended, but not how. Code in the kernel has that connection:
    on Linux, nothing on it is believed while the process runs.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        _running.add(self)
        self._connection = connection
        self._connection.setblocking(False)  # noqa: FBT003
        # No other process has the pid: the pool reaps the kernel when it has reported the end.
        self._process = os.pidfd_open(pid) if sys.platform == "linux" else None

    def release(self) -> None:
        """Let the kernel run on without this process, which hears no more of it; its pid may be reused once it has ended."""
        self._forget(_UNKNOWN)

    def _forget(self, returncode: int) -> None:
        self.returncode = returncode
        self._connection.close()  # from now on the pid may be reused
        if self._process is not None:
            os.close(self._process)
            self._process = None
        _running.discard(self)

    def _runs(self) -> bool:
        """Whether the process runs, False where only the connection tells."""
        return self._process is not None and not _readable(self._process, 0)

    def poll(self) -> int | None:
        """Return the exit code, None while the kernel runs."""
        if self.returncode is None and not self._runs():
            try:
                reply = receive_reply(self._connection, KernelReply)
            except BlockingIOError:
                return None
            except (OSError, ValueError):
                reply = None
            self._forget(_UNKNOWN if reply is None or reply.exit is None else reply.exit)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises `subprocess.TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            watched = self._process if self._runs() else None
            _readable(self._connection.fileno() if watched is None else watched, left)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _readable(descriptor: int, timeout: float | None) -> bool:
    """Wait until a descriptor can be read, for at most `timeout` seconds; None: without end.

    `select.select` refuses descriptors from 1,024 on, which a server of a hundred kernels has. Raises `OSError` for one that is closed.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    seen = waiting.poll(None if timeout is None else max(0, math.ceil(min(timeout, _A_DAY) * 1000)))
    if any(event & select.POLLNVAL for _, event in seen):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return bool(seen)
