"""The reads of the bridge protocol: cells, runs, variables and the state of the kernel, on any channel.

Runs nothing and changes nothing. `bridge_handler` handles the requests that do.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting import ipywidgets as jupyter_widgets
from marimo_kernel_bridge.inspecting import packages, variables
from marimo_kernel_bridge.inspecting.cell_search import search
from marimo_kernel_bridge.inspecting.value_text import shorten, texts_passed_through
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.inspection import Redacted, RunOutcome
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs, KernelDescription
from marimo_kernel_bridge.protocol.output_log import shortened
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.ipython.shell import ReactiveShell
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.black_box import Process
    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.notebook import Death
    from marimo_kernel_bridge.protocol.redaction import Redactor


class Status(Protocol):
    """The kernel's status."""

    @property
    def started_at(self) -> float:
        """The start of the kernel, in seconds since the epoch."""
        ...

    @property
    def busy(self) -> bool: ...

    @property
    def settling(self) -> bool: ...

    @property
    def queued(self) -> int: ...

    @property
    def asks(self) -> str | None:
        """The prompt with which running code waits for a person to type."""
        ...


class File(Protocol):
    """The notebook's file."""

    def path(self) -> str | None: ...


class Recording(Protocol):
    """What the kernel knows of the death before it, and of its memory."""

    @property
    def died(self) -> Death | None: ...

    @property
    def memory(self) -> str: ...


class Host(Protocol):
    """The parts of the kernel that reads use."""

    @property
    def recording(self) -> Recording | None: ...

    @property
    def bounds(self) -> Bounds | None:
        """The limits and the sandbox that this process is held to."""
        ...

    @property
    def process(self) -> Process | None:
        """The process that stands for this one outside of its sandbox."""
        ...

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def shell(self) -> ReactiveShell: ...

    @property
    def status(self) -> Status: ...

    @property
    def file(self) -> File: ...


class BridgeReads:
    """The answers to requests that only read."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def answer(self, request: wire.ReadRequest, *, on_control: bool, redactor: Redactor) -> wire.Result:
        """Return the result of a request that only reads. What it shortens is redacted before, unless it is for the person."""
        if not request.redacted:
            return self._answer(request, on_control=on_control, hide=_as_it_is)
        with texts_passed_through(redactor.text):
            return self._answer(request, on_control=on_control, hide=redactor.data)

    def _answer(  # noqa: C901, PLR0911, PLR0912  # one for each
        self, request: wire.ReadRequest, *, on_control: bool, hide: Callable[[Any], Any]
    ) -> wire.Result:
        notebook, shell = self._host.notebook, self._host.shell
        match request:
            case wire.Describe():
                return self._describe()
            case wire.ListCells():
                return notebook.view.snapshot()
            case wire.ReadObservations():
                return notebook.commands.observations() if notebook.loaded else []
            case wire.ReadOutline(offset=offset, limit=limit):
                return notebook.view.outline(offset, limit)
            case wire.ReadCell(cell_id=cell_id, most_output=most):
                both = notebook.view.read(cell_id)
                return (
                    both if most is None else CellWithOutputs(both.cell, shortened(hide(both.outputs), most))
                )
            case wire.ReadRun(run_id=run_id):
                return notebook.runs.report(run_id)
            case wire.ReadOutcome(run_id=run_id):
                return self.outcome(run_id)
            case wire.ReadHistory(limit=limit):
                return notebook.runs.newest(limit)
            case wire.SearchCells(query=query, limit=limit):
                view = notebook.view
                return search([view.read(cell.cell_id) for cell in view.snapshot()], query, limit, hide)
            case wire.ListVariables():
                return variables.list_variables(shell.user_ns, shell.user_ns_hidden, self._definers())
            case wire.ListUiElements():
                of_marimo = notebook.runtime.ui_elements() if notebook.loaded else []
                definers = self._definers()
                return [
                    replace(element, defined_by=definers.get(element.element))
                    for element in (*of_marimo, *jupyter_widgets.elements(shell.user_ns))
                ]
            case wire.InspectVariable(name=name, rows=rows, offset=offset):
                return variables.inspect(
                    shell.user_ns,
                    self._definers(),
                    name,
                    rows,
                    offset,
                    hidden=shell.user_ns_hidden,
                    sample=not on_control,
                )
            case wire.CompleteCode(code=code, limit=limit):
                from marimo_kernel_bridge.inspecting import code_help  # noqa: PLC0415  # few agents ask

                return code_help.complete(shell.user_ns, code, limit, shell.user_ns_hidden)
            case wire.InspectCode(code=code):
                from marimo_kernel_bridge.inspecting import code_help  # noqa: PLC0415  # few agents ask

                return code_help.explain(shell.user_ns, self._definers(), code)
            case wire.Redact(value=value):
                return Redacted(hide(value))
            case wire.PreviewRun(cell_ids=cell_ids):
                return list(notebook.view.would_run(cell_ids, autorun=notebook.mode == "autorun"))
            case wire.ReadEnvironment():
                return packages.environment(notebook.view.snapshot(), self._package_of)

    def _definers(self) -> dict[str, str]:
        """Return the id of the cell that defines each name."""
        cells = self._host.notebook.view.snapshot()
        return {name: cell.cell_id for cell in cells for name in cell.defines}

    def _package_of(self, module: str) -> str:
        return self._host.notebook.runtime.package_of(module)  # exists as soon as there is a cell

    def outcome(self, run_id: str) -> RunOutcome:
        """Return the report of a run, if there is one, and the current state of its cells."""
        notebook = self._host.notebook
        try:
            report = notebook.runs.report(run_id)
        except BridgeError:
            return RunOutcome(None, ())
        ids = {*report.requested, *(cell.cell_id for cell in report.cells)}
        cells = tuple(
            notebook.cells[cell_id].cell for cell_id in ids if notebook.cells.get(cell_id) is not None
        )
        return RunOutcome(report, cells)

    def _describe(self) -> KernelDescription:
        host, notebook = self._host, self._host.notebook
        marimo = sys.modules.get("marimo")
        running = notebook.running
        return KernelDescription(
            protocol=wire.PROTOCOL,
            bridge_version=__version__,
            marimo_version=getattr(marimo, "__version__", None),
            python_version=platform.python_version(),
            pid=os.getpid() if host.process is None else host.process.pid,
            cwd=working_directory(),
            notebook=host.file.path(),
            mode=notebook.mode,
            started_at=host.status.started_at,
            busy=host.status.busy,
            running_cell=None if running is None else running[0],
            running_since=None if running is None else running[1],
            queued=host.status.queued,
            settling=host.status.settling,
            cells=len(notebook.cells),
            stale=notebook.view.stale,
            agents_paused=notebook.agents.paused,
            interpreter=sys.executable or None,
            died=None if host.recording is None else host.recording.died,
            memory="" if host.recording is None else host.recording.memory,
            asks=None if host.status.asks is None else shorten(host.status.asks),
            **({} if host.bounds is None else host.bounds.texts()),
        )


def _as_it_is(value: Any) -> Any:
    return value
