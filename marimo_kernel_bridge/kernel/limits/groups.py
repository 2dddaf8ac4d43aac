"""A control group for this kernel alone, in which the system counts its processes and threads.

Made where the kernel's own group, or one above, is this user's (a container, `systemd-run --user --scope -p Delegate=yes`), in
version 1 and 2. It is empty when the kernel has ended, and the next kernel removes it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = "/sys/fs/cgroup"
_PREFIX: Final = "marimo-kernel-"


def join(most: int, described: str | None = None, root: str = _ROOT) -> bool:
    """Move this process into a group of its own, with at most so many processes and threads; return whether that is done.

    `described` is `/proc/self/cgroup`.
    """
    return any(_joined(parent, most) for parent in _parents(described, root))


def may_be_made(described: str | None = None, root: str = _ROOT) -> bool:
    """Return whether such a group can be made, by making one for a moment: what root may do is not in the modes of folders."""
    for parent in _parents(described, root):
        probe = parent / f"{_PREFIX}{os.getpid()}-probe"
        with suppress(OSError):
            probe.mkdir()
            probe.rmdir()
            return True
    return False


def _parents(described: str | None, root: str) -> Iterator[Path]:
    """Yield the groups in which one could be made."""
    if described is None:
        described = _text(Path("/proc/self/cgroup"))
    lines = [line.split(":", 2) for line in described.split("\n") if line.count(":") > 1]
    for _, controllers, path in lines:
        if "pids" in controllers.split(","):
            yield Path(f"{root}/pids{os.path.normpath(path)}")
    for _, controllers, path in lines:
        place = Path(f"{root}{os.path.normpath(path)}") if not controllers else None
        while place is not None and (place == Path(root) or Path(root) in place.parents):
            # A group that has processes lets its children have no controllers, but one above may.
            if "pids" in _text(place / "cgroup.subtree_control").split():
                yield place
            place = place.parent


def _joined(parent: Path, most: int) -> bool:
    _remove_empty(parent)
    own = parent / f"{_PREFIX}{os.getpid()}"
    try:
        own.mkdir()
        (own / "pids.max").write_text(str(most))
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
                    old.rmdir()


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(100_000)
    except (OSError, ValueError):
        return ""
