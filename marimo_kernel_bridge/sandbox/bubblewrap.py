"""The engine `bubblewrap`: a root of its own with nothing but what is given, processes of its own, and no capability.

The process starts `bwrap` and supervises it; that starts this package's `sandboxed-kernel` inside with the sockets that listen already.
`command` is pure.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.own_python import program_on_path
from marimo_kernel_bridge.sandbox.files import steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.protocol.bounds import Sandbox
    from marimo_kernel_bridge.sandbox.files import Access
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces

PROGRAM: Final = "bwrap"
_MADE_INSIDE: Final = frozenset({"/proc"})
_LOOK_BOUND: Final = 30.0


def missing() -> str:
    """Return what this system lacks for the engine, "" if nothing. Starts `bwrap` once."""
    program = program_on_path(PROGRAM)
    if program is None:
        return "bwrap is not installed (the package bubblewrap)"
    tried = [
        program,
        "--unshare-user",
        "--unshare-net",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--",
        "/bin/true",
    ]
    try:
        done = subprocess.run(tried, capture_output=True, text=True, timeout=_LOOK_BOUND, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return "" if done.returncode == 0 else f"bwrap does not start here: {done.stderr.strip()}"


def command(
    sandbox: Sandbox,
    own: OwnPlaces,
    files: Access,
    folder: str,
    inner: Iterable[str],
    *,
    temporary: int,
) -> list[str]:
    """Return the command line that runs `inner` in a sandbox. What stands later lies above what stands before."""
    part = ["--size", str(temporary // 4), "--tmpfs"]
    made = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    made += [
        "--uid",
        str(os.getuid()),
        "--gid",
        str(os.getgid()),
        "--hostname",
        "sandbox",
        "--cap-drop",
        "ALL",
    ]
    made.append("--die-with-parent")  # with the process that supervises it
    if sandbox.network != "all":
        made.append("--unshare-net")
    made += ["--proc", "/proc", "--dev", "/dev", *part, "/dev/shm"]  # noqa: S108  # the kernel's own
    made += ["--remount-ro", "/dev", "--size", str(temporary // 2), "--tmpfs", "/tmp"]  # noqa: S108
    for path in sorted(path for path in files.readable if path not in _MADE_INSIDE):
        made += ["--ro-bind-try", path, path]
    for path in sorted(files.writable):
        made += ["--bind", path, path]
    for path in steps(files.kept, files.writable):
        made += ["--bind", path, path]
    for path in files.kept:
        made += ["--ro-bind", path, path]
    # Settings of the system are files that root may write, also without a capability.
    made += ["--remount-ro", "/proc", *part, own.home, "--remount-ro", "/"]
    made += ["--chdir", own.home if sandbox.files == "none" else folder]
    return [program_on_path(PROGRAM) or PROGRAM, *made, "--", *inner]
