"""Landlock: files that this process and its children may open, and processes that they may signal, for good.

Rules are paths with rights; whatever no rule gives is refused. A descriptor that is open already is not affected. Holds for
the calling thread and what it starts, so that it is called before there is another.
"""

from __future__ import annotations

import enum
import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.sandbox.system_calls import call, control_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEEDED: Final = 6
"""The version that keeps signals and abstract Unix sockets inside: Linux 6.12."""
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_SCOPES: Final = 1 | 2  # abstract Unix sockets, signals
_CONNECT_TCP: Final = 2
_PORT: Final = 2
_NO_NEW_PRIVILEGES: Final = 38


class Rights(enum.IntFlag):
    """LANDLOCK_ACCESS_FS_*, in the order of the kernel's bits."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


ALL: Final = Rights((1 << 16) - 1)
READ: Final = Rights.EXECUTE | Rights.READ_FILE | Rights.READ_DIR
WRITE: Final = ALL & ~(Rights.MAKE_CHAR | Rights.MAKE_BLOCK | Rights.IOCTL_DEV)
DEVICE: Final = Rights.READ_FILE | Rights.WRITE_FILE | Rights.IOCTL_DEV
_OF_FILES: Final = Rights.EXECUTE | Rights.WRITE_FILE | Rights.READ_FILE | Rights.TRUNCATE | Rights.IOCTL_DEV


def version() -> int:
    """Return the version of Landlock, 0 if this system has none."""
    try:
        return call("landlock_create_ruleset", None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(rules: Mapping[str, Rights], ports: Iterable[int] | None = None) -> None:
    """Let this process open what the rules name, and nothing else; and connect by TCP to some ports only, if they are given.

    A path that does not exist is left out: nothing is there to be opened. Raises `OSError`.
    """
    _restrict(ALL, rules, ports)


def restrict_connections(ports: Iterable[int]) -> None:
    """Let this process connect by TCP to some ports only. Raises `OSError`."""
    _restrict(Rights(0), {}, ports)


def _restrict(handled: Rights, rules: Mapping[str, Rights], ports: Iterable[int] | None) -> None:
    attributes = struct.pack("QQQ", handled, 0 if ports is None else _CONNECT_TCP, _SCOPES if handled else 0)
    ruleset = call("landlock_create_ruleset", attributes, len(attributes) if handled else 16, 0)
    try:
        for path, rights in rules.items():
            _add(ruleset, path, rights)
        for port in ports or ():
            call("landlock_add_rule", ruleset, _PORT, struct.pack("QQ", _CONNECT_TCP, port), 0)
        no_new_privileges()
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def no_new_privileges() -> None:
    """Let no program that is executed from now on gain rights by its file: setuid, capabilities of files."""
    control_process(_NO_NEW_PRIVILEGES, 1)


def existing(paths: Iterable[str], rights: Rights) -> dict[str, Rights]:
    """Return rules that give the same rights to several paths."""
    return dict.fromkeys(paths, rights)


def _add(ruleset: int, path: str, rights: Rights) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        call("landlock_add_rule", ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
