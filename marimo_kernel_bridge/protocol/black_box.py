"""What a kernel leaves behind when it dies: the layout of its black box, and the careful reading of one.

One folder for each running kernel in `marimo_kernel_bridge/kernels` of Jupyter's data directory: `now` and `names`, which
the kernel maps into its memory, so that they cost microseconds and outlive the process; `crash.txt`, what `faulthandler`
wrote; `killed`, by which who started the kernel says that it is about to kill it. `names` has two halves with the names that cells have defined, as JSON; `now` says which is whole, and the rest. A kernel removes its folder at an orderly end, so that a folder without
a process is a death. `kernel.black_box` writes, `deaths` finds the cause. A reader trusts nothing in it: sizes are
bounded, values are typed, and files that others could have written are not read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.protocol.names import kernel_id_of
from marimo_kernel_bridge.protocol.notebook import RecordedName
from marimo_kernel_bridge.protocol.process_births import ticks_of

NOW: Final = "now"
NAMES: Final = "names"
CRASH: Final = "crash.txt"
KILLED: Final = "killed"
"""An empty file: who had started the kernel was about to kill it."""
MOST_NAMES: Final = 5_000
HALF: Final = 1 << 20
"""Bytes of one half of `names`."""
KEPT: Final = 7 * 24 * 3600.0
"""Seconds after which what a dead kernel has left is removed, if no kernel has told of it."""
_LARGEST_CRASH: Final = 256_000
_LONGEST_ID: Final = 80

SIZE: Final = 4096
MAGIC: Final = b"mkb now1"
HEAD: Final = struct.Struct("<8siiddQQ")
"""The magic number, what runs, the exit code, since when it runs, when the kernel was last heard of, bytes in use, and their limit."""
WHOLE: Final = struct.Struct("<II")
WHOLE_AT: Final = 56
"""Where the number of the half of `names` stands that is whole, and its length."""
CELL: Final = slice(64, 128)
FILE: Final = slice(128, 384)
LINE: Final = slice(384, 1024)
NEW_NAMES: Final = slice(1024, 3072)
BORN: Final = slice(3072, 4096)

IDLE: Final = 0
RUNS_CELL: Final = 1
RUNS_OTHER: Final = 2
NO_EXIT: Final = -1
ABANDONED: Final = -2
"""In place of an exit code: the process that had started the kernel ended, and the kernel with it."""


class Process(NamedTuple):
    """A process: its number, when it started, in the system's ticks, and `here()` where it has that number."""

    pid: int
    ticks: int
    where: str


class Born(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which process a black box is of: the kernel's, or the one that stands for it outside of its sandbox.

    `ticks` tells it from a later one with the same `pid`, `where` is `here()` for it. `cgroup` is the folder of the memory controller, `oom_kills` its count of kills at the start. `limits` are those that the kernel was
    given, by name.
    """

    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    started: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    ticks: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    where: Annotated[str, msgspec.Meta(max_length=200)] = ""
    notebook: str = ""
    cgroup: str = ""
    oom_kills: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    limits: dict[str, Annotated[float, msgspec.Meta(ge=0, le=2**62)]] = {}


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_BORN: Final = msgspec.json.Decoder(Born)
_NAMES: Final = msgspec.json.Decoder(list[RecordedName])


@dataclass(frozen=True)
class BlackBox:
    """What one kernel had recorded. `line` is the first of the code that ran, `file` its name in tracebacks."""

    born: Born
    runs: Literal["nothing", "cell", "other"] = "nothing"
    cell_id: str = ""
    line: str = ""
    file: str = ""
    since: float = 0.0
    heard: float = 0.0
    exit_code: int = NO_EXIT
    used: int = 0
    limit: int = 0
    names: tuple[RecordedName, ...] = ()
    crash: str = ""
    killed: bool = False


def all_boxes() -> Path:
    """Return the folder of all black boxes."""
    return Path(jupyter_data_dir(), "marimo_kernel_bridge", "kernels")


def folder_of(connection_file: str | Path) -> Path:
    """Return the folder of the kernel with this connection file: a restarted kernel has the same."""
    path = os.path.realpath(connection_file)
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", kernel_id_of(Path(path)))[:_LONGEST_ID]
    return all_boxes() / f"{readable}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def read(folder: Path) -> BlackBox | None:
    """Return what a kernel has recorded; None where there is nothing, or nothing that this user alone could have written."""
    try:
        if sys.platform == "win32" or not _is_own(os.lstat(folder), stat.S_ISDIR):
            return None
        now = _content(folder / NOW, SIZE)
        if len(now) != SIZE or not now.startswith(MAGIC):
            return None
        born = _BORN.decode(now[BORN].rstrip(b"\0"))
    except (OSError, ValueError, RecursionError):
        return None
    _, runs, exit_code, since, heard, used, limit = HEAD.unpack_from(now)
    half, length = WHOLE.unpack_from(now, WHOLE_AT)
    kinds: dict[int, Literal["cell", "other"]] = {RUNS_CELL: "cell", RUNS_OTHER: "other"}
    return BlackBox(
        born,
        kinds.get(runs, "nothing"),
        _text(now[CELL]),
        _text(now[LINE]),
        _text(now[FILE]),
        _time(since),
        _time(heard),
        exit_code,
        used,
        limit,
        _names(folder, half, length, _text(now[NEW_NAMES])),
        _crash(folder),
        (folder / KILLED).exists(),
    )


def note_killing(connection_file: str | Path) -> None:
    """Note that a kernel that runs is about to be killed, because somebody asked for its end or for a restart."""
    # Code in a kernel may have put a link there, or a pipe, on which opening would wait.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):  # nothing is recorded, or it is noted already
        os.close(os.open(folder_of(connection_file) / KILLED, flags, 0o600))


def forget_killed(connection_file: str | Path) -> None:
    """Forget a kernel that was killed as noted, and is not started again."""
    folder = folder_of(connection_file)
    if (folder / KILLED).exists():
        shutil.rmtree(folder, ignore_errors=True)


def here() -> str:
    """Return a name of this machine, since it started, and of the processes that can be seen; "" where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:  # noqa: PTH123
            return f"{file.read(100).strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except (OSError, ValueError):
        return ""


def has_ended(born: Born) -> bool:
    """Return whether a kernel's process has ended, False where this process cannot know."""
    return bool(born.where) and born.where == here() and ticks_of(born.pid) != born.ticks


def this_process() -> Process:
    """Return this process. In a sandbox of processes of its own, each kernel has the same number."""
    pid = os.getpid()
    return Process(pid, ticks_of(pid), here())


def remove_old() -> None:
    """Remove what kernels have left that ended long ago, and of which none has told. Kernels in sandboxes cannot reach it."""
    with suppress(OSError):
        for folder in all_boxes().iterdir():
            box = read(folder)
            if box is not None and has_ended(box.born) and is_old(box):
                shutil.rmtree(folder, ignore_errors=True)


def is_old(box: BlackBox) -> bool:
    """Return whether a box is removed though no kernel has told of it."""
    return time.time() - max(box.heard, box.born.started) > KEPT


def is_of(born: Born, process: Process) -> bool:
    """Return whether a black box is of a process."""
    return (born.pid, born.ticks, born.where) == process


def _is_own(status: os.stat_result, kind: object) -> bool:
    of_kind: bool = kind(status.st_mode)  # type: ignore[operator]  # a function of `stat`
    return of_kind and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _content(path: Path, most: int) -> bytes:
    """Return the beginning of a file of ours. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not _is_own(os.fstat(file.fileno()), stat.S_ISREG):
            raise PermissionError(f"others can reach {path}")
        return file.read(most)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _time(seconds: float) -> float:
    return seconds if 0.0 <= seconds <= 1e12 else 0.0  # noqa: PLR2004  # as in `Born`; NaN is none


def _names(folder: Path, half: int, length: int, newer: str) -> tuple[RecordedName, ...]:
    """Return the names of cells, with those that were defined since the file was written: lines of a cell's id and a name."""
    begin = HALF * (half & 1)
    try:
        content = _content(folder / NAMES, begin + min(length, HALF))[begin:]
        named = _NAMES.decode(content) if content else []
        known = {name.name: name for name in named[:MOST_NAMES]}
    except (OSError, ValueError, RecursionError):
        known = {}
    for line in newer.split("\n"):
        cell, _, name = line.partition(" ")
        if name and name not in known:
            known[name] = RecordedName(name[:500], cell=cell[:500])
    return tuple(known.values())


def _crash(folder: Path) -> str:
    try:
        return _content(folder / CRASH, _LARGEST_CRASH).decode("utf-8", "replace")
    except OSError:
        return ""
