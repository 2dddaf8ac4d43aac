"""The limits that the system holds this process to, and all that it starts. What it cannot hold is refused before anything is set.

The limit of memory is set by the guard of memory, as soon as it knows what the kernel has reserved; those of time by `watch`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.limits import groups
from marimo_kernel_bridge.protocol.bounds import MOST_PROCESSES, Limits

if TYPE_CHECKING:
    from collections.abc import Container

CPU_GRACE: Final = 30
"""Seconds of CPU time from the end of what a kernel may use to its end: to read what there is, and to save it."""
_BY_ITSELF: Final = frozenset({"cell_seconds", "grace_seconds", "idle_seconds"})
_UID_MAP: Final = "/proc/self/uid_map"
_COUNTS_BY_NAMESPACE: Final = (5, 14)
"""The version of Linux from which on processes are counted by user namespace."""
_HINT: Final = "docs/limits.md has a table of what holds which limit."


def hold(
    limits: Limits, *, held: Container[str] = frozenset(), own_users: bool = False, grouped: bool = False
) -> None:
    """Set limits for this process. Raises `BridgeError`: limit_unavailable.

    `held` are those that are held already; `own_users`: it has a user namespace of its own; `grouped`: it is in control groups, or cannot
    join one any more.
    """
    asked = {name for name in limits.given() if name not in held} - _BY_ITSELF
    counted = own_users and counts_alone()
    for name in sorted(asked):
        if why := _why_not(name, counted=counted):
            raise BridgeError(
                "limit_unavailable",
                f"The limit {name} cannot be held here: {why}; nothing was started.",
                _HINT,
            )
    counts = "processes" in asked and not counted
    if not (not counts if grouped else _grouped(limits, processes=counts)):
        raise _not_counted()
    _set(limits, {name for name in asked if name != "processes" or counted})


def hold_outside(limits: Limits) -> frozenset[str]:
    """Hold this process to what it cannot set any more in a sandbox of namespaces; return the names of these limits.

    Raises `BridgeError`: limit_unavailable. In the sandbox nobody would hear it.
    """
    counts = limits.processes is not None and not counts_alone()
    if not _grouped(limits, processes=counts):
        raise _not_counted()
    return frozenset({"processes"}) if counts else frozenset()


def _grouped(limits: Limits, *, processes: bool) -> bool:
    """Move this process into groups of its own, for its processes and its memory; return whether the processes are held, if they are to be."""
    number = limits.processes if processes else None
    return (number is None and limits.memory is None) or groups.join(number, limits.memory)


def no_cores() -> None:
    """Let no process leave its memory in a file when it crashes."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def most_processes() -> None:
    """Hold a sandbox that was given no limit of processes to one that nobody notices, where the system counts its alone."""
    if counts_alone():
        _set(Limits(processes=MOST_PROCESSES), {"processes"})


def _not_counted() -> BridgeError:
    return BridgeError(
        "limit_unavailable",
        "The limit processes cannot be held here: no control group can be made, and without one the system counts "
        "all processes of the user, and root's not at all; nothing was started.",
        _HINT,
    )


def held_here() -> dict[str, bool]:
    """Return which limits this system holds a kernel without a sandbox to."""
    names = [name for name in Limits.__struct_fields__ if name not in _BY_ITSELF]
    held = {name: not _why_not(name, counted=False) for name in names}
    return held | {"processes": held["processes"] and groups.may_be_made(), "cell_seconds": True}


def _why_not(name: str, *, counted: bool) -> str:
    """Return why this system does not hold a limit, "" if it may."""
    if sys.platform == "win32":
        return "Windows has no such limit"
    if name == "temporary":
        return "only a sandbox with a file system of its own holds it"
    if name == "memory" and sys.platform != "linux":
        return "only Linux holds it"
    if name == "processes" and sys.platform != "linux" and not counted:
        return "the system counts all processes of the user"
    return ""


def counts_alone() -> bool:
    """Return whether the system, in a user namespace of this process's own, counts its processes and holds it to a number.

    It never does for the user that is root outside.
    """
    try:
        version = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
        with open(_UID_MAP, encoding="ascii") as file:  # noqa: PTH123  # before pathlib is needed
            rows = [line.split() for line in file.read(10_000).split("\n") if line]
    except (OSError, ValueError, AttributeError):
        return False
    uid = os.getuid()
    outside = next(
        (
            int(there) + uid - int(here)
            for here, there, many in rows
            if int(here) <= uid < int(here) + int(many)
        ),
        0,
    )
    return version >= _COUNTS_BY_NAMESPACE and outside != 0


def _set(limits: Limits, names: Container[str]) -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # not on Windows

    def most(which: int, soft: int, more: int = 0) -> None:
        _, hard = resource.getrlimit(which)
        highest = soft + more if hard == resource.RLIM_INFINITY else min(hard, soft + more)
        resource.setrlimit(which, (min(soft, highest), highest))

    if limits.cpu_seconds is not None and "cpu_seconds" in names:
        most(resource.RLIMIT_CPU, int(limits.cpu_seconds), CPU_GRACE)
    if limits.open_files is not None and "open_files" in names:
        most(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.file_size is not None and "file_size" in names:
        most(resource.RLIMIT_FSIZE, limits.file_size)
    if limits.processes is not None and "processes" in names:
        most(resource.RLIMIT_NPROC, limits.processes)
