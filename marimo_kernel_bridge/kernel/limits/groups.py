"""Control groups for this kernel alone, in which the system counts its processes and threads, and the memory of all of them.

Made where the kernel's own group, or one above, is this user's (a container, `systemd-run --user --scope -p Delegate=yes`), in
version 1 and 2. They are empty when the kernel has ended, and the next kernel removes them.
"""

from __future__ import annotations

import os
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT: Final = "/sys/fs/cgroup"
_PREFIX: Final = "marimo-kernel-"
_KEPT: Final = 24 * 3600.0
"""Seconds after which the group of a kernel that was killed for its memory is removed."""
_FILES: Final = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}
"""The files of limits by controller, in version 1 and in version 2."""


def join(processes: int | None, memory: int | None, described: str | None = None, root: str = _ROOT) -> bool:
    """Move this process into groups of its own with at most so many processes and threads, and so many bytes; None: any number.

    Returns whether the number of processes is held, if it was asked for. That of bytes is held where it can be: each process has a limit of
    its own besides. `described` is `/proc/self/cgroup`.
    """
    both = {"pids": processes, "memory": memory}
    left = {name: most for name, most in both.items() if most is not None}
    for parent, controllers, version in _parents(described, root):
        here = {name: most for name, most in left.items() if name in controllers}
        # In version 2 a process is in one group for all: in one that counts its processes, if that is asked for.
        useful = here and (version == 1 or "pids" in here or "pids" not in left)
        if useful and _joined(parent, {_FILES[name][version - 1]: most for name, most in here.items()}):
            left = {name: most for name, most in left.items() if name not in here}
            if version > 1:
                break
    return "pids" not in left


def may_be_made(described: str | None = None, root: str = _ROOT) -> bool:
    """Return whether a group for processes can be made, by making one for a moment: what root may do is not in the modes of folders."""
    for parent, controllers, _ in _parents(described, root):
        probe = parent / f"{_PREFIX}{os.getpid()}-probe"
        with suppress(OSError):
            if "pids" in controllers:
                probe.mkdir()
                probe.rmdir()
                return True
    return False


def _parents(described: str | None, root: str) -> Iterator[tuple[Path, frozenset[str], int]]:
    """Yield the groups in which one could be made, with the controllers that it would have, and the version."""
    if described is None:
        described = _text(Path("/proc/self/cgroup"))
    lines = [line.split(":", 2) for line in described.split("\n") if line.count(":") > 1]
    for _, controllers, path in lines:
        for name in _FILES:
            if name in controllers.split(","):
                yield Path(f"{root}/{name}{os.path.normpath(path)}"), frozenset({name}), 1
    for _, controllers, path in lines:
        place = Path(f"{root}{os.path.normpath(path)}") if not controllers else None
        while place is not None and (place == Path(root) or Path(root) in place.parents):
            # A group that has processes lets its children have no controllers, but one above may.
            given = frozenset(_text(place / "cgroup.subtree_control").split()) & _FILES.keys()
            if given:
                yield place, given, 2
            place = place.parent


def _joined(parent: Path, limits: Mapping[str, int]) -> bool:
    _remove_empty(parent)
    own = parent / f"{_PREFIX}{os.getpid()}"
    with suppress(OSError):
        own.rmdir()  # of a process that had the same id
    try:
        own.mkdir()
        for file, most in limits.items():
            with suppress(OSError) if file != "pids.max" else nullcontext():
                (own / file).write_text(str(most))
        (own / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with suppress(OSError):
            own.rmdir()
        return False
    return True


def _remove_empty(parent: Path) -> None:
    """Remove the groups of kernels that have ended. One with processes cannot be removed."""
    with suppress(OSError):
        for old in parent.iterdir():
            pid = old.name.removeprefix(_PREFIX)
            if old.name.startswith(_PREFIX) and pid.isdecimal() and not Path("/proc", pid).exists():
                with suppress(OSError):
                    # The next kernel looks there for why the one before has died.
                    if time.time() - old.stat().st_mtime > _KEPT or not cgroups.oom_kills(str(old)):
                        old.rmdir()


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(100_000)
    except (OSError, ValueError):
        return ""
