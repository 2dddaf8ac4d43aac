"""The life of one kernel, as what is seen of it tells: a state machine without I/O.

Owns who the kernel is, whether it has ended and how, and how often another process took its place. Sees nothing by
itself: the link reports each event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import IMPLEMENTATION

State = Literal[
    "unmet",  # it has not answered yet
    "alive",
    "ended",
]
Event = Literal[
    "answered",  # it says who it is
    "vanished",  # its process is gone
    "replaced",  # another process answers in its place, or may
]

_NEXT: Final[dict[tuple[State, Event], State]] = {
    ("unmet", "answered"): "alive",
    ("unmet", "vanished"): "ended",
    ("alive", "answered"): "alive",
    ("alive", "vanished"): "ended",
    ("alive", "replaced"): "ended",
    ("ended", "answered"): "alive",
}
"""What each event makes of each state. An event that is not here changes nothing."""


@dataclass(frozen=True)
class KernelInfo:
    """What any Jupyter kernel says of itself. `session` is new with each process (None: the kernel cannot tell)."""

    implementation: str
    implementation_version: str
    language: str
    language_version: str
    session: str | None

    @property
    def reactive(self) -> bool:
        return self.implementation == IMPLEMENTATION


class KernelLife:
    """Who a kernel is, and whether it lives."""

    def __init__(self) -> None:
        self.state: State = "unmet"
        self.info: KernelInfo | None = None
        self.end: BridgeError | None = None
        """How it ended, None unless it has."""
        self.restarts = 0
        """How often it turned out to be another process, with all state lost, since it was first met."""
        self._shutdown_announced = False

    def answered(self, info: KernelInfo) -> None:
        """Record what the kernel says of itself."""
        before = self.info
        if self.state == "ended":
            # A Jupyter server announces a restart while the old process still answers.
            self.restarts += info.session is None or before is None or info.session != before.session
            self._shutdown_announced = False
        self.info = info
        self.end = None
        self.state = _NEXT[self.state, "answered"]

    def announce_shutdown(self) -> None:
        """Record that somebody shuts the kernel down, or restarts it: an end is no crash then."""
        self._shutdown_announced = True

    def vanished(self) -> BridgeError | None:
        """Record that the kernel's process is gone. Return how it ended, None if it had before."""
        how = (
            "The kernel was shut down."
            if self._shutdown_announced
            else "The kernel's process ended unexpectedly."
        )
        return self._end("vanished", how)

    def replaced(self) -> BridgeError | None:
        """Record that another process answers. Return how the kernel ended, None if it had before."""
        return self._end("replaced", "The kernel was restarted.")

    def heard(self, session: str | None) -> BridgeError | None:
        """Compare the session in a message. Return how the kernel ended, if the message proves that it has."""
        if self.info is None or self.info.session in {None, session}:
            return None
        return self.replaced()

    def _end(self, event: Event, how: str) -> BridgeError | None:
        if self.state == "ended" or _NEXT.get((self.state, event)) != "ended":
            return None
        self.state = "ended"
        self.end = BridgeError(
            "kernel_dead",
            f"{how} All variables and cells in it are lost.",
            "Once it is started again behind the same connection file, the next call reaches the new, empty kernel; "
            "otherwise connect to another one.",
        )
        return self.end
