"""What checkpoints do when no cell is left to run: save what took long, and offer what an earlier kernel has saved.

Imported with the runtime. What saves and what reads checkpoints is imported when it is needed: few cells take long.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from traitlets.log import get_logger

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.notebook.execution import RunObserver

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.checkpoints.automatic import AutomaticSaving
    from marimo_kernel_bridge.kernel.checkpoints.one_save import Queue
    from marimo_kernel_bridge.kernel.checkpoints.requests import Checkpoints
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.kernel.recording import Recording


_WAITS: Final = 0.02
"""The next cell of a long run may wait for a checkpoint, as a share of the time of the cells before it."""
_WAITS_WHEN_FULL: Final = 0.1
"""The same when memory is nearly full, so that this cell may be the last one of this kernel, whoever has requested it."""
_LEAST: Final = 0.02
"""Seconds of that, below which nothing can be saved. Twice as many as the last time, if those were not enough."""
_AT_ONCE: Final = 0.1
"""Seconds after a cell in which no person requests the next one: it was to run anyway, or a program has sent it."""


class Timers(Protocol):
    """The timers of the main thread's event loop."""

    def call_later(self, delay: float, callback: Callable[[str], Any], cell_id: str) -> object: ...


class File(Protocol):
    """The notebook's file."""

    def path(self) -> str | None: ...


class Host(Protocol):
    """The parts of the kernel that are used after runs."""

    checkpoints: Any
    """What automatic checkpoints keep: "costly", "all" or "off"."""

    @property
    def checkpointing(self) -> Checkpoints:
        """The checkpoints of the notebook, which are imported with the first use."""
        ...

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def file(self) -> File: ...

    @property
    def queue(self) -> Queue:
        """The queue of requests on shell."""
        ...

    @property
    def recording(self) -> Recording | None: ...

    @property
    def io_loop(self) -> Timers: ...


class AfterRuns(RunObserver):
    """What checkpoints do after the runs of a kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first = True
        self._running = False
        self._ended = 0.0  # when the last cell did
        self._long_ended = 0.0  # and the last one whose values are to be kept
        self._spent = 0.0  # seconds of cells since a save between two of them
        self._unsaved = 0.0  # and since one that left nothing out
        self._urgent = True  # if memory is nearly full: once for a cell that took long
        self._least = _LEAST

    def cell_ended(self, seconds: float) -> None:
        """Note that a cell has run."""
        self._running, self._ended = False, time.monotonic()
        self._spent += seconds
        self._unsaved += seconds
        if seconds >= LONG or self._host.checkpoints == "all":
            self._long_ended, self._least, self._urgent = self._ended, _LEAST, True

    async def cell_begins(self) -> None:
        """Save what took long if the run goes on without a pause, which would be the time for that."""
        inside, self._running = self._running, True
        if not inside and self._long_ended and self._host.checkpoints != "off":
            await self._between_cells()

    async def _between_cells(self) -> None:
        automatic, now = self._automatic(), time.monotonic()
        if automatic is None:
            return
        if self._long_ended < automatic.saved_at:
            self._unsaved = 0.0
            return
        wait, recording = self._spent * _WAITS, self._host.recording
        if self._urgent and recording is not None and recording.is_nearly_full():
            self._spent, self._urgent = 0.0, False
            await automatic.between_cells(self._unsaved * _WAITS_WHEN_FULL)
            return
        asked_before = self._host.queue.newest < self._ended or now - self._ended < _AT_ONCE
        if wait < self._least or not asked_before:
            return
        self._spent, self._least = 0.0, 2 * wait
        await automatic.between_cells(wait)

    def settled(self) -> None:
        """Save what took long; and after the first cell, say that there is a checkpoint."""
        host, runs = self._host, self._host.notebook.runs
        if self._first and runs.current.requested:
            self._first = False
            host.io_loop.call_later(0, self._offer, runs.current.requested[0])
        if host.checkpoints == "all" or any(run.duration >= LONG for run in runs.current.cells):
            automatic = self._automatic()
            if automatic is not None:
                automatic.settled()

    def _automatic(self) -> AutomaticSaving | None:
        """Return the automatic checkpoints; None if there is no memory left to import them."""
        try:
            return self._host.checkpointing.automatic
        except MemoryError:
            get_logger().warning("No automatic checkpoint: no memory is left")
            return None

    def _offer(self, cell_id: str) -> None:
        """Say under the first cell of a new kernel that there is a checkpoint, where it can be restored by hand."""
        notebook = self._host.notebook
        entry = notebook.cells.get(cell_id)
        if entry is None or entry.address.dialect not in {"lab", "vscode"}:
            return
        if offer := self.take_offer():
            notebook.outputs.append_late(entry, "display_data", notices.checkpoint(offer))

    def take_offer(self) -> str:
        """Return once what a checkpoint of the notebook's file has, "" if there is none."""
        path = self._host.file.path()
        if path is None:
            return ""
        from marimo_kernel_bridge.checkpoints.store import default_folder, shelf_of  # noqa: PLC0415  # most notebooks have a file, few a checkpoint

        if not (default_folder() / shelf_of(path)).is_dir() or self._host.checkpointing.offered:
            return ""
        self._host.checkpointing.offered = True
        return self._host.checkpointing.offer()
