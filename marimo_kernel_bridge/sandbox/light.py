"""The engine `light`: a fork of this process leaves the person's network, files, processes and environment, and becomes the kernel.

Needs no program: namespaces, a read-only view of the file system, Landlock, a filter of system calls. This process has one thread when
it does that: a new interpreter, or the forked child of a pool. Nothing of it can be taken back. Two small processes stay with the kernel:
this one, which whoever started it knows, and the first of the kernel's own processes.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import environment, landlock, namespaces, seccomp
from marimo_kernel_bridge.sandbox.files import DEVICES
from marimo_kernel_bridge.sandbox.first_process import fork_kernel
from marimo_kernel_bridge.sandbox.landlock import DEVICE, READ, WRITE
from marimo_kernel_bridge.sandbox.streams import close_all_but, errors_told, leave_streams, opened_here
from marimo_kernel_bridge.sandbox.supervising import end_with, stand_for
from marimo_kernel_bridge.sandbox.system_calls import machine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from marimo_kernel_bridge.protocol.bounds import Sandbox
    from marimo_kernel_bridge.sandbox.files import Access
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
    from marimo_kernel_bridge.sandbox.placeholders import Placeholders
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
    variables: Mapping[str, str | None],
    connects: bool,
    proxy: Outside | None,
    keeps: Collection[int] | None,
    held: Placeholders,
    dies_with_parent: bool,
) -> None:
    """Return in a new process that is confined; this one stands for it outside. `proxy`: what connects for it to the hosts of a list.

    `temporary` is the size of all file systems in memory; `connects`: code may connect by TCP, which is to its own loopback alone where it has no network.
    `keeps` are the descriptors that the new process keeps, beside its streams; None: all, of which the child of a pool knows. `held` are
    given back when it has ended.

    Raises `BridgeError`: sandbox_unavailable; the process is of no use then, and ends.
    """
    fonts = environment.fonts()
    isolated = sandbox.network != "all"
    own_processes = namespaces.processes_can_be_shown()
    parent = os.getppid()
    try:
        namespaces.enter(own_network=isolated, own_processes=own_processes)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable",
            f"The system refuses namespaces to this user ({_why(error)}); nothing was started.",
            "The administrator can allow user namespaces.",
        ) from error
    _fork(held, parent if dies_with_parent else None)
    try:
        with errors_told() as log:
            proxied = {}
            if proxy is not None:
                from marimo_kernel_bridge.sandbox.proxy import listen_inside  # noqa: PLC0415  # lists of hosts only

                proxied = listen_inside(proxy)
            namespaces.make_read_only(files.writable, files.steps(), files.kept)
            for link, said in files.links:
                namespaces.hold_link(link, said)
            if own_processes:
                namespaces.show_own_processes()
            namespaces.own_terminals()
            namespaces.mount_temporary(own.home, temporary * 3 // 4)
            if os.path.isdir(_SHARED_MEMORY):  # noqa: PTH112
                namespaces.mount_temporary(os.path.realpath(_SHARED_MEMORY), temporary // 4)
            environment.furnish(own.home, fonts)
            leave_streams(None if keeps is None else [*keeps, log])
            environment.apply({**variables, **proxied})
            os.chdir(own.home if sandbox.files == "none" else folder)
            namespaces.drop_capabilities()
            ports = () if proxy is None else (proxy.port,)
            landlock.restrict(_rules(own, files), None if connects else ports)
            _require_writable(files)
            seccomp.confine(own_ipc=True)
            if own.packages:
                from marimo_kernel_bridge.sandbox import overlay  # noqa: PLC0415  # where packages may be installed

                environment.apply(overlay.use(own.packages))
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable",
            f"The sandbox cannot be entered here: {error}; nothing was started.",
        ) from error


def _fork(held: Placeholders, parent: int | None) -> None:
    """Return in the process that becomes the kernel. This one, which whoever started it knows, ends when that does, and the other way round."""
    outside, inside = socket.socketpair()
    opened = opened_here()  # the kernel shows a /proc without this process as soon as it runs
    first = os.fork()
    if first:
        close_all_but({outside.fileno(), *held.descriptors()}, opened)
        if parent is not None:
            end_with(parent, first)
        stand_for(outside, first, at_end=partial(_give_back, held))
    outside.close()
    held.leave()

    def leave_the_rest() -> None:
        close_all_but({inside.fileno()})
        namespaces.drop_capabilities()

    fork_kernel(inside, leave_the_rest)


def _give_back(held: Placeholders) -> None:
    for path in held.paths:
        with suppress(OSError):
            namespaces.unmount(path)
    held.give_back()


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
