"""The first steps of a kernel that an engine's program has started inside of its sandbox.

It gets what was prepared outside as JSON on its command line and its sockets as open descriptors, and does for itself what
the engines leave open: the environment, the streams, connections by TCP, the filter of system calls.
"""

from __future__ import annotations

import errno
import signal
import sys
from typing import Final

import msgspec

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.sandbox import environment, landlock, seccomp
from marimo_kernel_bridge.sandbox.files import Place
from marimo_kernel_bridge.sandbox.first_process import fork_kernel
from marimo_kernel_bridge.sandbox.handed_sockets import set_inherited
from marimo_kernel_bridge.sandbox.prepared import Entered, Prepared
from marimo_kernel_bridge.sandbox.streams import close_all_but, errors_told, leave_streams

_PREPARED: Final = msgspec.json.Decoder(Prepared)


def entered(text: str) -> Entered:
    """Finish a sandbox from within. Ends the process if that is not possible."""
    try:
        with errors_told() as log:
            return _entered(_PREPARED.decode(text), log)
    except (OSError, ValueError, RecursionError) as error:
        sys.stderr.write(f"The kernel was not started: [sandbox_unavailable] {error}\n")
        raise SystemExit(1) from None


def _entered(prepared: Prepared, log: int) -> Entered:
    if prepared.version != __version__:
        raise ValueError(
            f"marimo-kernel-bridge is {__version__} in the sandbox, and {prepared.version} outside"
        )
    sockets = {int(port): descriptor for port, descriptor in prepared.sockets.items()}
    proxy = prepared.proxy
    if prepared.sent:
        from marimo_kernel_bridge.sandbox.containers import taken  # noqa: PLC0415  # in containers only

        outside, descriptors = taken((*sockets, *([] if proxy is None else [proxy])))
        sockets = dict(zip(sockets, descriptors, strict=False))
        proxy = None if proxy is None else (descriptors[-1], proxy[1])
        fork_kernel(outside, lambda: close_all_but({outside.fileno()}))
    # Jupyter interrupts the whole process group, of which an engine's program had to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place in prepared.places:
        if Place.at(place[0]) != Place(*place):
            raise OSError(errno.ESTALE, f"{place[0]} was replaced meanwhile")
    environment.furnish(prepared.home, {})
    leave_streams([log, *sockets.values(), *([] if proxy is None else [proxy[0]])])
    proxied = {}
    if proxy is not None:
        from marimo_kernel_bridge.sandbox.proxy import Outside, listen_inside  # noqa: PLC0415  # lists of hosts only

        proxied = listen_inside(Outside(*proxy))
    environment.apply(prepared.variables | proxied)
    if not prepared.connects:
        landlock.restrict_connections(() if proxy is None else proxy[1:])
    seccomp.confine(own_ipc=True)
    if prepared.packages:
        from marimo_kernel_bridge.sandbox import overlay  # noqa: PLC0415  # where packages may be installed

        environment.apply(overlay.use(prepared.packages))
    set_inherited(sockets.values(), inherited=False)
    return Entered(
        sockets,
        user_namespace=prepared.own_users,
        holds=frozenset(prepared.holds),
        process=prepared.process,
    )
