"""Who listens on a port of this machine.

A port is no proof of who is behind it: another user may listen there while our program does not run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def foreign_listener(port: int) -> int | None:
    """Return the id of another user who listens on a port, None if none does or the system does not tell (all but Linux).

    The system's own user may listen for us: a container engine publishes its containers' ports.
    """
    for table in _TABLES:
        try:
            rows = table.read_text().strip().split("\n")[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, _, _, _, uid, *_ = row.split()
            if (
                state == _LISTENS
                and int(local.rpartition(":")[2], 16) == port
                and int(uid) not in {0, os.getuid()}
            ):
                return int(uid)
    return None
