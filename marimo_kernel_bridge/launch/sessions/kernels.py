"""The kernels of sessions: started so that they outlive this process, and ended.

A session's kernel ends itself after its `ttl`, so that none is left over, whatever becomes of the processes that use it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_client.manager import AsyncKernelManager

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import listens, marked_files, new_connection_file, read_connection
from marimo_kernel_bridge.client.port_owner import listens_at
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.owned_kernels import (
    arguments_for,
    await_answer,
    begin,
    manager_for,
    needs_runtime_folder,
    spec_of,
)
from marimo_kernel_bridge.launch.pool.provisioner import PooledKernel
from marimo_kernel_bridge.launch.sessions.entries import SessionKernel
from marimo_kernel_bridge.launch.sessions.processes import started
from marimo_kernel_bridge.protocol.black_box import forget_killed, note_killing
from marimo_kernel_bridge.protocol.names import KERNELSPEC

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session

_END_BOUND: Final = 10.0
_FIND_BOUND: Final = 10.0
_PAUSE: Final = 0.02


class _LeavingManager(AsyncKernelManager):
    """A manager that leaves the kernel and its connection file behind when it goes."""

    def cleanup_connection_file(self) -> None:
        """Keep the file: others find the kernel by it."""

    def cleanup_ipc_files(self) -> None:
        """Keep the sockets."""


async def start(session: Session) -> SessionKernel:
    """Start the kernel of a session. Raises `BridgeError`: no_such_kernelspec, bad_request, limit_unavailable, kernel_dead, disk_full, not_writable."""
    folder = Path(session.path).parent
    spec = await spec_of(None, session.interpreter)
    with needs_runtime_folder():
        path = await asyncio.to_thread(new_connection_file, session.id)
        manager = manager_for(spec, KERNELSPEC, path, _LeavingManager)
        await begin(
            manager,
            cwd=str(folder),
            env={**os.environ, "JPY_SESSION_NAME": session.path},
            extra_arguments=[f"--ttl={session.ttl:g}", *arguments_for(spec, session.bounds)],
            independent=True,
            # An end of this process's streams in a kernel that outlives it would keep its host waiting for their ends.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    await await_answer(manager, spec.display_name)
    process = getattr(manager.provisioner, "process", None)
    pid = getattr(process, "pid", 0)
    since = started(pid)
    if isinstance(process, PooledKernel):
        process.release()
    await manager.cleanup_resources()
    if since is None:
        raise BridgeError("kernel_dead", f"The kernel of {session.path} ended as soon as it had started.")
    return SessionKernel(str(path.resolve()), pid, since)


async def find(session: Session) -> tuple[SessionKernel, bool] | None:
    """Return a kernel of a session that runs though no entry has it, and whether anything is in it; None if there is none.

    A server was killed before it had noted what it had started, or the entry was lost. The kernel says which process it is, and its
    code may name another one, which would be killed in its place, or deny its sandbox: it is believed if that process has the
    kernel's socket. One in a sandbox is not asked. Unknown, a kernel ends itself.
    """
    if session.bounds.sandbox is not None:
        return None
    for path in await asyncio.to_thread(marked_files, session.id):
        with suppress(BridgeError, TimeoutError):
            connection = await asyncio.to_thread(read_connection, path)
            if not connection.here or not await listens(connection):
                continue
            async with asyncio.timeout(_FIND_BOUND):
                client = await KernelClient.attach(connection, bound=_FIND_BOUND)
                try:
                    known = await client.reads.describe()
                finally:
                    await client.close()
            since = started(known.pid)
            has_it = await asyncio.to_thread(listens_at, known.pid, connection.ip, connection.ports["shell"])
            if since is not None and has_it and not known.sandbox:
                return SessionKernel(str(path.resolve()), known.pid, since), known.cells > 0
    return None


async def end(kernel: SessionKernel, *, asked: bool) -> None:
    """Wait until a kernel that was `asked` to end has ended, and kill it if it does not. Removes its connection file."""
    if asked:
        await _wait_for_end(kernel)
    if kernel.runs:
        note_killing(kernel.connection_file)
        _kill(kernel.pid)
        await _wait_for_end(kernel)
        forget_killed(kernel.connection_file)
    forget_file(kernel)


def forget_file(kernel: SessionKernel) -> None:
    """Remove the connection file of a kernel that has ended."""
    with suppress(OSError):
        Path(kernel.connection_file).unlink(missing_ok=True)


async def _wait_for_end(kernel: SessionKernel) -> None:
    deadline = time.monotonic() + _END_BOUND
    while kernel.runs and time.monotonic() < deadline:  # noqa: ASYNC110  # it is no child of this process
        await asyncio.sleep(_PAUSE)


def _kill(pid: int) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg") and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
