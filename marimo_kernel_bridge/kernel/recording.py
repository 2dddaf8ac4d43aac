"""What a running kernel records for the case of its death, watches, and tells of a death before.

Composes the black box and the guard of memory, and shows what they have to say under the person's cells. Begins when the
runtime is loaded, because nothing can be lost before.
"""

from __future__ import annotations

import logging
import os
import time
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from msgspec.structs import replace

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.kernel.black_box import BlackBoxWriter, take_over
from marimo_kernel_bridge.kernel.memory_guard import MemoryGuard, interrupting, largest_names, warning
from marimo_kernel_bridge.kernel.messaging.sigint import interrupt_main_thread
from marimo_kernel_bridge.kernel.notebook.execution import RunObserver
from marimo_kernel_bridge.protocol.black_box import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.limits.watch import LimitWatch
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.black_box import Process
    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Death

logger = logging.getLogger(__name__)

LOOKS_EVERY: Final = 1.0  # seconds, while a cell runs
LOOKS_OFTEN: Final = 0.05  # where a cell is to be interrupted in time


class Timers(Protocol):
    """The timers of an event loop."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call a function in the loop's thread; any thread."""
        ...


class File(Protocol):
    """The notebook's file."""

    def path(self) -> str | None: ...


class Recording(RunObserver):
    """The black box of this kernel, the guard of its memory, and the death before it. For the main thread, except `_look`."""

    def __init__(
        self,
        connection_file: str,
        notebook: NotebookSession,
        file: File,
        names: Mapping[str, object],
        hidden: Container[str],
        *,
        covered: Callable[[], str] = str,
        hide: Callable[[str], str] = str,
        process: Process | None = None,
        sandboxed: bool = False,
    ) -> None:
        """`names` is the user's namespace, and `hidden` what is in it from the start.

        `covered` returns what a checkpoint has of what is lost, as a sentence. `hide` returns a text without what agents are not told:
        they may read of a death what was recorded. `process` stands for this one outside of its sandbox.
        """
        self._folder = folder_of(connection_file)
        self._notebook, self._file, self._names = notebook, file, names
        self._box: BlackBoxWriter | None = None
        self._hidden = hidden
        self._limits: Mapping[str, float] = {}
        self._sandboxed, self._process = sandboxed, process
        self._make_watch: Callable[[IO[bytes]], LimitWatch] | None = None
        self.watch: LimitWatch | None = None
        """The watch over the kernel's limits, if it has any."""
        self.guard = MemoryGuard(0)
        self._entry: Entry | None = None
        self._parent: Header = {}
        self._warned: object = None  # the run of a cell that has been warned
        self._interrupted: object = None  # the one that was interrupted
        self._interrupts = False
        self._used_before = 0  # bytes, the least since the body began that runs
        self._show: Callable[[Content, Header], None] = lambda _, __: None
        self._told = False
        self._hide, self._covered = hide, covered
        self.died: Death | None = None
        """How the kernel before this one died, if nobody had asked for its end."""
        self.memory = ""
        """The newest warning, "" as long as there is enough. Any thread."""

    def limit(self, limits: Mapping[str, float], watch: Callable[[IO[bytes]], LimitWatch]) -> None:
        """Hold the kernel to limits, by name, from `begin` on; `watch` makes what watches them, with a file that notes its end."""
        self._limits, self._make_watch = limits, watch

    def begin(
        self,
        memory_limit: int,
        timers: Timers,
        other_timers: Timers,
        show: Callable[[Content, Header], None],
        *,
        interrupts: bool = False,
        records: bool = True,
    ) -> None:
        """Find the death before, and begin to record. `other_timers` are of a thread that runs while cells do.

        `show` publishes a display from any thread, as an output of the request with a header. `interrupts`: a cell is
        interrupted when memory is nearly full. `records`: anything is recorded.
        """
        self._interrupts = interrupts
        hard = int(self._limits.get("memory", 0))
        lowest = min(filter(None, (memory_limit, hard)), default=0)
        self._show = show
        self.guard = MemoryGuard(lowest, hard=hard > 0, bounded=self._sandboxed)
        if records:
            self._open_box(timers)
        self.guard.protect()
        if self._make_watch is not None:
            crash = open(os.devnull, "wb") if self._box is None else self._box.crash_file()  # noqa: PTH123, SIM115  # as long as the process
            self.watch = self._make_watch(crash)
            self.watch.watch_cpu()
        self._notebook.execution.observers.add(self)
        self._notebook.settled.append(self._settled)
        other_timers.add_callback(
            lambda: other_timers.call_later(LOOKS_EVERY, lambda: self._look(other_timers))
        )

    def _open_box(self, timers: Timers) -> None:
        box = BlackBoxWriter(self._folder, self._names, self._hidden, self._notebook.view, timers, self._hide)
        path = self._file.path()
        try:
            self.died = take_over(self._folder, path, self._process)
            box.limit, box.limits, box.process = self.guard.limit, self._limits, self._process
            box.open(path or "")
            box.watch_process()
        except OSError as error:  # a full or read-only disk
            logger.warning("Nothing is recorded for the case that this kernel dies: %s", error)
        else:
            self._box = box

    def close(self) -> None:
        """Note that the kernel ends because somebody asked for it. Any thread."""
        if self._box is not None:
            self._box.close()

    def agents_came(self) -> None:
        """Hide from agents what is recorded of the code that runs. Any thread."""
        if self._box is not None:
            self._box.write_line()

    def is_nearly_full(self) -> bool:
        """Return whether the memory under a known limit is nearly used up, so that what can be saved should be."""
        return self.guard.limit > 0 and self.guard.is_nearly_full(self.guard.look()[0])

    def other_code(self, code: str | None) -> None:
        """Record that code which is no cell begins to run, None: that it has ended."""
        if self._box is not None:
            self._box.other_code(code)
        self._time(runs=code is not None)

    def _time(self, *, runs: bool) -> None:
        """Note that code begins to run, or has ended, for what limits its time."""
        if self.watch is not None and runs:
            self.watch.begins()
        elif self.watch is not None:
            self.watch.ends()

    def body_begins(self, entry: Entry) -> None:
        """Record the cell whose code begins to run, and tell of the death before in the person's first one."""
        if self._box is not None:
            self._box.body(entry)
        self._parent = entry.address.parent if entry.delivery is None else entry.delivery.parent
        if self.died is not None and not self._told and _is_persons(entry):
            self._told = True
            self.died = replace(self.died, covered=self._covered())
            self._notebook.outputs.append(entry, "display_data", notices.died(self.died))
        if self._interrupts:
            self._used_before, _ = self.guard.look()
        self._entry = entry
        self._time(runs=True)

    def body_ended(self) -> None:
        """Record that the code of a cell has ended."""
        if self._box is not None:
            self._box.body(None)
        self._entry = None
        self._time(runs=False)

    def _settled(self) -> None:
        if self._box is not None:
            self._box.belongs_to(self._file.path() or "")
            self._box.settled()

    def _look(self, timers: Timers) -> None:
        """Look at the memory while a cell runs, and warn once for each run. In the thread of `other_timers`."""
        wait = LOOKS_EVERY
        try:
            entry = self._entry
            if self.watch is not None:
                self.watch.look()
            if entry is not None:
                used, available = self.guard.look()
                if self._box is not None:
                    self._box.heard(used)
                self._warn(entry, used, available)
                if self._interrupts:
                    self._interrupt(entry, used)
                    wait = LOOKS_OFTEN if self.guard.may_be_full_soon(used) else wait
        except Exception:
            logger.exception("The memory in use could not be looked at")
        timers.call_later(wait, lambda: self._look(timers))

    def _interrupt(self, entry: Entry, used: int) -> None:
        """Interrupt a cell, once, when memory is nearly full and the cell has taken some of it: not one that only frees."""
        if entry is not self._entry:
            return
        run = (entry.cell.cell_id, self._notebook.running)
        self._used_before = min(self._used_before, used)
        grown = self.guard.has_grown(self._used_before, used)
        if self.guard.is_nearly_full(used) and grown and run != self._interrupted:
            self._interrupted = run
            self._show(notices.memory(interrupting(used, self.guard.limit)), self._parent)
            interrupt_main_thread()

    def _warn(self, entry: Entry, used: int, available: int) -> None:
        guard, run = self.guard, (entry.cell.cell_id, self._notebook.running)
        text = warning(used, guard.limit, available, guard.installed, ())
        if text and run != self._warned:
            self._warned = run
            text = warning(used, guard.limit, available, guard.installed, largest_names(self._names))
            self._show(notices.memory(text), self._parent)
            self.memory = f"{time.strftime('%H:%M')} {text}"
        elif not text:
            self.memory = ""


def _is_persons(entry: Entry) -> bool:
    """Return whether a person sees the output of this run; saved outputs of batch clients stay those of the notebook."""
    return entry.delivery is None and entry.address.dialect in {"lab", "vscode", "terminal"}
