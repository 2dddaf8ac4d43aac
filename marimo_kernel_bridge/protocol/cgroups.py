"""The memory controller that a process is in, of version 1 and 2: its limit, and how many processes it has killed.

Linux only: elsewhere no limit is known.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_ROOT: Final = "/sys/fs/cgroup"
_LONGEST: Final = 4096
_ANY: Final = 1 << 60
"""Bytes from which on a limit is none: version 1 says how much a register can hold."""


def own_folder(described: str | None = None, root: str = _ROOT) -> str:
    """Return the folder of this process's memory controller, "" if there is none. `described` is `/proc/self/cgroup`."""
    if described is None:
        described = _text("/proc/self/cgroup")
    lines = [line.split(":", 2) for line in described.split("\n") if line.count(":") > 1]
    ways = [f"{root}/memory{path}" for _, controllers, path in lines if "memory" in controllers.split(",")]
    ways += [f"{root}{path}" for _, controllers, path in lines if not controllers]
    # In a container the path is that outside, and the root of what is mounted is the container's own.
    ways += [f"{root}/memory", root]
    for way in ways:
        if os.path.exists(f"{way}/memory.oom_control") or os.path.exists(f"{way}/memory.events"):  # noqa: PTH110
            return os.path.normpath(way)
    return ""


def limit(folder: str, root: str = _ROOT) -> int:
    """Return how many bytes the processes of a controller, and of those above it, may use; 0: as many as there are."""
    found: list[int] = []
    while _is_below(folder, root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(f"{folder}/{name}").strip()
            if text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) < _ANY:  # noqa: PLR2004  # digits of 64 bits
                found.append(int(text))
        folder = os.path.dirname(folder)  # noqa: PTH120
    return min(found, default=0)


def used(folder: str, root: str = _ROOT) -> int:
    """Return how many bytes of memory the processes of a controller use that cannot be taken from them, 0 if unknown."""
    if not _is_below(folder, root):
        return 0
    fields = dict(line.split(" ", 1) for line in _text(f"{folder}/memory.stat").split("\n") if " " in line)
    number = fields.get("anon", fields.get("total_rss", "0"))
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 20 else 0  # noqa: PLR2004


def oom_kills(folder: str, root: str = _ROOT) -> int:
    """Return how many processes were killed for want of memory, 0 if unknown. A folder elsewhere is not looked at."""
    if not _is_below(folder, root):
        return 0
    for name in ("memory.events", "memory.oom_control"):
        for line in _text(f"{folder}/{name}").split("\n"):
            kind, _, number = line.partition(" ")
            if kind == "oom_kill" and number.isascii() and number.isdecimal() and len(number) < 20:  # noqa: PLR2004
                return int(number)
    return 0


def _is_below(folder: str, root: str) -> bool:
    return folder == os.path.normpath(folder) and (folder == root or folder.startswith(f"{root}/"))


def _text(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST)
    except (OSError, ValueError):
        return ""
