"""Who listens on a port of this machine.

A port is no proof of who is behind it: another user may listen there while our program does not run.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTENS: Final = "0A"
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def foreign_listener(address: str, port: int) -> int | None:
    """Return the id of another user who listens on a port of an address of this machine, or on that port of all addresses.

    `address` is an IP address or "localhost"; all addresses ("*", 0.0.0.0, ::) are reached by the loopback. None if there is
    no such user, or the system does not tell (all but Linux). The system's own user may listen for us: a container engine
    publishes its containers' ports.
    """
    uids = (int(uid) for uid, _ in _listening(address, port))
    return next((uid for uid in uids if uid not in {0, os.getuid()}), None)


def listens_at(pid: int, address: str, port: int) -> bool:
    """Return whether a process of this user has the socket that listens on a port of this machine: what it says of itself is no proof.

    True where the system does not tell (all but Linux).
    """
    if sys.platform != "linux":
        return True
    sockets = {f"socket:[{inode}]" for _, inode in _listening(address, port)}
    folder = f"/proc/{pid}/fd"
    try:
        for number in os.listdir(folder):  # noqa: PTH208  # a kernel may have thousands
            with suppress(OSError):  # closed meanwhile
                if os.readlink(f"{folder}/{number}") in sockets:  # noqa: PTH115  # the same
                    return True
    except OSError:  # there is no such process, or it is another user's
        pass
    return False


def _listening(address: str, port: int) -> Iterator[tuple[str, str]]:
    """Yield the user and the inode of each socket that listens there."""
    counted = _rows_of(address)
    for table in _TABLES:
        try:
            rows = table.read_text().strip().split("\n")[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, _, _, _, uid, _, inode, *_ = row.split()
            where, _, number = local.rpartition(":")
            if state == _LISTENS and int(number, 16) == port and where in counted:
                yield uid, inode


def _rows_of(address: str) -> set[str]:
    """Return how the tables write an address and those that include it."""
    if address == "localhost":
        return _rows_of("127.0.0.1") | _rows_of("::1")
    ip = ipaddress.ip_address("0.0.0.0" if address == "*" else address)  # noqa: S104  # nothing is bound
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")  # noqa: PLR2004  # IPv4
    including = [ip, *map(ipaddress.ip_address, ("0.0.0.0", "::", "::ffff:0.0.0.0"))]  # noqa: S104
    if ip.version == 4:  # noqa: PLR2004  # a socket of IPv6 takes IPv4 as well
        including.append(ipaddress.ip_address(f"::ffff:{ip}"))
    return {_row_of(each.packed) for each in including}


def _row_of(packed: bytes) -> str:
    """Return an address as the kernel prints it: words of four bytes, each as a number of this machine."""
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
