"""When a process started, which a later process of its number does not share."""

from __future__ import annotations


def ticks_of(pid: int) -> int:
    """Return when a process started, in the system's ticks; 0 if there is none, or this system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # for each kernel at a start
            fields = file.read(4096).rpartition(b")")[2].split()
        return 0 if fields[0] in {b"Z", b"X", b"x"} else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
