"""The cause of a kernel's death, read from its black box as soon as its process has ended.

Only for a kernel on this machine: the folder is found by the path of the connection file. `protocol.black_box` says why
nothing in it is trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.protocol import black_box, cgroups
from marimo_kernel_bridge.protocol.deaths import death_of

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.protocol.notebook import Death


def death_behind(endpoint: Endpoint) -> Death | None:
    """Return how the kernel died whose process has just ended, None if it left nothing that tells."""
    if not isinstance(endpoint, Connection) or not endpoint.here:
        return None
    box = black_box.read(black_box.folder_of(endpoint.path))
    return None if box is None else death_of(box, cgroups.oom_kills(box.born.cgroup))
