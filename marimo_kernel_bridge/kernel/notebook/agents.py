"""The agents that use the kernel, and whether the user has paused them.

A client is an agent if it names itself in a request: in the metadata of an `execute_request`, or as the user in the
header of a bridge request. Another client of the same user can still run code without a name, so a pause is a safeguard
for cooperating agents, not a security boundary.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import AgentsPausedError

if TYPE_CHECKING:
    from collections.abc import Iterator


_LOOKS: Final = frozenset({"status", "graph", "agents", "help"})
_OF_THE_PERSON: Final = frozenset({"pause", "resume"})


@dataclass(frozen=True)
class SeenAgent:
    """An agent that has sent requests. `last_heard` is in seconds since the epoch.

    `runs` counts its requests that ran or changed something, `refused` those that the kernel refused.
    """

    name: str
    last_heard: float
    runs: int = 0
    refused: int = 0


@dataclass(frozen=True)
class RequestOfAgent:
    """Whose request runs. `scratch`: its code stays out of the graph."""

    client: str
    scratch: bool


class Agents:
    """The agents that use a kernel. Any thread may call `heard`; the main thread sets `paused`."""

    def __init__(self) -> None:
        self.paused = False
        self.running: ContextVar[RequestOfAgent | None] = ContextVar("running", default=None)
        """The request of an agent whose code runs in this thread; None if the code is the person's."""
        self._seen: dict[str, SeenAgent] = {}

    def __iter__(self) -> Iterator[SeenAgent]:
        return iter(list(self._seen.values()))

    def heard(self, name: str, *, ran: bool = False, refused: bool = False) -> None:
        """Record the outcome of an agent's request. A client without a name only identifies kernels, and is no agent."""
        if not name:
            return
        now = time.time()
        seen = self._seen.get(name) or SeenAgent(name, now)
        self._seen[name] = replace(seen, last_heard=now, runs=seen.runs + ran, refused=seen.refused + refused)

    def refusal_of(self, command: str) -> str | None:
        """Return why the code that runs now may not give a `%marimo` command; None if it may.

        Ending a pause is the person's, and scratch code of an agent changes neither the graph nor what runs.
        """
        request, name = self.running.get(), (command.split() or ["status"])[0]
        if request is None or name in _LOOKS:
            return None
        if name in _OF_THE_PERSON:
            return f"`%marimo {name}` is the person's command, not an agent's; nothing was changed."
        if request.scratch:
            return f"`%marimo {name}` changes the notebook, and scratch code stays out of it; nothing was changed."
        return None

    def require_not_paused(self) -> None:
        """Raise `BridgeError` paused if the user has paused agents."""
        if self.paused:
            raise AgentsPausedError("nothing was run or changed")
