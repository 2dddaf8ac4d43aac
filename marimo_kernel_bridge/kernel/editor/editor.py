"""The notebook, as marimo's editor sees it: its cells and values, and the commands of its pages.

Composes `EditorEdits` with the pages' server, which `runtime.editor` implements. Made when somebody opens the editor.
"""

from __future__ import annotations

import re
import uuid
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel import stale_scheduler
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.documents import loading
from marimo_kernel_bridge.kernel.editor import edits, markdown
from marimo_kernel_bridge.kernel.ipython.marimo_magic import is_command
from marimo_kernel_bridge.kernel.limits.loopback import require_reached
from marimo_kernel_bridge.kernel.messaging.requests import Cause
from marimo_kernel_bridge.kernel.messaging.sigint import interrupt_main_thread
from marimo_kernel_bridge.protocol.document import NO_SETTINGS
from marimo_kernel_bridge.runtime.editor import interface as wanted

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.bounds import Bounds
    from marimo_kernel_bridge.protocol.changes import GraphProblem
    from marimo_kernel_bridge.protocol.document import CellSettings
    from marimo_kernel_bridge.protocol.notebook import Cell, EditorLink

SOURCE: Final = "editor"
"""The source of values that a page of the editor has set, for those who are told of values."""

_PLACE: Final = re.compile(r'<div class="mkb-live"[^<>]* data-mkb-out="(\d+)"')
_REQUEST: Final = "marimo_editor_request"
_SESSION: Final = "marimo-editor"


class Scheduler(Protocol):
    """The scheduler of stale cells."""

    def caused_by(self, cause: Cause) -> None: ...

    async def run_now(self) -> None: ...

    def wake(self) -> None: ...


class Host(loading.Host, edits.Host, stale_scheduler.Host, Protocol):
    """The parts of the kernel that the editor uses."""

    bounds: Bounds | None

    @property
    def scheduler(self) -> Scheduler: ...

    @property
    def log(self) -> logging.Logger: ...

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Return the content of a complete_reply."""
        ...


class NotebookEditor:
    """marimo's editor and app view on a notebook. Implements `runtime.editor.interface.EditorHost`."""

    def __init__(self, host: Host, make_pages: MakePages) -> None:
        """`make_pages` makes the pages' server, by this host, the notebook's name, and whether a cell runs now."""
        self._host = host
        self._make_pages = make_pages
        self._pages: wanted.Pages | None = None
        self._edits = edits.EditorEdits(host, self._request, self._refused)
        self._shown_runs: dict[str, float | None] = {}  # when cells ran whose variables the editor knows
        self._settings: dict[str, CellSettings] = {}  # that no document has yet

    def open(self, *, app: bool) -> EditorLink:
        """Return an address that opens the editor, or the app view. On the main thread, also while a cell runs. Raises `BridgeError`."""
        require_reached(self._host.bounds)
        notebook = self._host.notebook
        if self._pages is None:
            path = self._host.file.path()
            name = "notebook" if path is None else Path(path).stem
            self._pages = self._make_pages(self, name, lambda: notebook.running is not None)
            notebook.settled.append(self._settled)
            notebook.runtime.live.observers.append(self)
        notebook.execution.later(self._load)
        return self._pages.link(app=app)

    def _load(self) -> None:
        """Let the kernel know the document's cells that never ran, so that the editor shows them."""
        runs = self._host.notebook.runs
        before = runs.current if runs.started else None
        with suppress(BridgeError):  # no document is known
            loading.load_document(self._host, self._header())
        if before is not None:
            runs.resume(before)
        if self._pages is not None:
            self._pages.refresh()

    # -- what the editor shows ------------------------------------------------------------------------------------

    def cells(self) -> Sequence[wanted.EditorCell]:
        notebook = self._host.notebook
        entries = ((cell, notebook.cells.get(cell.cell_id)) for cell in notebook.view.snapshot())
        document = self._host.documents.shared.open.active()
        shown = {} if document is None else dict(document.cells)

        def settings_of(cell: Cell) -> CellSettings:
            one = shown.get(cell.notebook_cell_id or "")
            return NO_SETTINGS if one is None else one.settings

        cells = [
            wanted.EditorCell(cell, entry.log.outputs(), settings_of(cell), is_command=is_command(cell))
            for cell, entry in entries
            if entry is not None and cell.status != "superseded"
        ]
        return markdown.with_markdown(cells, shown.values())

    def html(self, shown: str, cell_id: str) -> str | None:
        place = _PLACE.search(shown)
        return self._host.notebook.runtime.live.html(shown if place is None else place[1], cell_id)

    def values(self, object_ids: Iterable[str]) -> Mapping[str, Any]:
        return self._host.notebook.runtime.live.values(object_ids)

    def _settled(self) -> None:
        """Tell the pages what a run has changed."""
        pages = self._pages
        assert pages is not None, "this listens since there are pages"
        names: list[str] = []
        for cell in self._host.notebook.view.snapshot():
            if self._shown_runs.get(cell.cell_id) != cell.last_run_at:
                self._shown_runs[cell.cell_id] = cell.last_run_at
                names += cell.defines
        pages.refresh()
        self._edits.settle(self._settings)
        if names:
            pages.variables(names, self._host.notebook.runtime.values)

    # -- what the runtime tells -----------------------------------------------------------------------------------

    def value_changed(self, object_id: str, value: Any, source: str) -> None:
        """Show a value that was set elsewhere."""
        if self._pages is not None and source != SOURCE:
            self._pages.value_changed(object_id, value)

    def elements_removed(self, cell_id: str) -> None:
        """Note that a cell makes its elements again."""
        if self._pages is not None:
            self._pages.elements_removed(cell_id)

    def notified(self, op: str, data: bytes) -> None:
        """Pass on a notification of an element."""
        if self._pages is not None and op == "send-ui-element-message":
            self._pages.notified(data)

    # -- what a person does there ---------------------------------------------------------------------------------

    def act(self, command: wanted.Command) -> None:
        self._host.io_loop.add_callback(partial(self._act, command))

    async def _act(self, command: wanted.Command) -> None:
        try:
            await self._carry_out(command)
        except Exception:
            self._host.log.exception("A command of marimo's editor failed")
        if self._pages is not None:
            self._pages.refresh()

    async def _carry_out(self, command: wanted.Command) -> None:  # noqa: C901, PLR0912  # one for each
        notebook, pages = self._host.notebook, self._pages
        match command:
            case wanted.RunCells():
                await self._edits.run(command)
            case wanted.RunStale():
                async with self._request() as address:
                    notebook.edits.run_stale(edits.CLIENT, address)
            case wanted.ChangeMarkdown():
                await self._edits.change_markdown(command)
            case wanted.SetSettings(cell_id=cell_id, settings=settings):
                self._settings[cell_id] = settings
                self._edits.settle(self._settings)
            case wanted.DeleteCell(cell_id=cell_id):
                await self._edits.delete(cell_id)
            case wanted.Arrange(order=order):
                await self._edits.arrange(order, lambda: [one.cell.cell_id for one in self.cells()])
            case wanted.Configure(disabled=disabled):
                async with self._request() as address:
                    notebook.runs.open(address, edits.CLIENT, ())
                    for cell_id, off in disabled:
                        notebook.runtime.set_disabled(cell_id, disabled=off)
            case wanted.SetValues(values=values):
                notebook.runtime.live.set_values(values, SOURCE)
                self._host.scheduler.wake()
            case wanted.CallFunction():
                await self._call(command)
            case wanted.Complete(request_id=request_id, code=code):
                if pages is not None:
                    pages.completed(request_id, *self._completions(code))
            case _:
                assert_never(command)

    async def _call(self, command: wanted.CallFunction) -> None:
        async with self._request():
            live = self._host.notebook.runtime.live
            result = await live.call(command.namespace, command.name, command.arguments)
        if self._pages is not None:
            self._pages.notified(live.result_notification(command.call_id, result))

    def _completions(self, code: str) -> tuple[int, list[tuple[str, str]]]:
        reply = self._host.do_complete(code, len(code))
        typed = reply.get("metadata", {}).get("_jupyter_types_experimental", ())
        kinds = {one["text"]: one["type"] for one in typed}
        return len(code) - reply["cursor_start"], [(name, kinds.get(name, "")) for name in reply["matches"]]

    def interrupt(self) -> None:
        interrupt_main_thread()

    def _refused(self, cell_id: str, problems: Sequence[GraphProblem]) -> None:
        if self._pages is not None:
            self._pages.refused(cell_id, problems)

    # -- requests ---------------------------------------------------------------------------------------------------

    def _header(self) -> dict[str, Any]:
        return {
            "msg_id": uuid.uuid4().hex,
            "msg_type": _REQUEST,
            "session": _SESSION,
            "username": edits.CLIENT,
        }

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[Address]:
        """Act between the requests of front ends, as if the editor had sent one; what becomes stale runs at the end."""
        host, header = self._host, self._header()
        cause = Cause(b"", {"header": header, "parent_header": {}, "metadata": {}, "content": {}, **header})
        async with host.one_at_a_time:
            host.scheduler.caused_by(cause)
            with host.handling(cause), host.input_from_front_end(allowed=False):
                yield Address("agent", header, _SESSION)
                await host.scheduler.run_now()


if TYPE_CHECKING:
    MakePages = Callable[[wanted.EditorHost, str, Callable[[], bool]], wanted.Pages]
