"""The cause of a kernel's death, read from its black box as soon as its process has ended.

Only for a kernel on this machine: the folder is found by the path of the connection file. `protocol.black_box` says why
nothing in it is trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.protocol import black_box, cgroups
from marimo_kernel_bridge.protocol.deaths import death_of, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.protocol.notebook import Death


def death_behind(endpoint: Endpoint) -> Death | None:
    """Return how the kernel died whose process has just ended, None if it left nothing that tells."""
    if not isinstance(endpoint, Connection) or not endpoint.here:
        return None
    box = black_box.read(black_box.folder_of(endpoint.path))
    return None if box is None else death_of(box, cgroups.oom_kills(box.born.cgroup))


class Deaths:
    """How a kernel died, as long as no other process has taken its place."""

    def __init__(self, endpoint: Endpoint, restarts: Callable[[], int]) -> None:
        """`restarts` returns how often the kernel has been replaced by another process."""
        self._endpoint = endpoint
        self._restarts = restarts
        self._noted: tuple[Death | None, int] = None, 0  # and the restarts by then

    def note(self) -> str:
        """Read how the kernel died that has just ended. Returns a sentence about it, "" if nothing tells."""
        death = death_behind(self._endpoint)
        self._noted = death, self._restarts()
        return "" if death is None else sentence(death)

    @property
    def last(self) -> Death | None:
        """How the kernel died, if it did, nobody had asked for that, and it had recorded enough."""
        death, restarts = self._noted
        return death if restarts == self._restarts() else None
