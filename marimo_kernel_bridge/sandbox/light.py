"""The engine `light`: this process leaves the person's network, files, signals and environment, and becomes the kernel.

Needs no program: namespaces, a read-only view of the file system, Landlock, a filter of system calls. It has one thread when
it does that: a new interpreter, or the forked child of a pool. Nothing of it can be taken back.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import environment, landlock, namespaces, seccomp
from marimo_kernel_bridge.sandbox.files import DEVICES, steps
from marimo_kernel_bridge.sandbox.landlock import DEVICE, READ, WRITE
from marimo_kernel_bridge.sandbox.streams import leave_streams
from marimo_kernel_bridge.sandbox.system_calls import machine

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.bounds import Sandbox
    from marimo_kernel_bridge.sandbox.files import Access
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
    from marimo_kernel_bridge.sandbox.proxy import Outside

_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108
_SETTINGS: Final = (
    # What the system says where users may have no namespaces: the file, and what it says then.
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
)


def missing() -> str:
    """Return what this system lacks for the engine, "" if nothing. What it forbids to this user shows when it is entered."""
    if sys.platform != "linux":
        return "it needs Linux"
    try:
        machine()
    except BridgeError as error:
        return error.message
    found = landlock.version()
    if found < landlock.NEEDED:
        return f"it needs Landlock {landlock.NEEDED} (Linux 6.12), and this system has {found or 'none'}"
    return ""


def enter(
    sandbox: Sandbox,
    own: OwnPlaces,
    files: Access,
    folder: str,
    temporary: int,
    *,
    connects: bool,
    proxy: Outside | None,
) -> None:
    """Confine this process. `proxy`: what connects for it to the hosts of a list.

    `temporary` is the size of all file systems in memory; `connects`: code may connect by TCP, which is to its own loopback alone where it has no network.

    Raises `BridgeError`: sandbox_unavailable; the process is of no use then, and ends.
    """
    fonts = environment.fonts()
    isolated = sandbox.network != "all"
    try:
        namespaces.enter(own_network=isolated)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable",
            f"The system refuses namespaces to this user ({_why(error)}); nothing was started.",
            "The administrator can allow user namespaces.",
        ) from error
    try:
        proxied = {}
        if proxy is not None:
            from marimo_kernel_bridge.sandbox.proxy import listen_inside  # noqa: PLC0415  # lists of hosts only

            proxied = listen_inside(proxy)
        namespaces.make_read_only(files.writable, steps(files.kept, files.writable), files.kept)
        namespaces.own_terminals()
        namespaces.mount_temporary(own.home, temporary * 3 // 4)
        if os.path.isdir(_SHARED_MEMORY):  # noqa: PTH112
            namespaces.mount_temporary(os.path.realpath(_SHARED_MEMORY), temporary // 4)
        environment.furnish(own.home, fonts)
        leave_streams()
        environment.apply(environment.inside(own, home=sandbox.files != "read") | proxied)
        os.chdir(own.home if sandbox.files == "none" else folder)
        namespaces.drop_capabilities()
        ports = () if proxy is None else (proxy.port,)
        landlock.restrict(_rules(own, files), None if connects else ports)
        _require_writable(files)
        seccomp.confine(own_ipc=True)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable",
            f"The sandbox cannot be entered here: {error}; nothing was started.",
        ) from error


def _require_writable(files: Access) -> None:
    """Check that what has become writable are the folders that were looked at. Raises `OSError`.

    Each was named once to make it writable: had something else been at its path then, it would not be writable now.
    """
    for place in files.looked_at:
        opened = os.open(place.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(opened)
            same = (status.st_dev, status.st_ino) == (place.device, place.number)
            if not same or os.fstatvfs(opened).f_flag & os.ST_RDONLY:
                raise OSError(errno.ESTALE, f"{place.path} was replaced meanwhile")
            if stat.S_ISDIR(status.st_mode) and os.access(".", os.W_OK, dir_fd=opened):
                name = f".{secrets.token_hex(8)}"
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=opened))
                os.unlink(name, dir_fd=opened)  # in the folder that was opened
        finally:
            os.close(opened)


def _rules(own: OwnPlaces, files: Access) -> dict[str, landlock.Rights]:
    rules = landlock.existing(files.readable, READ)
    rules |= landlock.existing(DEVICES, DEVICE)
    rules |= landlock.existing((*files.writable, own.home, os.path.realpath(_SHARED_MEMORY)), WRITE)
    return rules


def _why(error: OSError) -> str:
    for path, value in _SETTINGS:
        try:
            if Path(path).read_text().strip() == value:
                return f"{path} is {value}"
        except OSError:
            continue
    if error.errno == errno.EINVAL:
        return "the process has more than one thread"
    return error.strerror or str(error)
