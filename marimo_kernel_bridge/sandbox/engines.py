"""Which engine makes a sandbox, and what is missing where none can."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import light
from marimo_kernel_bridge.sandbox.prepared import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.bounds import Sandbox
    from marimo_kernel_bridge.sandbox.prepared import ContainerEngine

Engine = Literal["light", "bubblewrap"]
_ENGINES: Final[dict[Engine, Callable[[], str]]] = {
    "light": lambda: light.missing(),  # noqa: PLW0108  # looked up when it is called, as by tests
    "bubblewrap": lambda: _bubblewrap_lacks(),  # noqa: PLW0108
}
"""The engines in the order in which they are tried, and what this machine lacks for each."""
_OF_IMAGES: Final[tuple[ContainerEngine, ...]] = ("podman", "docker")


def _bubblewrap_lacks() -> str:
    from marimo_kernel_bridge.sandbox import bubblewrap  # noqa: PLC0415  # a module is time before the kernel's start

    return bubblewrap.missing()


def engine_for(sandbox: Sandbox) -> Engine | Found:
    """Return the engine of a sandbox on this machine, with an image what runs containers of it. Starts no kernel.

    Raises `BridgeError`: sandbox_unavailable, if it would be less than asked.
    """
    if sandbox.image is not None or sandbox.engine in _OF_IMAGES:
        return _of_image(sandbox)
    reasons = []
    for engine, missing in _ENGINES.items():
        if sandbox.engine in {"auto", engine}:
            if not (reason := missing()):
                return engine
            reasons.append(f"the engine {engine} cannot be used: {reason}")
    raise _unavailable("; ".join(reasons))


def _of_image(sandbox: Sandbox) -> Found:
    if sandbox.image is None:
        raise _unavailable(f"{sandbox.engine} needs an image, such as image=my-notebooks:1")
    if sandbox.engine in _ENGINES:
        raise _unavailable(f"the engine {sandbox.engine} runs no image; {' and '.join(_OF_IMAGES)} do")
    if sandbox.files == "read":
        raise _unavailable("a container has the files of its image to read, and none of this machine's")
    if sys.platform != "linux":
        raise _unavailable("sandboxes need Linux")
    from marimo_kernel_bridge.sandbox import containers  # noqa: PLC0415  # a module is time before the kernel's start

    reasons = []
    for engine in _OF_IMAGES:
        if sandbox.engine in {"auto", engine}:
            found = containers.look(engine, sandbox.image)
            if isinstance(found, Found):
                return found
            reasons.append(found)
    raise _unavailable("; ".join(reasons))


def _unavailable(reason: str) -> BridgeError:
    return BridgeError(
        "sandbox_unavailable", f"There is no such sandbox here: {reason}; nothing was started."
    )
