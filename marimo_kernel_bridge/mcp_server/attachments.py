"""The kernels that one MCP server is attached to, by handle: the server's lifespan value.

A handle (`k1`) is short, so that a model can repeat it; it identifies a kernel and is not a credential. There is no
current kernel: the handle is optional with one attached kernel and required with several. Which kernel a call means by another
name, or by none, is known to `which_kernel`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import connection_copies
from marimo_kernel_bridge.launch.sessions.entries import is_id
from marimo_kernel_bridge.mcp_server.attached import UNUSED_AFTER, Attached
from marimo_kernel_bridge.mcp_server.callers import mark_of
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.open_views import OpenViews
from marimo_kernel_bridge.mcp_server.safety.own_exports import OwnExports
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Subscriptions, Watch
from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings, require_kept
from marimo_kernel_bridge.mcp_server.sessions.saving import SessionSaver
from marimo_kernel_bridge.mcp_server.sessions.sessions import Sessions
from marimo_kernel_bridge.protocol.known_secrets import KnownSecrets
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcp.server.context import ServerRequestContext

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.launch.owned_kernels import Action, StartedKernels
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.sessions.sessions import KernelFunctions
    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.redaction import Redactor


MOST_ATTACHED: Final = 256
_FILES_OF_ONE: Final = 16
"""Files of this process that an attachment takes up, and some more."""
_MOST_FOLDERS: Final = 50
"""Folders of files that agents have named, whose secrets are looked for."""
_MOST_HANDED_ON: Final = 256
"""Handles of ended sessions that are remembered; the oldest is forgotten."""


def _most_attached() -> int:
    """Return how many attachments there may be: connections of clients need files, too."""
    if sys.platform == "win32":
        return MOST_ATTACHED
    import resource  # noqa: PLC0415  # not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_ATTACHED if files == resource.RLIM_INFINITY else min(MOST_ATTACHED, files // _FILES_OF_ONE)


def allow_many_files() -> None:
    """Raise this process's own limit of open files, if the system allows it: each attachment takes some."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  # not on Windows

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_ATTACHED * _FILES_OF_ONE
        if most != resource.RLIM_INFINITY:
            wanted = min(wanted, most)
        if now != resource.RLIM_INFINITY and now < wanted:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


Attach = Callable[["Endpoint", str], Awaitable["KernelClient"]]
"""A function that attaches to a kernel in the name of a client. Raises `BridgeError`."""


async def attach_client(endpoint: Endpoint, client_name: str) -> KernelClient:
    """Attach to a kernel on this machine or on a server."""
    from marimo_kernel_bridge.client.client import KernelClient  # noqa: PLC0415  # a server starts without ZMQ

    return await KernelClient.attach(endpoint, client_name)


@dataclass(frozen=True)
class HandedOn:
    """A kernel that an ended session of a program was attached to, and the process that it was then."""

    program: str
    endpoint: Endpoint
    process: str | None


class Kernels:
    """Attached kernels. Safe to use from concurrent tool calls, and by several clients.

    Each client has its own attachments under its own name, so that the person sees who did what.
    """

    def __init__(
        self,
        subscriptions: Subscriptions | None = None,
        *,
        may_edit: bool = True,
        may_scratch: bool = True,
        may_run: bool = True,
        may_install: bool = False,
        attach: Attach = attach_client,
        session_kernels: KernelFunctions | None = None,
        templates: Mapping[str, Path] = MappingProxyType({}),
        ceilings: Ceilings | None = None,
    ) -> None:
        self._attach = attach
        self._subscriptions = subscriptions
        self.may_edit = may_edit  # otherwise edits are proposals
        self.may_scratch = may_scratch  # otherwise no code runs, also none that makes the rows of a table
        self.may_run = may_run  # otherwise the person is not even asked
        self.may_install = may_install  # without asking the person
        self.ceilings = ceilings or Ceilings()
        self.may_start = may_install or (self.ceilings.boxed and may_run)
        """Whether agents may start kernels: where those are in a sandbox, they are no more than a run."""
        self.may_reach = may_run and not self.ceilings.boxed
        """Whether agents may name any file and any address: their code reaches each of them anyway."""
        self.sessions = Sessions(
            folder=self.ceilings.folder,
            kernels=session_kernels,
            root=self.ceilings.confined_to,
            most=self.ceilings.sessions,
            others=lambda: 0 if self._started is None else self._started.running,
        )
        self.templates = templates  # of plugins
        self._watches: dict[Attached, Watch] = {}
        self._attached: list[Attached] = []  # two clients may have the same session
        self._made = 0
        self._started: StartedKernels | None = None
        self._connecting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._handed_on: dict[str, HandedOn] = {}
        self._leaving: set[asyncio.Task[None]] = set()  # asyncio holds only weak references to tasks
        self.presenter = Presenter()
        self._known = KnownSecrets()
        self._folders: dict[str, None] = {}
        self.exports = OwnExports()
        self.views = OpenViews()

    @property
    def redactor(self) -> Redactor:
        """The redactor for the secrets of this process, of its folder, and of those of notebooks that agents have looked at."""
        folders = (attached.notebook_folder for attached in self._attached)
        beside = {folder: None for folder in folders if folder is not None}
        return self._known.redactor(*{working_directory(): None, **self._folders, **beside})

    def look_beside(self, file: str) -> None:
        """Know the secrets of the `.env` files beside a file that an agent has named."""
        self._folders[os.path.dirname(os.path.abspath(file))] = None  # noqa: PTH100, PTH120  # no file is asked for
        while len(self._folders) > _MOST_FOLDERS:
            del self._folders[next(iter(self._folders))]

    def note_listing(self, ctx: ServerRequestContext[Any, Any], client_name: str) -> None:
        """Remember that a client knows the list of its resources, so that it is told of changes."""
        if self._subscriptions is not None:
            self._subscriptions.note_listing(ctx, client_name)

    def at(self, where: str, client_name: str) -> Attached | None:
        """Return the kernel that a client is attached to, by the path of its connection file or its URL on a server."""
        return next(
            (attached for attached in self.of(client_name) if attached.client.connection.where == where),
            None,
        )

    def notebook_files(self, client_name: str) -> list[Path]:
        """Return the notebooks on this machine of the kernels that a client is attached to."""
        return [file for attached in self.of(client_name) if (file := attached.notebook_file) is not None]

    def of(self, client_name: str) -> list[Attached]:
        """Return what a client is attached to, in the order in which it was joined."""
        return [attached for attached in self._attached if attached.client.client_name == client_name]

    async def join(self, session: Session, client_name: str) -> Attached:
        """Attach to the kernel of a session that has one, under the session's id. Raises `BridgeError` as `connect` does."""
        from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # a server starts without it

        assert session.kernel is not None
        registry = self.sessions.registry
        if connection_copies.is_gone(session):
            async with registry.changing(session.id):
                newest = registry.get(session.id) or session  # another process may have closed it meanwhile
                await asyncio.to_thread(connection_copies.bring_back, registry.folder, newest)
        attached = await self.connect(
            read_connection(session.kernel.connection_file), client_name, session.id
        )
        attached.notebook, attached.started_with = session.path, session.bounds
        if attached.saver is None and attached.reactive and self.may_edit:
            root = self.ceilings.confined_to
            attached.saver = SessionSaver(session, attached.client, self.sessions.registry, root=root)
        return attached

    def attached_as(self, handle: str, client_name: str) -> Attached | None:
        """Return what a client calls so, if it is attached to it."""
        return next((attached for attached in self.of(client_name) if attached.handle == handle), None)

    def handed_on(self, handle: str, program: str) -> HandedOn | None:
        """Return the kernel that had a handle in an earlier session of a program, which may open one for each call."""
        known = self._handed_on.get(handle)
        return known if known is not None and known.program == program else None

    def end_session(self, session: str) -> None:
        """Detach what a session was attached to, which has ended. Its runs go on in the kernels."""
        from marimo_kernel_bridge.client.endpoint import needs_no_secret  # noqa: PLC0415  # a server starts without it

        mark = mark_of(session)
        for attached in list(self._attached):
            name = attached.client.client_name
            if not name.endswith(f" {mark}"):
                continue
            if not is_id(attached.handle) and needs_no_secret(attached.client.connection):
                while len(self._handed_on) >= _MOST_HANDED_ON:
                    del self._handed_on[next(iter(self._handed_on))]
                client = attached.client
                self._handed_on[attached.handle] = HandedOn(
                    name.removesuffix(f" {mark}"), client.connection, client.info.session
                )
            task = asyncio.create_task(self._disconnect_settled(attached))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _disconnect_settled(self, attached: Attached) -> None:
        """Disconnect when the runs are over: a session's file is written after them."""
        for run in attached.client.runs.ours:
            await attached.client.runs.wait(run, UNUSED_AFTER)
        with suppress(BridgeError):  # the file cannot be written, which its session tells whoever opens it
            await self.disconnect(attached)

    async def leave(self, session_id: str) -> None:
        """Detach all clients from the kernel of a session, which has ended or is about to."""
        for attached in [attached for attached in self._attached if attached.handle == session_id]:
            await self._detach(attached)

    async def connect(
        self, endpoint: Endpoint, client_name: str, handle: str | None = None, *, hidden: bool = False
    ) -> Attached:
        """Attach, or return an existing attachment that is alive. `handle` is what the kernel is to be called.

        `hidden`: under a handle that cannot be guessed, for a kernel that somebody of the same name may not reach.
        Raises `BridgeError`: not_connected, connection_file_stale, server_refused, wrong_key, kernel_silent.
        """
        async with self._lock_of(endpoint.where):
            previous = self.at(endpoint.where, client_name)
            if hidden:
                same = (one for one in self.of(client_name) if one.client.connection == endpoint)
                previous = next(same, None)
            if previous is not None:
                if previous.client.connection == endpoint and await previous.client.liveness() == "alive":
                    previous.handle = handle or previous.handle
                    return previous
                await self._detach(previous)
            for ended in [attached for attached in self.of(client_name) if attached.handle == handle]:
                await self._detach(ended)
            await self._make_room()
            client = await self._attach(endpoint, client_name)
            called = handle or (previous.handle if previous is not None else self._new_handle(hidden=hidden))
            attached = Attached(called, client, hidden=hidden, of_server=lambda: self.redactor)
            attached.started_here = self._started is not None and self._started.has(endpoint.where)
            self._attached.append(attached)
            if self._subscriptions is not None:
                self._watches[attached] = Watch(attached, self._subscriptions)
                await self._subscriptions.publish_list_changed(client_name)
            return attached

    def _lock_of(self, where: str) -> asyncio.Lock:
        """Return what keeps two calls from attaching to one kernel at the same time; others need not wait for it."""
        return self._connecting.setdefault(where, asyncio.Lock())

    def _new_handle(self, *, hidden: bool) -> str:
        self._made += 1
        return f"k{self._made}" + (f"-{secrets.token_hex(8)}" if hidden else "")

    def get(self, handle: str | None, client_name: str) -> Attached:
        """Return a kernel that a client is attached to. Raises `BridgeError`: not_connected."""
        candidates = self.of(client_name)
        meant = [attached for attached in candidates if handle in {None, attached.handle}]
        if len(meant) == 1:
            meant[0].used = time.monotonic()
            return meant[0]
        if not candidates:
            raise BridgeError(
                "not_connected",
                "No kernel is connected.",
                "Call list_kernels, then connect_to_kernel with a connection file from there.",
            )
        handles = ", ".join(
            f"{candidate.handle} ({candidate.called})" for candidate in candidates if not candidate.hidden
        )
        problem = (
            "Several kernels are connected" if handle is None else f"No kernel is connected as {handle!r}"
        )
        raise BridgeError("not_connected", f"{problem}: {handles}.", "Pass one of these handles as `kernel`.")

    def savers(self, session_id: str) -> list[SessionSaver]:
        """Return what writes a session's file, one for each client that is attached to it."""
        savers = [attached.saver for attached in self._attached]
        return [saver for saver in savers if saver is not None and saver.session_id == session_id]

    async def disconnect(self, attached: Attached) -> None:
        """Detach from a kernel, which continues to run."""
        if attached.saver is not None:
            await attached.saver.finish()
        async with self._lock_of(attached.client.connection.where):
            await self._detach(attached)

    async def start(
        self,
        kernelspec: str | None,
        directory: str | None,
        interpreter: str | None,
        client_name: str,
        bounds: Bounds,
    ) -> Attached:
        """Start a kernel that is held to bounds, and attach to it.

        Raises `BridgeError`: not_connected, no_such_kernelspec, bad_request, limit_unavailable, too_many_sessions, kernel_dead.
        """
        from marimo_kernel_bridge.launch.owned_kernels import StartedKernels  # noqa: PLC0415  # a server starts without ZMQ

        if self._started is None:
            self._started = StartedKernels()
        await self._make_room()
        await asyncio.to_thread(self.sessions.require_room)
        endpoint = await self._started.start(kernelspec, directory, interpreter, bounds)
        attached = await self.connect(endpoint, client_name)
        attached.started_with = bounds
        try:
            await require_kept(attached.client, bounds)
        except BridgeError:
            await self.control(attached, "shut_down")
            await self.disconnect(attached)
            raise
        return attached

    def require_may_end(self, session: Session) -> None:
        """Raise `BridgeError` not_allowed for a session that is not in the sandbox, where agents may end no others."""
        if not self.may_install and (lacking := self.ceilings.lacking(session.bounds)):
            raise BridgeError(
                "not_allowed",
                f"{session.path} is not in this server's sandbox ({', '.join(lacking)}); nothing was done.",
                "Ask the person.",
            )

    async def control(self, attached: Attached, action: Action) -> str:
        """Interrupt, restart or shut down a kernel; return what was done. Raises `BridgeError`."""
        from marimo_kernel_bridge.launch.owned_kernels import StartedKernels, control  # noqa: PLC0415  # a server starts without ZMQ

        return await control(attached.client, action, self._started or StartedKernels())

    async def close(self) -> None:
        """Detach from all kernels, with the files of sessions written; end those that this server started for itself."""
        for task in self._leaving:
            task.cancel()
        savers = [attached.saver for attached in self._attached if attached.saver is not None]
        await asyncio.gather(*(saver.finish() for saver in savers))
        for attached in list(self._attached):
            await self._detach(attached)
        await self.presenter.close()
        if self._started is not None:
            await self._started.close()

    async def _make_room(self) -> None:
        """Close the attachment that was not used for the longest time if there are too many. Raises `BridgeError` not_connected."""
        most = _most_attached()
        while len(self._attached) >= most:
            unused = [attached for attached in self._attached if not attached.in_use]
            if not unused:
                raise BridgeError(
                    "not_connected",
                    f"This server is attached to {most} kernels, its limit, and all are in use.",
                    "Call disconnect_kernel for kernels that you no longer need. Those that nobody uses for an hour make room.",
                )
            await self._detach(min(unused, key=lambda attached: attached.used))

    async def _detach(self, attached: Attached) -> None:
        if attached in self._attached:
            self._attached.remove(attached)
        watch = self._watches.pop(attached, None)
        if watch is not None:
            watch.close()
        if attached.saver is not None:
            attached.saver.close()
        await attached.client.close()
        await attached.presenter.close()
        if self._subscriptions is not None:
            await self._subscriptions.publish_list_changed(attached.client.client_name)
