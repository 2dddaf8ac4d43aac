"""What checkpoints do when no cell is left to run: save what took long, and offer what an earlier kernel has saved.

Imported with the runtime. What saves and what reads checkpoints is imported when it is needed: few cells take long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.checkpoints import LONG

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.checkpoints.requests import Checkpoints
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession


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
    def io_loop(self) -> Timers: ...


class AfterRuns:
    """What checkpoints do after the runs of a kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first = True

    def settled(self) -> None:
        """Save what took long; and after the first cell, say that there is a checkpoint."""
        host, runs = self._host, self._host.notebook.runs
        if self._first and runs.current.requested:
            self._first = False
            host.io_loop.call_later(0, self._offer, runs.current.requested[0])
        if host.checkpoints == "all" or any(run.duration >= LONG for run in runs.current.cells):
            host.checkpointing.automatic.settled()

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
