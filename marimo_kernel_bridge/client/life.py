"""The lifecycle of one kernel, derived from events: a state machine without I/O.

Owns the kernel's identity, whether and how it has ended, and how often another process has replaced it. The link
reports each event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import IMPLEMENTATION, MARIMO_EDITOR

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal[
    "unmet",  # the kernel has not answered yet
    "alive",
    "ended",
]
Event = Literal[
    "answered",  # the kernel has described itself
    "vanished",  # the kernel's process has ended
    "replaced",  # another process answers at its address, or may
]

_NEXT: Final[dict[tuple[State, Event], State]] = {
    ("unmet", "answered"): "alive",
    ("unmet", "vanished"): "ended",
    ("alive", "answered"): "alive",
    ("alive", "vanished"): "ended",
    ("alive", "replaced"): "ended",
    ("ended", "answered"): "alive",
}
"""The next state for each state and event. Events that are not here change nothing."""


@dataclass(frozen=True)
class KernelInfo:
    """A Jupyter kernel's description of itself. `session` is new with each process, None if the kernel has none."""

    implementation: str
    implementation_version: str
    language: str
    language_version: str
    session: str | None

    @property
    def reactive(self) -> bool:
        return self.implementation in {IMPLEMENTATION, MARIMO_EDITOR}


class KernelLife:
    """The identity of a kernel, and whether it is alive."""

    def __init__(self) -> None:
        self.state: State = "unmet"
        self.info: KernelInfo | None = None
        self.end: BridgeError | None = None
        """How it ended, None if it has not."""
        self.restarts = 0
        """How often another process has replaced it, losing all state, since it first answered."""
        self._shutdown_announced = False

    def answered(self, info: KernelInfo) -> None:
        """Record the kernel's description of itself."""
        before = self.info
        if self.state == "ended":
            # A Jupyter server announces a restart while the old process still replies.
            self.restarts += info.session is None or before is None or info.session != before.session
            self._shutdown_announced = False
        self.info = info
        self.end = None
        self.state = _NEXT[self.state, "answered"]

    def announce_shutdown(self) -> None:
        """Record that a client shuts the kernel down or restarts it, so that its end is not a crash."""
        self._shutdown_announced = True

    def vanished(self, cause: Callable[[], str] = str) -> BridgeError | None:
        """Record the end of the kernel's process. Return how it ended, None if it had ended before.

        `cause` returns in sentences why it died, "" if that is not known. It is asked only if nobody had the kernel end.
        """
        if self.state == "ended":
            return None
        if self._shutdown_announced:
            return self._end("vanished", "The kernel was shut down.")
        return self._end("vanished", cause() or "The kernel's process ended unexpectedly.")

    def replaced(self) -> BridgeError | None:
        """Record that another process answers. Return how the kernel ended, None if it had ended before."""
        return self._end("replaced", "The kernel was restarted.")

    def heard(self, session: str | None) -> BridgeError | None:
        """Compare the session id of a message. Return how the kernel ended, if the message proves that it has."""
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
            'otherwise connect to another one. run_cells(which="all") then runs the notebook again.',
        )
        return self.end
