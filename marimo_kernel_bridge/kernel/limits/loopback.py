"""What to say where a kernel's sandbox has a loopback of its own: no browser reaches the pages that the kernel serves there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.bounds import Bounds

_WHY = "No browser reaches pages of this kernel: its sandbox has a network of its own, without yours."
_INSTEAD = "A kernel without a sandbox, or with the network `all`, serves pages that a browser reaches."


def unreached(bounds: Bounds | None) -> str:
    """Return why no browser reaches pages of a kernel with these bounds; "" where one may."""
    sandbox = None if bounds is None else bounds.sandbox
    return "" if sandbox is None or sandbox.network == "all" else f"{_WHY} {_INSTEAD}"


def require_reached(bounds: Bounds | None) -> None:
    """Raise `BridgeError` not_offered where no browser reaches pages of the kernel."""
    if unreached(bounds):
        raise BridgeError("not_offered", _WHY, _INSTEAD)
