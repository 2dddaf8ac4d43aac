"""Namespaces of a kernel's own: user, mounts, network and System V's memory, entered by the process itself.

Needs a process with one thread. A system may refuse them to users; then `enter` says so, and nothing has changed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.sandbox.system_calls import call, checked, control_process, libc

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOUNTS, _IPC, _USER, _PROCESSES, _NETWORK = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_PRIVATE, _RECURSIVE, _BIND = 1 << 18, 1 << 14, 1 << 12
_READ_ONLY_FILES, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_DETACHED: Final = 2
_HERE, _WHOLE_TREE, _READ_ONLY = -100, 0x8000, 1  # AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY
_CLONE, _NO_FOLLOW, _THE_TREE = 1, 0x100, 4  # OPEN_TREE_CLONE, AT_SYMLINK_NOFOLLOW, MOVE_MOUNT_F_EMPTY_PATH
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_BOUNDING_DROP, _AMBIENT, _AMBIENT_CLEAR = 24, 47, 4
_CAPABILITIES_VERSION: Final = 0x20080522
_MOST_CAPABILITIES: Final = 64
_EMPTY_IN_PROC: Final = frozenset({"/proc/sys/fs/binfmt_misc"})
_OF_THE_KERNEL: Final = (
    *(
        "kcore",
        "kallsyms",
        "keys",
        "key-users",
        "kmsg",
        "modules",
        "sched_debug",
        "slabinfo",
        "sysrq-trigger",
    ),
    *(
        "timer_list",
        "vmallocinfo",
        "kpagecgroup",
        "kpagecount",
        "kpageflags",
        "latency_stats",
        "iomem",
        "ioports",
    ),
)


def enter(*, own_network: bool, own_processes: bool) -> None:
    """Enter namespaces of this process's own; its own network has a loopback and nothing else. Raises `OSError`.

    With `own_processes`, the next process that it forks is the first of a namespace.
    """
    user, group = os.getuid(), os.getgid()
    more = (_NETWORK if own_network else 0) | (_PROCESSES if own_processes else 0)
    call("unshare", _USER | _MOUNTS | _IPC | more)
    # The same ids inside: files keep their owners.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)
    checked("mount", libc().mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None))
    if own_network:
        _raise_loopback()


def make_read_only(writable: Iterable[str], steps: Iterable[str], within: Iterable[str]) -> None:
    """Let nothing be written but in some folders, and in them not `within` others; `steps` lie between, and keep their names.

    Landlock does not look at `chmod`, `chown`, `utime` and `setxattr`; a file system that is read-only refuses them, too.
    Raises `OSError`.
    """
    places = [os.fsencode(place) for place in writable]
    for place in places:
        _bind(place)
    _set_read_only(b"/", whole_tree=True)
    for place in places:
        try:
            _set_read_only(place, whole_tree=True, read_only=False)
        except PermissionError:  # something is mounted in it that was read-only before
            _set_read_only(place, whole_tree=False, read_only=False)
    for place in map(os.fsencode, steps):
        _bind(place)
    for place in map(os.fsencode, within):
        _bind(place)
        _set_read_only(place, whole_tree=True)


def hold_link(place: str, said: str) -> None:
    """Let a symbolic link be neither removed nor renamed: it becomes a mount point itself, not what it leads to. Raises `OSError`."""
    tree = call("open_tree", _HERE, os.fsencode(place), _CLONE | _NO_FOLLOW)
    try:
        call("move_mount", tree, b"", _HERE, os.fsencode(place), _THE_TREE)
    finally:
        os.close(tree)
    if os.readlink(place) != said:  # noqa: PTH115
        raise OSError(errno.ESTALE, f"{place} was replaced meanwhile")


def processes_can_be_shown(mounts: str | None = None) -> bool:
    """Return whether users may mount a /proc of their own: not where something hides a part of this one, as in many containers.

    `mounts` is /proc/self/mountinfo.
    """
    if mounts is None:
        mounts = Path("/proc/self/mountinfo").read_text()
    places = [line.split()[4] for line in mounts.split("\n") if line]
    return not any(place.startswith("/proc/") and place not in _EMPTY_IN_PROC for place in places)


def show_own_processes() -> None:
    """Mount a /proc of this process's own namespace, without what it says of the machine's kernel. Raises `OSError`."""
    flags = ctypes.c_ulong(_READ_ONLY_FILES | _NO_SUID | _NO_DEVICES | _NO_PROGRAMS)
    checked("mount at /proc", libc().mount(b"proc", b"/proc", b"proc", flags, None))
    for name in _OF_THE_KERNEL:
        place = os.fsencode(f"/proc/{name}")
        if os.path.isfile(place):  # noqa: PTH113
            bound = libc().mount(b"/dev/null", place, None, ctypes.c_ulong(_BIND), None)
            checked(f"mount at /proc/{name}", bound)


def unmount(place: str) -> None:
    """Take a mount away, whoever uses it. Raises `OSError`."""
    checked(f"umount {place}", libc().umount2(os.fsencode(place), _DETACHED))


def own_terminals() -> None:
    """Have terminals of this process's own alone: no other can be read or written. Raises `OSError`."""
    if not os.path.isdir("/dev/pts"):  # noqa: PTH112
        return
    options = b"newinstance,ptmxmode=0666,mode=0600"
    flags = ctypes.c_ulong(_NO_SUID)
    checked("mount at /dev/pts", libc().mount(b"devpts", b"/dev/pts", b"devpts", flags, options))
    if not os.path.islink("/dev/ptmx"):  # noqa: PTH114
        bound = libc().mount(b"/dev/pts/ptmx", b"/dev/ptmx", None, ctypes.c_ulong(_BIND), None)
        checked("mount at /dev/ptmx", bound)


def mount_temporary(place: str, size: int) -> None:
    """Put an empty file system in memory at a folder; it ends with the last process that sees it. Raises `OSError`."""
    options = f"mode=0700,size={size}"
    flags = ctypes.c_ulong(_NO_SUID | _NO_DEVICES)
    checked(
        f"mount at {place}", libc().mount(b"tmpfs", os.fsencode(place), b"tmpfs", flags, options.encode())
    )


def drop_capabilities() -> None:
    """Take all capabilities from this process and from whatever it executes, also as root. Raises `OSError`."""
    for capability in range(_MOST_CAPABILITIES):
        try:
            control_process(_BOUNDING_DROP, capability)
        except OSError:  # the kernel has no more
            break
    control_process(_AMBIENT, _AMBIENT_CLEAR)
    header = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    checked("capset", libc().capset(header, struct.pack("6I", *[0] * 6)))


def _bind(place: bytes) -> None:
    """Make a mount of a folder or file, at its own place."""
    checked("mount", libc().mount(place, place, None, ctypes.c_ulong(_BIND | _RECURSIVE), None))


def _set_read_only(place: bytes, *, whole_tree: bool, read_only: bool = True) -> None:
    attributes = struct.pack("QQQQ", *((_READ_ONLY, 0) if read_only else (0, _READ_ONLY)), 0, 0)
    call("mount_setattr", _HERE, place, _WHOLE_TREE if whole_tree else 0, attributes, len(attributes))


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, _GET_FLAGS, request))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14s", b"lo", flags | _UP, b""))
