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
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.errors import AgentsPausedError, BridgeError
from marimo_kernel_bridge.launch.sessions.entries import is_id
from marimo_kernel_bridge.mcp_server.callers import mark_of
from marimo_kernel_bridge.mcp_server.media.chart_drawing import ChartDrawer
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.open_views import OpenViews
from marimo_kernel_bridge.mcp_server.safety.own_exports import OwnExports
from marimo_kernel_bridge.mcp_server.sdk.events import Events
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Subscriptions, Watch
from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings, require_kept
from marimo_kernel_bridge.mcp_server.sessions.saving import SessionSaver
from marimo_kernel_bridge.mcp_server.sessions.sessions import Sessions
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.own_python import own_interpreter
from marimo_kernel_bridge.protocol.redaction import Redactor
from marimo_kernel_bridge.protocol.secrets import in_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp.server.context import ServerRequestContext

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.client.run_tracker import Observe
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.launch.owned_kernels import Action, StartedKernels
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing
    from marimo_kernel_bridge.mcp_server.media.output_text import Chart, Shown
    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.inspection import RunOutcome
    from marimo_kernel_bridge.protocol.notebook import Cell, Output


MOST_ATTACHED: Final = 256
UNUSED_AFTER: Final = 3600.0
"""Seconds without a call after which an attachment is closed where there is no room for another. Sessions over HTTP end without a word."""
_FILES_OF_ONE: Final = 16
"""Files of this process that an attachment takes up, and some more."""
_ASKED_BOUND: Final = 1.0  # seconds; each answer waits this long at most
_MOST_HANDED_ON: Final = 256
"""Handles of ended sessions that are remembered; the oldest is forgotten."""


@dataclass(eq=False)
class Attached:
    """A kernel that an agent is attached to, and the agent's knowledge of it.

    A reactive kernel has redacted what comes from it. `redactor` is for what comes from other kernels, and for the secrets
    that this process knows.
    """

    handle: str
    client: KernelClient
    hidden: bool = False
    """Whether it was joined with a secret of the caller, so that only who knows its handle gets it."""
    shared: bool = False
    """Whether several programs may be behind the client's name, none of which is told the others' runs."""
    started_here: bool = False
    """Whether this server started it, for no notebook."""
    unshown_told: bool = False
    """Whether an answer has said that no notebook shows it."""
    notebook: str | None = None
    """Path of the notebook of the kernel, if it was known when connecting."""
    said_notebook: str | None = None
    """Path of its notebook, as the kernel says, if it is no longer than `LONGEST_PATH`."""
    joined: str = ""
    """What the next answer says once of a kernel that a call has joined by itself."""
    remark: str = ""
    """What the next answer says once."""
    restarts_told: int = 0
    older_told: bool = False
    used: float = field(default_factory=time.monotonic)
    """When a call was last for it."""
    answers: bool = True
    """Whether the kernel answered the last request. Code that holds the GIL prevents it."""
    charts: ChartDrawer = field(default_factory=ChartDrawer)
    events: Events = field(default_factory=Events)
    """What happened since it was joined."""
    saver: SessionSaver | None = None
    """The writer of its notebook's file, if it is a session's."""
    presenter: Presenter = field(default_factory=Presenter)
    """One for each kernel, so that none holds up another."""
    redactor: Redactor = field(default_factory=Redactor)

    @property
    def reactive(self) -> bool:
        return self.client.info.reactive

    @property
    def listed_runs(self) -> tuple[Run, ...]:
        """The runs of this client that it may be told of without naming them."""
        return () if self.shared else tuple(run for run in self.client.runs.ours if not run.foreign)

    @property
    def in_use(self) -> bool:
        """Whether the kernel is alive, and a client has used it lately or waits for a run in it."""
        if self.client.end is not None:
            return False
        lately = time.monotonic() - self.used < UNUSED_AFTER
        return lately or not all(run.over for run in self.client.runs.ours)

    @property
    def notebook_file(self) -> Path | None:
        """The file of the notebook on this machine, if a Jupyter server of this person named it."""
        here = self.notebook is not None and isinstance(self.client.connection, Connection)
        return Path(self.notebook) if here and self.notebook is not None else None

    @property
    def paused(self) -> bool:
        """Whether the person has paused agents here, as this machine's files tell, also if the kernel does not answer."""
        notebook, connection = self.notebook_file, self.client.connection
        return pauses.paused(
            None if notebook is None else pauses.of_notebook(str(notebook)),
            connection.kernel_id if isinstance(connection, Connection) else None,
        )

    async def list_cells(self) -> list[Cell]:
        return await self.client.reads.list_cells()

    @property
    def here(self) -> bool:
        """Whether the kernel is reached on this machine, and not through a Jupyter server."""
        return isinstance(self.client.connection, Connection) and self.client.connection.here

    async def look_for_notebook(self) -> None:
        """Ask the person's Jupyter servers again which notebook the kernel belongs to: it may have another name by now."""
        from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

        if isinstance(self.client.connection, Connection):
            self.notebook = (await notebooks_by_kernel()).get(self.client.connection.kernel_id)

    def call_on_change(self, callback: Callable[[], None]) -> None:
        """Call back when a request of any client begins or ends, and when the kernel starts or ends."""
        self.client.runs.on_change(callback)

    def call_on_happening(self, observe: Observe) -> None:
        """Call back when a request of any client begins, shows something, or is over."""
        self.client.runs.on_happening(observe)

    def has_run(self, request_id: str) -> bool:
        """Whether a request is a run of this client."""
        return any(run.run_id == request_id for run in self.client.runs.ours)

    async def running_cell(self) -> str | None:
        """Return the id of the cell that runs, None if none does or the kernel does not say. Raises `BridgeError`."""
        if not self.reactive:
            return None
        return (await self.client.reads.describe()).running_cell

    async def show(self, outputs: Sequence[Output], *, pictures: bool = True) -> Shown:
        """Return outputs as text without secrets, with `pictures` also as images."""
        return await self.presenter.show(outputs, self.redactor, self._draw if pictures else None)

    async def redacted(self, text: str) -> str:
        """Return a text without secrets, however long it is. Raises `BridgeError` too_large."""
        return await self.presenter.redacted(text, self.redactor)

    async def _draw(self, chart: Chart) -> Drawing:
        """Draw a chart with the kernel's Python if an installed kernelspec names it, else with the server's.

        What a kernel says of itself chooses among programs that the person has installed, and names no other: a kernel
        may be in a container, and its code may set `sys.executable`.
        """
        interpreters = [own_interpreter()]
        if self.reactive and isinstance(self.client.connection, Connection):
            with suppress(BridgeError):
                named = (await self.client.reads.describe()).interpreter
                if named and named in await asyncio.to_thread(_interpreters_of_kernelspecs):
                    interpreters.insert(0, named)
        return await self.charts.draw(chart.kind, chart.specification, interpreters)

    async def redacted_codes(self, codes: Sequence[str]) -> list[str]:
        """Return code that other clients run without the kernel's secrets; empty texts if the kernel does not answer.

        Such code arrives in messages to everybody, which the kernel does not redact.
        """
        if not self.reactive or not any(codes):
            return list(codes)
        with suppress(BridgeError):
            redacted: list[str] = await self.client.reads.redact(list(codes), _ASKED_BOUND)
            return redacted
        return [""] * len(codes)

    async def outcome_of(self, run: Run) -> RunOutcome | None:
        """Return the outcome of a run; None if the kernel does not answer."""
        if not self.client.info.reactive or self.client.end is not None:
            return None
        outcome = self.client.runs.outcome_of(run)
        self.answers = outcome is not None
        if outcome is None:
            with suppress(BridgeError):
                outcome = await self.client.outcome(run, *(() if run.over else (_ASKED_BOUND,)))
                self.answers = True
        return outcome

    def news(self) -> str:
        """Return what the next answer says once; empty if there is nothing."""
        joined, self.joined = self.joined, ""
        unsaved = self.saver.news() if self.saver is not None else ""
        return " ".join(filter(None, (joined, self._news(), unsaved)))

    def _news(self) -> str:
        """Return once that the kernel was restarted, or is older than documents, and the remark; empty otherwise."""
        news, self.remark = [self.remark] if self.remark else [], ""
        if self.client.restarts != self.restarts_told:
            self.restarts_told, self.older_told = self.client.restarts, False
            news.append(
                "The kernel was restarted since the last call: all variables and cells from before are lost."
            )
        if self.client.document.unsupported and not self.older_told:
            self.older_told = True
            news.append(
                "This kernel is older and knows nothing of open documents: what you change is in the kernel only, until the "
                "person restarts it with the version of marimo-kernel-bridge that this server has."
            )
        return " ".join(news)

    async def require_not_paused(self) -> None:
        """Raise `BridgeError` paused if the person has paused agents, for what the kernel itself cannot refuse.

        A restart would end the pause, and the person's variables with it.
        """
        if self.reactive and self.client.end is None:
            paused = False
            with suppress(BridgeError):  # a kernel that does not answer may have to be interrupted
                paused = (await self.client.reads.describe()).agents_paused
            if paused:
                raise AgentsPausedError("nothing was done")

    async def require_known(self) -> None:
        """Refuse, once, to run code in a kernel that has restarted without the caller knowing.

        The code was written for variables that no longer exist. Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        await self.client.require_alive()
        if news := self._news():
            raise BridgeError(
                "kernel_dead", f"{news} Nothing was run.", "Call again to run in the new, empty kernel."
            )


def _interpreters_of_kernelspecs() -> frozenset[str]:
    from marimo_kernel_bridge.launch.kernelspecs import installed  # noqa: PLC0415  # a server starts without jupyter_client

    return frozenset(spec.interpreter for spec in installed() if spec.reactive and spec.interpreter)


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
        may_run: bool = True,
        may_install: bool = False,
        attach: Attach = attach_client,
        sessions: Sessions | None = None,
        templates: Mapping[str, Path] = MappingProxyType({}),
        ceilings: Ceilings | None = None,
    ) -> None:
        self._attach = attach
        self._subscriptions = subscriptions
        self.may_edit = may_edit  # otherwise edits are proposals
        self.may_run = may_run  # otherwise the person is not even asked
        self.may_install = may_install  # without asking the person
        self.ceilings = ceilings or Ceilings()
        self.may_start = may_install or (self.ceilings.boxed and may_run)
        """Whether agents may start kernels: where those are in a sandbox, they are no more than a run."""
        self.may_reach = may_run and not self.ceilings.boxed
        """Whether agents may name any file and any address: their code reaches each of them anyway."""
        self.sessions = sessions or Sessions(folder=self.ceilings.folder, most=self.ceilings.sessions)
        self.sessions.root = self.ceilings.confined_to
        self.sessions.others = lambda: 0 if self._started is None else self._started.running
        self.templates = templates  # of plugins
        self._watches: dict[Attached, Watch] = {}
        self._attached: list[Attached] = []  # two clients may have the same session
        self._made = 0
        self._started: StartedKernels | None = None
        self._connecting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._handed_on: dict[str, HandedOn] = {}
        self._leaving: set[asyncio.Task[None]] = set()  # asyncio holds only weak references to tasks
        self.presenter = Presenter()
        self.exports = OwnExports()
        self.views = OpenViews()

    @cached_property
    def redactor(self) -> Redactor:
        """The redactor for the secrets of this process."""
        return Redactor(in_environment(os.environ))

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
        attached = await self.connect(
            read_connection(session.kernel.connection_file), client_name, session.id
        )
        attached.notebook = session.path
        if attached.saver is None and attached.reactive:
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
            attached = Attached(called, client, hidden=hidden, redactor=self.redactor)
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
            f"{candidate.handle} ({candidate.client.connection.name})"
            for candidate in candidates
            if not candidate.hidden
        )
        problem = (
            "Several kernels are connected" if handle is None else f"No kernel is connected as {handle!r}"
        )
        raise BridgeError("not_connected", f"{problem}: {handles}.", "Pass one of these handles as `kernel`.")

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
