"""Control of kernels by their owner: the Jupyter server that started a kernel, or this process.

A client with a connection file can shut a kernel down, but only the kernel's owner can restart it. Kernels that this
process started end with it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import (
    listens,
    new_connection_file,
    read_connection,
    runtime_dir,
    transport_encryption,
)
from marimo_kernel_bridge.client.jupyter_server import ServerKernel
from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook
from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.whole_files import DISK_FULL
from marimo_kernel_bridge.protocol.names import KERNELSPEC, MODULE, kernel_id_of
from marimo_kernel_bridge.protocol.refused_starts import take_refusal
from marimo_kernel_bridge.protocol.regular_files import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    from marimo_kernel_bridge.client.connection import Connection
    from marimo_kernel_bridge.protocol.bounds import Bounds

Action = Literal["interrupt", "restart", "shut_down"]

_START_BOUND: Final = 60.0
_PAUSE: Final = 0.02  # seconds between two looks at a kernel that is starting


class StartedKernels:
    """The kernels that this process started, and their end with it."""

    def __init__(self) -> None:
        self._managers: dict[str, AsyncKernelManager] = {}

    async def start(
        self,
        kernelspec: str | None,
        directory: str | None,
        interpreter: str | None,
        bounds: Bounds | None = None,
    ) -> Connection:
        """Start an installed kernel, or the reactive kernel of a Python, and wait until it answers.

        Raises `BridgeError`: no_such_kernelspec, bad_request, limit_unavailable, kernel_dead, disk_full, not_writable.
        """
        where = None if directory is None else await asyncio.to_thread(_existing, directory)
        if directory is not None and where is None:
            raise BridgeError("bad_request", f"There is no directory {directory!r}.", "Nothing was started.")
        spec = await spec_of(kernelspec, interpreter)
        arguments = arguments_for(spec, bounds)
        with needs_runtime_folder():
            path = await asyncio.to_thread(new_connection_file)
            manager = manager_for(spec, kernelspec or KERNELSPEC, path)
            await begin(manager, cwd=where, extra_arguments=arguments)
        await await_answer(manager, spec.display_name)
        connection = read_connection(path)
        self._managers[connection.where] = manager
        return connection

    def manager_of(self, where: str) -> AsyncKernelManager | None:
        """Return the manager of a kernel, None if this process did not start it."""
        return self._managers.get(where)

    def has(self, where: str) -> bool:
        """Whether this process started a kernel."""
        return where in self._managers

    @property
    def running(self) -> int:
        """How many of the kernels run."""
        processes = (getattr(manager.provisioner, "process", None) for manager in self._managers.values())
        return sum(process is not None and process.poll() is None for process in processes)

    async def close(self) -> None:
        """Shut all kernels down."""
        managers, self._managers = list(self._managers.values()), {}
        for manager in managers:
            await manager.shutdown_kernel(now=True)


def arguments_for(spec: KernelSpec, bounds: Bounds | None) -> list[str]:
    """Return the arguments with which a kernelspec's kernel is held to bounds. Raises `BridgeError`: limit_unavailable."""
    if not bounds:
        return []
    if MODULE not in spec.argv:
        raise BridgeError(
            "limit_unavailable",
            f"{spec.display_name} is not this package's kernel, which alone has limits and a sandbox; nothing was started.",
            "list_kernelspecs shows which kernels are reactive.",
        )
    return bounds.arguments()


async def spec_of(kernelspec: str | None, interpreter: str | None) -> KernelSpec:
    """Return the kernelspec to start. Raises `BridgeError`: no_such_kernelspec, bad_request."""
    from marimo_kernel_bridge.launch.kernelspecs import by_name, of_interpreter  # noqa: PLC0415  # slow to import

    if interpreter is None:
        return by_name(kernelspec or KERNELSPEC)
    if kernelspec is not None:
        raise BridgeError(
            "bad_request",
            "Give one of kernelspec and interpreter; nothing was started.",
            "A kernelspec already names its interpreter; an interpreter starts the reactive kernel of its environment.",
        )
    return await asyncio.to_thread(of_interpreter, interpreter)


def manager_for(
    spec: KernelSpec, name: str, path: Path, kind: type[AsyncKernelManager] | None = None
) -> AsyncKernelManager:
    """Return the manager for a new kernel, with a warm pool where that is possible."""
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415  # slow to import

    from marimo_kernel_bridge.launch.kernelspecs import OneSpec  # noqa: PLC0415  # with jupyter_client
    from marimo_kernel_bridge.launch.pool.provisioner import PoolProvisioner, serves  # noqa: PLC0415  # likewise

    manager = (kind or AsyncKernelManager)(
        kernel_name=name,
        connection_file=str(path),
        kernel_spec_manager=OneSpec(spec),
        transport_encryption=transport_encryption(),
    )
    if sys.platform == "linux" and serves(spec):  # on macOS, system libraries may fail after a fork
        manager.kernel_id = kernel_id_of(path)
        manager.provisioner = PoolProvisioner(kernel_id=manager.kernel_id, kernel_spec=spec, parent=manager)
    return manager


@contextmanager
def needs_runtime_folder() -> Iterator[None]:
    """Turn errors of files at the start of a kernel into `BridgeError`: disk_full, not_writable."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or runtime_dir(), error.strerror or str(error)
        if error.errno in DISK_FULL:
            raise BridgeError(
                "disk_full",
                f"There is no room for the connection file {where}; no kernel was started.",
                "Ask the person to free space, then call again.",
            ) from error
        raise BridgeError(
            "not_writable",
            f"{where}: {why}; no kernel was started.",
            "A kernel needs Jupyter's runtime directory for its connection file: JUPYTER_RUNTIME_DIR names another one.",
        ) from error


async def begin(manager: AsyncKernelManager, **options: Any) -> None:
    """Start the process of a kernel. One that is cancelled in the middle leaves none: nobody else knows of it."""
    beginning = asyncio.ensure_future(manager.start_kernel(**options))
    try:
        await asyncio.shield(beginning)
    except asyncio.CancelledError:
        await asyncio.shield(_undone(beginning, manager))
        raise


async def _undone(beginning: asyncio.Future[None], manager: AsyncKernelManager) -> None:
    with suppress(Exception):  # it could not be started
        await beginning
        await manager.shutdown_kernel(now=True)


async def await_answer(manager: AsyncKernelManager, name: str) -> None:
    """Wait until a kernel that was just started answers. Raises `BridgeError`: kernel_dead, or why the kernel refused to start."""
    try:
        async with asyncio.timeout(_START_BOUND):
            await _answered(manager)
            return
    except TimeoutError:
        why = f"It did not answer within {_START_BOUND:g} s."
    except BridgeError as error:
        why = error.message
    except asyncio.CancelledError:
        await asyncio.shield(manager.shutdown_kernel(now=True))  # nobody else knows of it
        raise
    await manager.shutdown_kernel(now=True)
    raise take_refusal(manager.connection_file) or BridgeError(
        "kernel_dead", f"The kernel {name!r} did not start: {why}"
    )


async def _answered(manager: AsyncKernelManager) -> None:
    """Return once a kernel answers; raise `BridgeError` as soon as its process has ended."""
    answer = asyncio.create_task(_answer(read_connection(manager.connection_file)))
    try:
        while not answer.done():
            if not await manager.is_alive():
                raise BridgeError("kernel_dead", "Its process ended before it answered.")
            await asyncio.wait({answer}, timeout=_PAUSE)
        answer.result()
    finally:
        answer.cancel()
        await asyncio.wait({answer})


async def _answer(connection: Connection) -> None:
    while not await listens(connection):  # noqa: ASYNC110  # nothing tells that a port is listened at
        await asyncio.sleep(_PAUSE)
    await (await KernelClient.attach(connection, bound=_START_BOUND)).close()


def _existing(directory: str) -> str | None:
    path = Path(at_home(directory))
    return str(path) if is_folder(path) else None


async def control(client: KernelClient, action: Action, started: StartedKernels) -> str:
    """Interrupt, restart or shut down a kernel; return a sentence that says what was done. Raises `BridgeError`."""
    endpoint = client.connection
    if action == "interrupt":
        await client.interrupt()
        return "Interrupted: the running code got a KeyboardInterrupt."
    if isinstance(endpoint, MarimoNotebook):
        raise BridgeError(
            "not_offered",
            "marimo's kernel is the person's to restart and to shut down; nothing was done.",
            "They can do it in marimo's menu.",
        )
    manager = started.manager_of(endpoint.where)
    server = await _server_of(endpoint)
    done = "restarted, empty" if action == "restart" else "shut down"
    if manager is not None:
        if action == "restart":
            await manager.restart_kernel(now=False)
        else:
            await manager.shutdown_kernel()
    elif server is not None:
        await server.server.do(server.kernel_id, action)
    elif action == "shut_down":
        await client.shut_down()
    else:
        raise BridgeError(
            "bad_request",
            "This kernel was started by neither this server nor a known Jupyter server, so it cannot be restarted; nothing was done.",
            "The person can restart it in their notebook.",
        )
    return f"The kernel was {done}. All its variables and cells are lost."


async def _server_of(endpoint: Connection | ServerKernel) -> ServerKernel | None:
    if isinstance(endpoint, ServerKernel):
        return endpoint
    from marimo_kernel_bridge.client.discovery import server_of_kernel  # noqa: PLC0415  # urllib is slow to import

    return await server_of_kernel(endpoint.kernel_id)
