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

from marimo_kernel_bridge.sandbox import environment, landlock, seccomp
from marimo_kernel_bridge.sandbox.entering import Entered
from marimo_kernel_bridge.sandbox.files import Place
from marimo_kernel_bridge.sandbox.handed_sockets import set_inherited
from marimo_kernel_bridge.sandbox.streams import leave_streams


class Prepared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was prepared outside. `sockets`: ports, as JSON has them, and descriptors; `connects`: code may connect by TCP.

    `proxy`: the descriptor of the connection to it, and its port; `places`: which folders are writable.
    """

    home: str
    variables: dict[str, str | None]
    sockets: dict[str, int]
    connects: bool
    proxy: tuple[int, int] | None
    holds: tuple[str, ...]
    places: tuple[tuple[str, int, int], ...] = ()


_PREPARED: Final = msgspec.json.Decoder(Prepared)


def entered(text: str) -> Entered:
    """Finish a sandbox from within. Ends the process if that is not possible."""
    prepared = _PREPARED.decode(text)
    # Jupyter interrupts the whole process group, of which the engine's program had to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for place in prepared.places:
            if Place.at(place[0]) != Place(*place):
                raise OSError(errno.ESTALE, f"{place[0]} was replaced meanwhile")  # noqa: TRY301  # as the others
        environment.furnish(prepared.home, {})
        leave_streams()
        proxied = {}
        if prepared.proxy is not None:
            from marimo_kernel_bridge.sandbox.proxy import Outside, listen_inside  # noqa: PLC0415  # lists of hosts only

            proxied = listen_inside(Outside(*prepared.proxy))
        environment.apply(prepared.variables | proxied)
        if not prepared.connects:
            landlock.restrict_connections(() if prepared.proxy is None else prepared.proxy[1:])
        seccomp.confine(own_ipc=True)
    except OSError as error:
        sys.stderr.write(f"The kernel was not started: [sandbox_unavailable] {error}\n")
        raise SystemExit(1) from None
    sockets = {int(port): descriptor for port, descriptor in prepared.sockets.items()}
    set_inherited(sockets.values(), inherited=False)
    return Entered(sockets, holds=frozenset(prepared.holds))
