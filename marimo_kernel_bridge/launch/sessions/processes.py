"""The identity of a process over the life of the machine: its id and when it started.

A process id is used again. The start is told in ticks since the machine's own start where the system counts so, which no
change of the clock moves.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from marimo_kernel_bridge.protocol.process_births import ticks_of


def started(pid: int) -> str | None:
    """Return when a process started, for comparison only; None if there is none that runs."""
    if ticks := ticks_of(pid):
        return f"{_boot()}:{ticks}"
    return None if Path("/proc/self/stat").exists() else _as_psutil_says(pid)


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
