"""A kernel that an agent is attached to, and the agent's knowledge of it; `attachments` has those of one server."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.errors import AgentsPausedError, BridgeError
from marimo_kernel_bridge.mcp_server.media.chart_drawing import ChartDrawer
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.sdk.events import Events
from marimo_kernel_bridge.mcp_server.sessions.saving import SessionSaver  # noqa: TC001
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.own_python import own_interpreter
from marimo_kernel_bridge.protocol.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.run_tracker import Observe
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing
    from marimo_kernel_bridge.mcp_server.media.output_text import Chart, Shown
    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.inspection import RunOutcome
    from marimo_kernel_bridge.protocol.notebook import Cell, Output

UNUSED_AFTER: Final = 3600.0
"""Seconds without a call after which an attachment is closed where there is no room for another. Sessions over HTTP end without a word."""
_ASKED_BOUND: Final = 1.0  # seconds; each answer waits this long at most


@dataclass(eq=False)
class Attached:
    """A kernel that an agent is attached to, and the agent's knowledge of it.

    A reactive kernel has redacted what comes from it.
    """

    handle: str
    client: KernelClient
    hidden: bool = False
    """Whether it was joined with a secret of the caller, so that only who knows its handle gets it."""
    shared: bool = False
    """Whether several programs may be behind the client's name, none of which is told the others' runs."""
    started_here: bool = False
    """Whether this server started it, for no notebook."""
    started_with: Bounds | None = None
    """The bounds with which it was started, where this server knows them: a session's, or of a kernel that it has started."""
    unshown_told: bool = False
    """Whether an answer has said that no notebook shows it."""
    shown: bool = False
    """Whether a front end is known to have run a cell of its notebook."""
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
    of_server: Callable[[], Redactor] = Redactor
    """Returns the redactor of the server."""

    @property
    def redactor(self) -> Redactor:
        """The redactor for what comes from other kernels, and for the secrets that this process knows."""
        return self.of_server()

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
    def called(self) -> str:
        """The name by which people know it: its notebook's, else its connection file's."""
        return self.client.connection.name if self.notebook is None else Path(self.notebook).name

    @property
    def notebook_file(self) -> Path | None:
        """The file of the notebook on this machine, if a Jupyter server of this person named it."""
        named = self._named_here
        return None if named is None else Path(named)

    @property
    def notebook_folder(self) -> str | None:
        """The folder of that file, as text: each answer asks for those of all kernels, which may be hundreds."""
        named = self._named_here
        return None if named is None else os.path.dirname(named) or "."  # noqa: PTH120  # no file is asked for

    @property
    def _named_here(self) -> str | None:
        return self.notebook if isinstance(self.client.connection, Connection) else None

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
