"""Which engine makes a sandbox, and what is missing where none can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import bubblewrap, light

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.bounds import Sandbox

Engine = Literal["light", "bubblewrap"]
_ENGINES: Final[dict[Engine, Callable[[], str]]] = {
    "light": lambda: light.missing(),  # noqa: PLW0108  # looked up when it is called, as by tests
    "bubblewrap": lambda: bubblewrap.missing(),  # noqa: PLW0108
}
"""The engines in the order in which they are tried, and what this machine lacks for each."""


def engine_for(sandbox: Sandbox) -> Engine:
    """Return the engine of a sandbox on this machine. Starts nothing.

    Raises `BridgeError`: sandbox_unavailable, if it would be less than asked.
    """
    if sandbox.image is not None or sandbox.engine in {"podman", "docker"}:
        raise _unavailable("containers by `image` do not exist in this version")
    if sandbox.packages:
        raise _unavailable("packages cannot be installed in a sandbox of this version")
    reasons = []
    for engine, missing in _ENGINES.items():
        if sandbox.engine in {"auto", engine}:
            if not (reason := missing()):
                return engine
            reasons.append(f"the engine {engine} cannot be used: {reason}")
    raise _unavailable("; ".join(reasons))


def _unavailable(reason: str) -> BridgeError:
    return BridgeError(
        "sandbox_unavailable", f"There is no such sandbox here: {reason}; nothing was started."
    )
