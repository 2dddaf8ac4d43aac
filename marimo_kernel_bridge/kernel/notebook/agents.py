"""The agents that use the kernel, and whether the person has paused them.

An agent is whoever names itself in a request: in the metadata of an `execute_request`, or as the user in the header of
a bridge request. Nothing keeps another client of the same user from running code under no name; this is a brake
for agents that play by the rules, as ours does, not a wall.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import AgentsPausedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class SeenAgent:
    """An agent that asked something of the kernel. `last_heard` is in seconds since the epoch.

    `runs` counts what it had the kernel run or change, `refused` what the kernel did not do for it.
    """

    name: str
    last_heard: float
    runs: int = 0
    refused: int = 0


class Agents:
    """The agents that use a kernel. Any thread may call `heard`; the main thread sets `paused`."""

    def __init__(self) -> None:
        self.paused = False
        self._seen: dict[str, SeenAgent] = {}

    def __iter__(self) -> Iterator[SeenAgent]:
        return iter(list(self._seen.values()))

    def heard(self, name: str, *, ran: bool = False, refused: bool = False) -> None:
        """Note what became of a request of an agent. One without a name is none: it only looks which kernel this is."""
        if not name:
            return
        now = time.time()
        seen = self._seen.get(name) or SeenAgent(name, now)
        self._seen[name] = replace(seen, last_heard=now, runs=seen.runs + ran, refused=seen.refused + refused)

    def require_not_paused(self) -> None:
        """Raise `BridgeError` paused if the person has paused the agents."""
        if self.paused:
            raise AgentsPausedError("nothing was run or changed")
