"""The identity of a process over the life of the machine: its id and when it started.

A process id is used again. The start is told in ticks since the machine's own start where the system counts so, which no
change of the clock moves.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

_STATE: Final = 0
_STARTED: Final = 19
"""Fields of /proc/PID/stat behind the name, which may contain anything: proc(5) counts from 1, and the name is the second."""
_ENDED: Final = frozenset("ZXx")


def started(pid: int) -> str | None:
    """Return when a process started, for comparison only; None if there is none that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].decode().split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _as_psutil_says(pid)
    if len(fields) <= _STARTED or fields[_STATE] in _ENDED:
        return None
    return f"{_boot()}:{fields[_STARTED]}"


def runs(pid: int, since: str) -> bool:
    """Return whether the process that started then still runs."""
    return started(pid) == since


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _as_psutil_says(pid: int) -> str | None:
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no types; ipykernel needs it, too

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None
