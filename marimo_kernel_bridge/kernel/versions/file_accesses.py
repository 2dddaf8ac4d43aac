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
import sysconfig
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_FILES: Final = 40
"""Files of one cell; of a cell that uses more, none counts."""

_TICK: Final = 20_000_000
"""Nanoseconds by which the times in a file system may be behind the clock."""
_COMMAND: Final = re.compile(
    r"^[ \t]*(?:\w+[ \t]*=[ \t]*)?(?:!(?!=)|%%?(?!(?:time|timeit|prun|capture|matplotlib|load_ext|reload_ext|autoreload|config)\b)[a-z])",
    re.MULTILINE,
)
"""A shell line or a magic, other than those that run no program and write no file."""
_SUSPECT: Final = re.compile(
    r"\bopen\b|\w_open\(|\bopen_\w+\(|\b(?:mkdir|makedirs|touch|unlink|rmtree|urlretrieve)\b|\b(?:os|shutil)\.(?!path\b|environ|getcwd)[a-z]"
    r"|\bfrom (?:os|shutil) import\b|write|\b(?:im)?save|savefig|\b_?dump|export|download|connect\(|\bread_\w+\("
    r"|\bto_(?:csv|json|parquet|excel|feather|pickle|hdf|sql|stata|html|latex|markdown|xml|orc|file|disk|netcdf|zarr)\b"
    r"|\.[a-z]\w{1,7}[\"']",
    re.IGNORECASE,
)
"""Occurs in the text of cells that write files. Before the first such cell there is no hook, which would make each call of
`id` and `copy.deepcopy` slower."""
_CAN_WRITE: Final = re.compile(
    r"\bto_(?!datetime|numeric|timedelta|numpy|list|dict|frame|string|series|period|timestamp|tensor|device|pandas|dense|dummies)\w"
    r"|\bsink_|write|\w*(?<![a-z])(?:im)?save|dump|export|download|retrieve|\bcopy|\bmove\b|connect|execute|extract"
    r"|\bsql\b|\bsystem\b|\brun\b|\bcall\b|\bpopen|check_(?:call|output)",
    re.IGNORECASE,
)
"""Occurs in the names in code that writes files without Python's `open`."""
_LOOKS: Final = re.compile(r"\b(?:l?exists|isfile|isdir|is_file|is_dir)\b")
"""Occurs in code that depends on whether there is a file."""
_IMPORTS: Final = re.compile(r"\bimportlib\b|\bpkgutil\b")
_MODE: Final = re.compile(r"[,=]\s*[\"'](?:[wax]b?\+?|r\+b?|rb\+)[\"']\s*[,)]")
_PATH_TYPES: Final = frozenset({str, type(Path()), PurePath, PurePosixPath, PureWindowsPath})
"""Not those derived from them, whose methods are the user's code."""
_QUOTED: Final = re.compile(r"\"([^\"\n]{1,300})\"|'([^'\n]{1,300})'")
_PATH: Final = re.compile(r"[^\s<>|;&=,()\[\]{}\"'`]*[./][^\s<>|;&=,()\[\]{}\"'`]*")


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
    listed: set[str] = field(default_factory=set)  # folders

    def read(self, path: object) -> None:
        name = _watched_path(path)
        if name is not None and name not in self.writes:
            self.reads.add(name)

    def write(self, path: object) -> None:
        name = _watched_path(path)
        if name is not None:
            self.existed.setdefault(name, os.path.lexists(name))
            self.writes.add(name)

    def opened(self, path: object, _mode: object, flags: object) -> None:
        how = flags if isinstance(flags, int) else 0
        if not how & (os.O_WRONLY | os.O_RDWR):
            self.read(path)
        elif how & (os.O_TRUNC | os.O_EXCL):
            self.write(path)
        elif how & os.O_APPEND and not how & os.O_RDWR:
            self.append(path)
        else:
            self.changed(path)

    def append(self, path: object) -> None:
        name = _watched_path(path)
        if name is not None and name not in self.writes:
            self.existed.setdefault(name, os.path.lexists(name))
            self.appends.add(name)

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
        name = _watched_path("." if path is None else path)
        if name is not None and name not in self.writes:
            self.reads.add(name)
            self.listed.add(name)

    def connected(self, path: object, *_: object) -> None:
        name = _watched_path(path)
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
    who looks at it reads it, and who makes, renames or removes a file there appends to it.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    appends: frozenset[str] = frozenset()


class FileWatch:
    """Watches the files of one body."""

    def __init__(self, code: str, values: Iterable[object]) -> None:
        """`values` are those of names that the cell mentions."""
        global _current  # noqa: PLW0603  # an audit hook stays for the life of the process, so there is one
        if not _installed and needs_hook(code):
            sys.addaudithook(_hook)
            _installed.append(True)
        self._mentioned = _mentioned_paths(code)
        held = list(values)
        self._can_write = _can_write(code) or any(map(_function_can_write, held))
        self._looks = _LOOKS.search(code) is not None
        self._before = {path: _status(path) for path in self._paths(held)}
        self._recording = _Recording()
        _current = self._recording
        self._token = _of_context.set(self._recording)

    def _paths(self, values: Iterable[object]) -> set[str]:
        held = (os.fspath(value) for value in values if type(value) in _PATH_TYPES)  # type: ignore[call-overload]
        named = {path for path in held if len(path) < 1000 and _PATH.fullmatch(path)}  # noqa: PLR2004  # characters of a path
        return {path for each in self._mentioned | named if (path := _watched_path(each)) is not None}

    def end(self, values: Iterable[object]) -> FileUse:
        """Return what the body has done. `values`: as in the beginning, now."""
        global _current  # noqa: PLW0603  # as above
        _current = None
        _of_context.reset(self._token)
        seen = self._recording
        before = {**seen.connected_to, **self._before}
        for path in self._paths(values) | set(seen.connected_to):
            if path in seen.reads or path in seen.writes or path in seen.appends:
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
        written = seen.writes | seen.appends
        there = {path for path in written if os.path.lexists(path)}
        temporary = {path for path in written - there if not seen.existed.get(path, True)}
        reads, writes = seen.reads - temporary, seen.writes - temporary
        appends = seen.appends - writes - temporary
        if len(reads | writes | appends) - len(seen.listed) > MOST_FILES:
            return FileUse()
        listed = seen.listed if len(seen.listed) <= MOST_FILES else set()
        refilled = {os.path.dirname(path) for path in written if seen.existed.get(path) != (path in there)}  # noqa: PTH120  # quicker
        return FileUse(
            frozenset(reads - seen.listed | listed | set(map(_entries_of, listed))),
            frozenset(writes),
            frozenset(appends | set(map(_entries_of, refilled))),
        )


def _entries_of(folder: str) -> str:
    return os.path.join(folder, "")  # noqa: PTH118  # a `Path` drops the separator


def _status(path: str) -> tuple[int, int, int] | None:
    """Return what differs after a file was written; None for what is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116  # quicker
    except (OSError, ValueError):
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if not status.st_mode & 0o040000 else None


def needs_hook(code: str) -> bool:
    """Return whether a cell may use files, judged by its text."""
    return (_SUSPECT.search(code) or _COMMAND.search(code)) is not None


@lru_cache(maxsize=1000)
def _can_write(code: str) -> bool:
    """Return whether a cell may write files in ways that audit hooks do not report."""
    if _COMMAND.search(code) or _MODE.search(code):
        return True
    return _CAN_WRITE.search(_QUOTED.sub("''", code)) is not None


def _function_can_write(value: object) -> bool:
    """Return whether a value is a function of Python that may write files, by the names in it."""
    codes = [value.__code__] if type(value) is FunctionType else []
    for code in codes:  # grows
        if any(map(_CAN_WRITE.search, code.co_names)):
            return True
        codes += [each for each in code.co_consts if type(each) is CodeType]
    return False


@lru_cache(maxsize=1000)
def _mentioned_paths(code: str) -> frozenset[str]:
    """Return the words in a cell's strings, or in the cell if it calls other programs, that may be paths."""
    texts = [code] if _COMMAND.search(code) else [one or other for one, other in _QUOTED.findall(code)]
    words = {word for text in texts for word in _PATH.findall(text)}
    return frozenset(word for word in words if word.strip("./") and "//" not in word)


def _watched_path(path: object) -> str | None:
    """Return the absolute path of a file of the notebook, None for any other."""
    if issubclass(type(path), str):
        path = str.__str__(path)  # of a derived class: without its methods
    elif type(path) not in _PATH_TYPES and type(path) is not bytes:  # a file descriptor, say
        return None
    try:
        absolute = os.path.abspath(os.path.expanduser(os.fsdecode(path)))  # type: ignore[arg-type]  # noqa: PTH100, PTH111  # quicker
    except (ValueError, OSError):  # the working directory was deleted, say
        return None
    return absolute if _belongs_to_notebook(absolute, working_directory()) else None


def is_notebooks(path: object) -> bool:
    """Return whether a path is that of a file of the notebook, and not of Python's, the system's or some cache's."""
    return _watched_path(path) is not None


@lru_cache(maxsize=2000)
def _belongs_to_notebook(path: str, folder: str) -> bool:
    if path.startswith(_not_notebooks(folder)) or path.endswith(".pyc"):
        return False
    return "ipykernel_" not in path


@lru_cache(maxsize=20)
def _not_notebooks(folder: str) -> tuple[str, ...]:
    """Return the beginnings of paths that are Python's, the system's or some cache's, unless work goes on in there."""
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places = {sys.prefix, *installed, "/proc", "/dev", "/sys", "/etc", "/usr"}
    home = os.path.expanduser("~")  # noqa: PTH111  # raises nothing where there is none
    beginnings = [*(f"{place}{os.sep}" for place in places), f"{home}{os.sep}."]
    return tuple(beginning for beginning in beginnings if not f"{folder}{os.sep}".startswith(beginning))
