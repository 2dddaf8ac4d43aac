"""Which engine makes a sandbox, and what is missing where none can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import light

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.bounds import Sandbox

Engine = Literal["light", "bubblewrap", "podman", "docker"]


def engine_for(sandbox: Sandbox) -> Engine:
    """Return the engine of a sandbox on this machine. Starts nothing.

    Raises `BridgeError`: sandbox_unavailable, if it would be less than asked.
    """
    if sandbox.image is not None or sandbox.engine not in {"auto", "light"}:
        raise _unavailable(f"the engine {sandbox.engine} does not exist in this version")
    if not isinstance(sandbox.network, str):
        raise _unavailable("a list of hosts needs a proxy, which this version has not")
    if reason := light.missing():
        raise _unavailable(f"the engine light cannot be used: {reason}")
    return "light"


def _unavailable(reason: str) -> BridgeError:
    return BridgeError(
        "sandbox_unavailable", f"There is no such sandbox here: {reason}; nothing was started."
    )
