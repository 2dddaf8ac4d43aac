"""The black box of this kernel: what it records while it runs, so that a death has a cause; and those of dead kernels.

`protocol.black_box` has the layout. Written by the main thread, except where a docstring says otherwise; a forked child
writes nothing. Records no values: names, types and sizes alone. A folder that cannot be written is no reason not to run.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import shutil
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from marimo_kernel_bridge.inspecting.sizes import size_text
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol import cgroups
from marimo_kernel_bridge.protocol.deaths import death_of
from marimo_kernel_bridge.protocol.notebook import RecordedName

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from pathlib import Path

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.protocol.notebook import Cell, Death

WRITTEN_AGAIN: Final = 1.0
"""Least seconds between two writes of the names. What is defined in between stands in the mapped file."""
_SHARE: Final = 0.002
"""Most of the time that writing them takes: thousands of names are written less often."""
_FROM_WITHIN: Final = frozenset({"ipykernel.parentpoller", "marimo_kernel_bridge.launch.pool.child"})
"""Modules that end a kernel when the process that started it has ended."""


class Timers(Protocol):
    """The timers of the main thread's event loop."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...


class View(Protocol):
    """The published graph."""

    def snapshot(self) -> list[Cell]:
        """Return all cells with the names that they define."""
        ...

    def defined_by(self, cell_id: str) -> frozenset[str]:
        """Return the names that one cell defines."""
        ...


class BlackBoxWriter:
    """Records what runs and which names there are. `open` first and `close` at an orderly end."""

    def __init__(  # noqa: PLR0917  # one for each part of the kernel
        self,
        folder: Path,
        names: Mapping[str, object],
        hidden: Container[str],
        view: View,
        timers: Timers,
        hide: Callable[[str], str] = str,
    ) -> None:
        """`names` is the user's namespace, and `hidden` what is in it from the start. `hide` takes secrets out of code."""
        self.limit = 0
        self.used = 0
        self.limits: Mapping[str, float] = {}
        """The limits that the kernel was given, by name."""
        self.process: layout.Process | None = None
        """The process that stands for this one outside of its sandbox."""
        self._folder = folder
        self._user_names, self._hidden, self._view, self._timers = names, hidden, view, timers
        self._now: mmap.mmap | None = None
        self._names: mmap.mmap | None = None
        self._half = 0  # of the names, that is whole
        self._born = layout.Born(1, 0.0)
        self._state, self._since, self._exit_code = layout.IDLE, 0.0, layout.NO_EXIT
        self._cell, self._line, self._hide = "", "", hide
        self._known: set[str] = set()  # names that are recorded,
        self._new = b""  # and those of them since all were written
        self._write_at, self._due = 0.0, False
        self._crash = -1  # the open file of crashes

    def open(self, notebook: str) -> None:
        """Begin to record. Raises OSError."""
        cgroup = cgroups.own_folder()
        kills, limits = cgroups.oom_kills(cgroup), dict(self.limits)
        pid, ticks, where = self.process or layout.this_process()
        born = layout.Born(pid, time.time(), ticks, where, notebook, cgroup, kills, limits)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a sandbox keeps the folder itself
        self._names = self._mapped(layout.NAMES, 2 * layout.HALF)
        self._now = self._mapped(layout.NOW, layout.SIZE)
        self._write_born(born)
        self._write_head()

    def _mapped(self, name: str, size: int) -> mmap.mmap:
        """Return a new file, mapped. It takes up as much of the disk and the memory as is written to it."""
        descriptor = self._created(name)
        try:
            os.truncate(descriptor, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def _created(self, name: str) -> int:
        return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def watch_process(self) -> None:
        """Record how this process ends, once in its life: crashes, and exits that run nothing else."""
        self._crash = self._created(layout.CRASH)
        if not faulthandler.is_enabled():  # else somebody waits for it elsewhere
            faulthandler.enable(self._crash)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self._record_exits()

    def crash_file(self) -> IO[bytes]:
        """Return the file of crashes, for others who note the end of this process. After `watch_process`."""
        return os.fdopen(os.dup(self._crash), "wb", buffering=0)

    def belongs_to(self, notebook: str) -> None:
        """Note which notebook the kernel is of."""
        if notebook != self._born.notebook:
            self._write_born(replace(self._born, notebook=notebook))

    def _write_born(self, born: layout.Born) -> None:
        self._born = born
        if self._now is None:
            return
        size = layout.BORN.stop - layout.BORN.start
        encoded = msgspec.json.encode(born)
        if len(encoded) > size:  # a path of a thousand characters; the kernel's own id still finds it
            encoded = msgspec.json.encode(replace(born, notebook=""))
        self._now[layout.BORN] = encoded.ljust(size, b"\0")

    def close(self) -> None:
        """Remove what was recorded: the kernel ends because somebody asked for it. Any thread."""
        if self._now is not None:
            self._now = None
            shutil.rmtree(self._folder, ignore_errors=True)

    # -- what runs -------------------------------------------------------------------------------------------------

    def body(self, entry: Entry | None) -> None:
        """Record that the code of a cell begins, None: that it has ended."""
        if entry is None:
            self._ended()
        else:
            body = entry.body
            self._begins(
                layout.RUNS_CELL, entry.cell.cell_id, entry.cell.code, "" if body is None else body.file_name
            )

    def other_code(self, code: str | None) -> None:
        """Record that code which is no cell begins, None: that it has ended."""
        if code is None:
            self._ended()
        else:
            self._begins(layout.RUNS_OTHER, "", code, "")

    def _begins(self, kind: int, cell_id: str, code: str, file: str) -> None:
        now = self._now
        if now is None:
            return
        now[layout.CELL] = _padded(cell_id, layout.CELL)
        now[layout.FILE] = _padded(file, layout.FILE)
        self._line = code.lstrip().partition("\n")[0].rstrip()
        self.write_line()
        self._state, self._since, self._cell = kind, time.time(), cell_id
        self._write_head()

    def write_line(self) -> None:
        """Write the first line of the code that runs, or ran last, as agents may read it. Any thread."""
        now = self._now
        if now is not None:
            now[layout.LINE] = _padded(self._hide(self._line), layout.LINE, " ")

    def _ended(self) -> None:
        now = self._now
        if now is None:
            return
        defined = self._user_names if self._state == layout.RUNS_OTHER else self._view.defined_by(self._cell)
        self._state = layout.IDLE
        self._write_head()
        new = [name for name in list(defined) if name not in self._known and self._is_public(name)]
        if not new:
            return
        self._known.update(new)
        self._new += "".join(f"{self._cell} {name}\n" for name in new).encode(errors="replace")
        if len(self._new) < layout.NEW_NAMES.stop - layout.NEW_NAMES.start:
            now[layout.NEW_NAMES] = _padded(self._new, layout.NEW_NAMES)
        else:
            self.write_names()

    def _is_public(self, name: str) -> bool:
        return name[:1] != "_" and name in self._user_names and name not in self._hidden

    def heard(self, used: int) -> None:
        """Record how much memory is in use. Any thread."""
        self.used = used
        self._write_head()

    def _write_head(self) -> None:
        now = self._now
        if now is not None:
            fields = self._state, self._exit_code, self._since, time.time(), self.used, self.limit
            layout.HEAD.pack_into(now, 0, layout.MAGIC, *fields)

    # -- names -----------------------------------------------------------------------------------------------------

    def settled(self) -> None:
        """Write the names now, or once some time has passed since they were last written."""
        if self._due or self._now is None:
            return
        wait = self._write_at - time.monotonic()
        if wait <= 0:
            self.write_names()
        else:
            self._due = True
            self._timers.call_later(wait, self.write_names)

    def write_names(self) -> None:
        """Write the names of the notebook, with the types and sizes of their values."""
        self._due = False
        now, names = self._now, self._names
        if now is None or names is None:
            return
        began = time.monotonic()
        definers = {name: cell for cell in self._view.snapshot() for name in cell.defines}
        found = [pair for pair in list(self._user_names.items()) if type(pair[0]) is str]
        public = [(name, value) for name, value in found if self._is_public(name)]
        encoded = msgspec.json.encode(
            [_recorded(name, value, definers.get(name)) for name, value in public[: layout.MOST_NAMES]]
        )
        if len(encoded) <= layout.HALF:  # else the names of before stay, and the newest
            half = 1 - self._half
            begin = half * layout.HALF
            names[begin : begin + len(encoded)] = encoded
            layout.WHOLE.pack_into(now, layout.WHOLE_AT, half, len(encoded))
            now[layout.NEW_NAMES] = _padded(b"", layout.NEW_NAMES)
            self._half, self._new = half, b""
            self._known = {name for name, _ in public}
        ended = time.monotonic()
        self._write_at = ended + max(WRITTEN_AGAIN, (ended - began) / _SHARE)

    # -- the process -----------------------------------------------------------------------------------------------

    def _forked(self) -> None:
        """Leave the black box to the kernel: this is a child that user code has forked."""
        if self._now is not None:
            self._now = None
            faulthandler.disable()

    def _record_exits(self) -> None:
        """Record an exit code that only the parent process would get. `os._exit` runs nothing else."""
        exit_now = os._exit

        def _exit(status: int) -> None:
            if self._now is not None and isinstance(status, int):
                by = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001  # CPython's, documented
                self._exit_code = layout.ABANDONED if by in _FROM_WITHIN else status & 0xFF
                self._write_head()
            exit_now(status)

        os._exit = _exit  # type: ignore[assignment]  # which says that it returns


def take_over(folder: Path, notebook: str | None, process: layout.Process | None = None) -> Death | None:
    """Return how the last kernel died that had this folder, or this notebook and still has a folder. Removes what is told or old.

    `process` stands for this one outside of its sandbox.
    """
    told: list[layout.BlackBox] = []
    before = layout.read(folder)
    if before is not None and not layout.is_of(before.born, process or layout.this_process()):
        told.append(before)
    others = [path for path in _folders() if path != folder]
    for path in others:
        box = layout.read(path)
        if box is None or not layout.has_ended(box.born):
            continue
        same = notebook is not None and box.born.notebook == notebook
        if same:
            told.append(box)
        if same or layout.is_old(box):
            shutil.rmtree(path, ignore_errors=True)
    newest = max(told, key=lambda box: box.heard, default=None)
    return None if newest is None else death_of(newest, cgroups.oom_kills(newest.born.cgroup))


def _folders() -> list[Path]:
    try:
        return list(layout.all_boxes().iterdir())
    except OSError:
        return []


def _recorded(name: str, value: object, cell: Cell | None) -> RecordedName:
    recorded = RecordedName(name[:500], *size_text(value))
    return recorded if cell is None else replace(recorded, cell=cell.cell_id, seconds=cell.duration)


def _padded(text: str | bytes, field: slice, cut_at: str = "") -> bytes:
    """Return a text as long as its field, which ends in a zero byte. Cut at a space, so that no half of a secret is left."""
    size = field.stop - field.start
    encoded = text if isinstance(text, bytes) else text.encode(errors="replace")
    if len(encoded) >= size:
        encoded = encoded[: size - 1]
        if cut_at:
            encoded = encoded.rpartition(cut_at.encode())[0]
    return encoded.ljust(size, b"\0")
