"""Which files the body of a cell reads and writes, by path.

Python reports files that it opens, renames and removes to audit hooks. Libraries in C do not take part: of the paths that
a cell mentions, in strings or as values of names, the status before and after the body tells. Threads and tasks of
other cells do not count, nor files of Python's installation, of caches and of the system. Nothing here opens, restores or
copies a file.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.file_mentions import (
    can_write,
    function_can_write,
    looks,
    may_be_path,
    mentioned_paths,
    needs_hook,
    reads,
)
from marimo_kernel_bridge.kernel.versions.notebook_paths import PATH_TYPES, notebooks_path
from marimo_kernel_bridge.kernel.versions.open_files import behind, may_write, written_through
from marimo_kernel_bridge.kernel.versions.value_copies import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_FILES: Final = 40
"""Files of one cell; of a cell that uses more, none counts."""

_TICK: Final = 20_000_000
"""Nanoseconds by which the times in a file system may be behind the clock."""
_BY_KEY: Final = re.compile(r"\b(?:shelve|dbm)\b")
_IMPORTS: Final = re.compile(r"\bimportlib\b|\bpkgutil\b")


@dataclass
class _Recording:
    """What a body does with files: of each path, whether it reads what was there, and whether it writes.

    The arguments `folder` of events are descriptors, -1 for none. What is relative to a descriptor does not count, as the
    path of its folder is unknown.
    """

    started: int = field(default_factory=time.time_ns)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    appends: set[str] = field(default_factory=set)  # without reading what was there
    connected_to: dict[str, tuple[int, int, int] | None] = field(
        default_factory=dict
    )  # with the status before
    existed: dict[str, bool] = field(default_factory=dict)  # before the first write
    by_key: bool = (
        False  # the code opens databases of `dbm`, whose libraries write the files that Python has looked for
    )
    listed: set[str] = field(default_factory=set)  # folders

    def read(self, path: object) -> None:
        name = notebooks_path(path)
        if name is not None and name not in self.writes:
            self.reads.add(name)

    def write(self, path: object) -> None:
        name = notebooks_path(path)
        if name is not None:
            self.existed.setdefault(name, os.path.lexists(name))
            self.writes.add(name)

    def opened(self, path: object, _mode: object, flags: object) -> None:
        how = flags if isinstance(flags, int) else 0
        if not how & (os.O_WRONLY | os.O_RDWR):
            if self.by_key:
                self.connected(path)
            self.read(_source_of(path) if isinstance(path, str) and path.endswith(".pyc") else path)
        elif how & (os.O_TRUNC | os.O_EXCL):
            self.write(path)
        elif how & os.O_APPEND and not how & os.O_RDWR:
            self.append(path)
        elif how & os.O_CREAT and (name := notebooks_path(path)) is not None and not os.path.lexists(name):
            self.write(path)
        else:
            self.changed(path)

    def append(self, path: object) -> None:
        name = notebooks_path(path)
        if name is not None and name not in self.writes:
            self.existed.setdefault(name, os.path.lexists(name))
            self.appends.add(name)

    def use_maps(self, values: Iterable[object], mutated: Iterable[object]) -> None:
        """Note the files of which there are maps behind values, and behind those that the body has mutated."""
        for value in behind(mutated):
            self.append(mapped(value))
        for path in {mapped(value, read=True) for value in behind(values)} - self.appends:
            self.read(path)

    def replaced(
        self, source: object, target: object, source_folder: int = -1, target_folder: int = -1
    ) -> None:
        if source_folder == -1:
            self.read(source)
            self.write(source)
        if target_folder == -1:
            self.write(target)

    def linked(
        self, source: object, target: object, source_folder: int = -1, target_folder: int = -1
    ) -> None:
        if source_folder == -1:
            self.read(source)
        if target_folder == -1:
            self.write(target)

    def symbolically_linked(self, source: object, target: object, folder: int = -1) -> None:
        self.linked(source, target, folder, folder)

    def changed(self, path: object, *_: object) -> None:
        self.read(path)
        self.write(path)

    def removed(self, path: object, folder: int = -1) -> None:
        if folder == -1:
            self.changed(path)

    def made(self, path: object, _mode: int = 0, folder: int = -1) -> None:
        if folder == -1:
            self.write(path)

    def entries(self, path: object) -> None:
        if _IMPORTS.search(sys._getframe(2).f_code.co_filename):  # noqa: SLF001  # who called; an import looks for modules
            return
        name = notebooks_path("." if path is None else path)
        if name is not None and name not in self.writes:
            self.reads.add(name)
            self.listed.add(name)

    def connected(self, path: object, *_: object) -> None:
        name = notebooks_path(path)
        if name is not None and os.path.basename(name) != ":memory:":  # noqa: PTH119  # a hook has to be quick
            self.connected_to.setdefault(name, _status(name))


_EVENTS: Final[dict[str, Callable[..., None]]] = {
    "open": _Recording.opened,
    "os.rename": _Recording.replaced,
    "os.link": _Recording.linked,
    "os.symlink": _Recording.symbolically_linked,
    "os.remove": _Recording.removed,
    "os.mkdir": _Recording.made,
    "os.rmdir": _Recording.removed,
    "os.listdir": _Recording.entries,
    "os.scandir": _Recording.entries,
    "os.truncate": _Recording.changed,
    "sqlite3.connect": _Recording.connected,
}


_current: _Recording | None = None  # of the body that runs
_of_context: ContextVar[_Recording | None] = ContextVar("_of_context", default=None)
_installed: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:  # of any event
    if _current is None or event not in _EVENTS:
        return
    recording = _current
    if threading.current_thread() is threading.main_thread() and _of_context.get() is recording:
        # What it raises would be raised in the user's code, which may also audit events with arguments of its own.
        with suppress(Exception):
            _EVENTS[event](recording, *arguments)


@dataclass(frozen=True)
class FileUse:
    """The absolute paths of files and folders that a body read, as they were before it, and of those that it wrote.

    `appends` are those that it only added to. A path that ends in a separator stands for the list of what is in a folder:
    who looks at it reads it, and who makes, renames or removes a file there appends to it. `made` are those that were not
    there before the body, or are not there after it. `contents` are those of `reads` whose content the body has surely looked
    at; others may only be mentioned, as a path that is made for the cells below.
    """

    reads: frozenset[str] = frozenset()
    contents: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    appends: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()


class FileWatch:
    """Watches the files of one body."""

    def __init__(self, code: str, values: Iterable[object]) -> None:
        """`values` are those of names that the cell mentions."""
        global _current  # noqa: PLW0603  # an audit hook stays for the life of the process, so there is one
        if not _installed and needs_hook(code):
            sys.addaudithook(_hook)
            _installed.append(True)
        self._mentioned = mentioned_paths(code)
        held = list(values)
        self._can_write = can_write(code) or any(map(function_can_write, held))
        self._looks = looks(code)
        self._reads = self._looks or reads(code)
        self._before = {path: _status(path) for path in self._paths(held)}
        self._recording = _Recording(by_key=_BY_KEY.search(code) is not None)
        deep = behind(held)
        if may_write(code, deep):
            for path in written_through(deep):
                self._recording.append(path)
        _current = self._recording
        self._token = _of_context.set(self._recording)

    def _paths(self, values: Iterable[object]) -> set[str]:
        held = (os.fspath(value) for value in values if type(value) in PATH_TYPES)  # type: ignore[call-overload]
        named = {path for path in held if len(path) < 1000 and may_be_path(path)}  # noqa: PLR2004  # characters of a path
        return {path for each in self._mentioned | named if (path := notebooks_path(each)) is not None}

    def end(self, values: Iterable[object], mutated: Iterable[object] = ()) -> FileUse:
        """Return what the body has done. `values`: as in the beginning, now; `mutated` are those that it mutated."""
        global _current  # noqa: PLW0603  # an audit hook stays, so there is one
        _current = None
        _of_context.reset(self._token)
        seen = self._recording
        values = list(values)
        seen.use_maps(values, mutated)
        before = {**seen.connected_to, **self._before}
        contents = seen.reads | set(seen.connected_to)
        for path in self._paths(values) | set(seen.connected_to):
            is_read = path in seen.reads and path not in seen.connected_to
            if is_read or path in seen.writes or path in seen.appends:
                continue
            now = _status(path)
            if not self._can_write and path not in seen.connected_to:
                changed = False  # by this cell: a thread or another program may have written the file
            elif path in before:
                changed = now != before[path]
            else:
                changed = now is not None and now[0] > seen.started - _TICK
            if changed:
                seen.writes.add(path)
                seen.existed[path] = before.get(path) is not None
            if self._looks or (before.get(path) if changed else now) is not None:
                seen.reads.add(path)
        if self._reads:
            contents |= seen.reads
        written = seen.writes | seen.appends
        there = {path for path in written if os.path.lexists(path)}
        temporary = {path for path in written - there if not seen.existed.get(path, True)}
        read, writes = seen.reads - temporary, seen.writes - temporary
        appends = seen.appends - writes - temporary
        if len(read | writes | appends) - len(seen.listed) > MOST_FILES:
            return FileUse()
        listed = seen.listed if len(seen.listed) <= MOST_FILES else set()
        made = frozenset(path for path in written if seen.existed.get(path) != (path in there))
        refilled = {os.path.dirname(path) for path in made}  # noqa: PTH120  # quicker
        entries = set(map(_entries_of, listed))
        known = read - seen.listed | listed
        return FileUse(
            frozenset(known | entries),
            frozenset(known & contents | entries),
            frozenset(writes),
            frozenset(appends | set(map(_entries_of, refilled))),
            made,
        )


def _source_of(compiled: str) -> str:
    """Return the path of the source of a compiled module."""
    folder, _, name = compiled.rpartition(f"{os.sep}__pycache__{os.sep}")
    return f"{folder}{os.sep}{name.partition('.')[0]}.py"


def _entries_of(folder: str) -> str:
    return os.path.join(folder, "")  # noqa: PTH118  # a `Path` drops the separator


def _status(path: str) -> tuple[int, int, int] | None:
    """Return what differs after a file was written; None for what is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116  # quicker
    except (OSError, ValueError):
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if not status.st_mode & 0o040000 else None
