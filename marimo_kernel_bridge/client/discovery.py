"""Discovery of the kernels on this machine, and of the notebook that each belongs to.

Asks the kernel of every connection file in Jupyter's runtime directory for its description, and every Jupyter server of
this user for its sessions. Attaches to a kernel only for the duration of the request.

Servers are asked only on loopback, with the token from a file that this user owns; the token goes nowhere else.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import (
    SHOW_KERNELS,
    connection_files,
    listens,
    read_connection,
    read_own_file,
    runtime_dir,
    stale,
)
from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.client.marimo_editor.http import asked
from marimo_kernel_bridge.client.notebook_names import is_called, path_in
from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.client.starting_kernels import files_of_starting_kernels, starting
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import kernel_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marimo_kernel_bridge.client.connection import Connection
    from marimo_kernel_bridge.client.life import KernelInfo
    from marimo_kernel_bridge.protocol.notebook import KernelDescription

logger = logging.getLogger(__name__)

_ATTACH_BOUND: Final = 2.0
_SERVER_BOUND: Final = 1.0
_AT_ONCE: Final = 8
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_ANSWER: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class FoundKernel:
    """A connection file in the runtime directory and its kernel. Exactly one of `info`, `problem` is set.

    `notebook` is the path of the notebook that the kernel belongs to, None if it is unknown; `said` if the kernel alone says so.
    `warnings` are about the safety of the file.
    """

    path: Path
    kernel_id: str
    notebook: str | None
    info: KernelInfo | None = None
    description: KernelDescription | None = None
    problem: BridgeError | None = None
    warnings: tuple[str, ...] = ()
    said: bool = False


class _Server(msgspec.Struct, frozen=True):
    """The fields of a Jupyter server's jpserver-*.json that are used here."""

    pid: int
    port: int
    base_url: str
    token: str
    root_dir: str
    hostname: str
    secure: bool = False


class _Kernel(msgspec.Struct, frozen=True):
    id: str


class _Session(msgspec.Struct, frozen=True):
    """The fields of an entry of /api/sessions that are used here. Consoles are entries with a path, but no notebook."""

    path: str
    kernel: _Kernel | None
    type: str = "notebook"


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_SERVER: Final = msgspec.json.Decoder(_Server)
_SESSIONS: Final = msgspec.json.Decoder(list[_Session])


async def find_kernels() -> list[FoundKernel]:
    """Return every connection file in the runtime directory, the newest first. Dead kernels have a `problem`."""
    notebooks = await notebooks_by_kernel()
    at_once = asyncio.Semaphore(_AT_ONCE)
    starting_ones = functools.cache(files_of_starting_kernels)

    async def look(path: Path) -> FoundKernel:
        async with at_once:
            return await _look_at(path, notebooks.get(kernel_id_of(path)), starting_ones)

    return list(await asyncio.gather(*(look(path) for path in connection_files())))


async def running_connections() -> list[Connection]:
    """Return the usable files of the runtime directory at whose addresses something listens, the newest first.

    Asks no kernel, so that it takes a moment only, and sends nothing to any.
    """
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def look(path: Path) -> Connection | None:
        async with at_once:
            try:
                connection = read_connection(path)
            except BridgeError:
                return None
            return connection if await listens(connection) else None

    found = await asyncio.gather(*(look(path) for path in connection_files()))
    return [connection for connection in found if connection is not None]


async def notebooks_by_kernel() -> dict[str, str]:
    """Return the path of the notebook of each kernel id, as the running Jupyter servers of this user report it."""
    servers = [server for path in runtime_dir().glob("jpserver-*.json") if (server := _read_server(path))]
    answers = await asyncio.gather(*map(_sessions, servers))
    return {
        session.kernel.id: str(Path(server.root_dir, session.path))
        for server, sessions in zip(servers, answers, strict=True)
        for session in sessions
        if session.kernel is not None and session.type == "notebook" and session.path
    }


def runs_here(server: JupyterServer) -> bool:
    """Return whether a server is one of this user's that run on this machine."""
    wanted = urlsplit(server.url)
    known = [known for path in runtime_dir().glob("jpserver-*.json") if (known := _read_server(path))]
    return wanted.hostname in _LOOPBACK and any(wanted.port == one.port for one in known)


async def connection_file_of(notebook: str) -> Path:
    """Return the connection file of a notebook's kernel, by a name of the notebook. Raises `BridgeError`."""
    called = path_in(notebook)
    # A silent kernel may be starting, or stuck: connecting to it reports that.
    running = [
        kernel
        for kernel in await find_kernels()
        if kernel.notebook and (kernel.problem is None or kernel.problem.code == "kernel_silent")
    ]
    matches = [kernel for kernel in running if is_called(str(kernel.notebook), called, looks=not kernel.said)]
    if len(matches) != 1:
        names = ", ".join(sorted(str(kernel.notebook) for kernel in matches or running)) or "none"
        which = f"{len(matches)} running notebooks are" if matches else "No running notebook is"
        raise BridgeError(
            "no_such_notebook",
            f"{which} called {notebook!r}.",
            f"Running notebooks: {names}. Some front ends do not report their notebook. {SHOW_KERNELS}",
        )
    return matches[0].path


async def server_of_kernel(kernel_id: str) -> ServerKernel | None:
    """Return the kernel's endpoint at the local Jupyter server that started it, None if no server did."""
    for server in _own_servers():
        try:
            if await server.has_kernel(kernel_id):
                return ServerKernel(server, kernel_id)
        except BridgeError as problem:
            logger.info("%s", problem)
    return None


async def page_policies() -> dict[str, str]:
    """Return the Content-Security-Policy of the pages of each running Jupyter server of this user, by address."""
    found: dict[str, str] = {}
    for server in _own_servers():
        with suppress(BridgeError):  # it ends just now
            found[server.url] = await server.policy()
    return found


def _own_servers() -> Iterator[JupyterServer]:
    for path in runtime_dir().glob("jpserver-*.json"):
        announced = _read_server(path)
        if announced is not None:
            url = f"http://{_host(announced.hostname)}:{announced.port}{announced.base_url.rstrip('/')}"
            yield JupyterServer(url, announced.token)


async def _look_at(
    path: Path, notebook: str | None, starting_ones: Callable[[], frozenset[str]]
) -> FoundKernel:
    kernel_id = kernel_id_of(path)
    try:
        connection = read_connection(path)
        if not await listens(connection):
            raise starting(connection) if connection.where in starting_ones() else stale(connection)
        # Without a name: a client that only lists kernels does not count as an agent that uses the kernel.
        async with await KernelClient.attach(connection, "", bound=_ATTACH_BOUND) as client:
            description = await client.reads.describe() if client.info.reactive else None
            return FoundKernel(
                path,
                kernel_id,
                notebook or (description.notebook if description else None),
                client.info,
                description,
                warnings=connection.warnings,
                said=notebook is None,
            )
    except BridgeError as problem:
        return FoundKernel(path, kernel_id, notebook, problem=problem)


def _read_server(path: Path) -> _Server | None:
    """Read a server's file; None if it is not ours, the server has ended, or it cannot be asked safely."""
    try:
        content, _ = read_own_file(path)
        server = _SERVER.decode(content)
    except (BridgeError, ValueError, RecursionError):
        return None
    if server.secure or server.hostname not in _LOOPBACK or not _runs(server.pid):
        return None
    if foreign_listener(server.hostname, server.port) is not None:
        return None
    return server


def _runs(pid: int) -> bool:
    """Return whether a process exists. The port of an ended server may belong to another program by now."""
    if sys.platform == "win32":  # os.kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):  # or no number of a process
        return False
    return True


async def _sessions(server: _Server) -> list[_Session]:
    # http, but only on loopback; no proxy and no redirect: the token must not reach any other server.
    url = f"http://{_host(server.hostname)}:{server.port}{server.base_url}api/sessions"
    content = bytearray()
    try:
        async with (
            asyncio.timeout(_SERVER_BOUND),
            asked("GET", url, {"Authorization": f"token {server.token}"}) as answer,
        ):
            async for piece in answer.pieces:
                content += piece
                if len(content) > _MAX_ANSWER:  # what is cut is no JSON
                    break
            return _SESSIONS.decode(content) if answer.status == 200 else []  # noqa: PLR2004  # HTTP's OK
    except (OSError, TimeoutError, ValueError, RecursionError) as error:
        logger.info("A Jupyter server on port %d did not list its sessions: %s", server.port, error)
        return []


def _host(hostname: str) -> str:
    return f"[{hostname}]" if ":" in hostname else hostname
