"""The guard of memory: an error in place of a kill where a limit is known, and a warning before either.

A limit is that of the control group, or the one that the kernel was given. Under it the kernel may allocate up to 92 %:
then Python raises `MemoryError`, the cell fails and the kernel lives. At 90 % it is nearly full: `recording` interrupts the
cell if the person wants that, and automatic checkpoints are written first. Without a limit nothing is touched, but that a
kernel in a sandbox gets that error for what the whole machine does not have. Linux only.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel.versions.value_copies import size_of
from marimo_kernel_bridge.protocol import cgroups
from marimo_kernel_bridge.protocol.deaths import gigabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAY_USE: Final = 0.92
NEARLY_FULL_AT: Final = 0.90
WARNS_AT: Final = 0.75
_GROWN_BY: Final = 0.01
"""Of the limit: what a cell takes is more than what the kernel needs to run it."""
_MAY_BE_SOON: Final = 0.5
"""From here on a cell may use up the rest within a second."""
WARNS_BELOW: Final = 0.10
"""Of the machine's memory, where there is no limit."""
_LARGEST: Final = 5
_WORTH_TELLING: Final = 1_000_000  # bytes
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def known_limit(given: int, of_group: int, installed: int) -> int:
    """Return the lowest limit in bytes, 0 if there is none below what is installed."""
    limits = [limit for limit in (given, of_group) if limit > 0 and (not installed or limit < installed)]
    return min(limits, default=0)


def most_data(limit: int, mapped: int, resident: int) -> int:
    """Return the limit of the process's private memory.

    That counts what is reserved and was never touched, such as the stacks of threads: the process has that besides. At
    least a quarter of the limit may still be reserved.
    """
    return max(int(limit * MAY_USE) + max(0, mapped - resident), mapped + limit // 4)


def warning(used: int, limit: int, available: int, installed: int, largest: Iterable[tuple[str, int]]) -> str:
    """Return a sentence if memory is short, else ""."""
    if limit and used >= WARNS_AT * limit:
        how = f"{gigabytes(used)} of {gigabytes(limit)} of memory are in use"
    elif not limit and installed and available < WARNS_BELOW * installed:
        how = f"only {gigabytes(available)} of this machine's {gigabytes(installed)} of memory are left"
    else:
        return ""
    names = ", ".join(f"`{name}` {gigabytes(size)}" for name, size in largest)
    return (
        f"memory: {how}" + (f"; the largest: {names}" if names else "") + ". `del` frees what no cell needs."
    )


def interrupting(used: int, limit: int) -> str:
    """Return the sentence with which a cell is interrupted."""
    return (
        f"memory: {gigabytes(used)} of {gigabytes(limit)} are in use; the cell is interrupted (memory_guard)."
    )


def largest_names(names: Mapping[str, object]) -> list[tuple[str, int]]:
    """Return the five names with the largest values, and their sizes without what only they refer to. Any thread."""
    sizes: list[tuple[str, int]] = []
    for name, value in list(names.items()):
        if type(name) is str and not name.startswith("_"):
            try:
                size = size_of([value], deep=False)
            except Exception:  # noqa: BLE001, S112  # a value of whatever class, which a cell may be changing
                continue
            sizes += [(name, size)] if size >= _WORTH_TELLING else []
    return sorted(sizes, key=lambda pair: -pair[1])[:_LARGEST]


class MemoryGuard:
    """Looks at the memory in use. `protect` on the main thread; `look` on any."""

    def __init__(self, given: int, *, hard: bool = False, bounded: bool = False) -> None:
        """`given` is a limit in bytes, 0: none; `hard`: one that no code may raise. `bounded`: without one, what the machine has is the most."""
        self._group = cgroups.own_folder()
        self.installed, _ = _machine()
        self._swap = _swap() if bounded else 0
        of_group = cgroups.limit(self._group)
        self.limit = known_limit(given, of_group, self.installed) or (given if hard else 0)
        self._bounded = bounded
        self._to_be_hard = hard
        self._whole_group = self.limit == of_group != 0

    @property
    def _most(self) -> int:
        """How much is to be had, in bytes; 0: nobody says."""
        return self.limit or (self.installed + self._swap if self._bounded else 0)

    def protect(self) -> None:
        """Let allocations fail near the limit, before the process is killed for one."""
        if not self._most:
            return
        import resource  # noqa: PLC0415  # not on Windows

        mapped, resident = _own()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = most_data(self._most, mapped, resident)
        if self._to_be_hard:
            self._to_be_hard = False
            highest = max(self.limit + max(0, mapped - resident), soft)
            hard = highest if hard == resource.RLIM_INFINITY else min(hard, highest)
            resource.setrlimit(resource.RLIMIT_DATA, (min(soft, hard), hard))
        elif mapped and (hard == resource.RLIM_INFINITY or soft < hard):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Let files of so many bytes be mapped, which count as private memory; afterwards, as many as are mapped."""
        if self._most:
            import resource  # noqa: PLC0415  # not on Windows

            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            if soft != resource.RLIM_INFINITY:
                more = soft + size if hard == resource.RLIM_INFINITY else min(soft + size, hard)
                resource.setrlimit(resource.RLIMIT_DATA, (more, hard))
        try:
            yield
        finally:
            self.protect()

    def is_nearly_full(self, used: int) -> bool:
        """Return whether so much of a known limit is in use that the next allocation may fail."""
        return 0 < self.limit * NEARLY_FULL_AT <= used

    def has_grown(self, before: int, used: int) -> bool:
        """Return whether notably more of a known limit is in use than before."""
        return used - before >= self.limit * _GROWN_BY

    def may_be_full_soon(self, used: int) -> bool:
        """Return whether so much of a known limit is in use that a look each second may come too late."""
        return 0 < self.limit * _MAY_BE_SOON <= used

    def look(self) -> tuple[int, int]:
        """Return how much memory is in use, by all processes that share the limit, and what the machine has left."""
        used = cgroups.used(self._group) if self._whole_group else 0
        return used or _own()[1], 0 if self.limit else _machine()[1]


def _own() -> tuple[int, int]:
    """Return this process's private memory, mapped and resident, in bytes."""
    try:
        fields = Path("/proc/self/statm").read_bytes().split()
        return int(fields[5]) * _PAGE, (int(fields[1]) - int(fields[2])) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0, 0


def _machine() -> tuple[int, int]:
    """Return the memory of this machine, and how much of it is available, in bytes."""
    fields = _memory_information()
    both = "MemTotal" in fields and "MemAvailable" in fields
    return (fields["MemTotal"], fields["MemAvailable"]) if both else (0, 0)


def _swap() -> int:
    """Return how much this machine can swap out, in bytes."""
    return _memory_information().get("SwapTotal", 0)


def _memory_information() -> dict[str, int]:
    """Return what Linux tells of the machine's memory, in bytes by name."""
    try:
        lines = Path("/proc/meminfo").read_text().split("\n")
        return {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    except (OSError, ValueError, IndexError):
        return {}
