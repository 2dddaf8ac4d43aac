"""Which messages of a kernel have come before: somebody without its key may repeat what was signed with it.

Without encryption on the way, whoever can write to the sockets can send an old message again. Signatures of the newest
messages are kept. Older ones are known by their ids, where these count, as those of jupyter_client's sessions do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_KEPT: Final = 65_536
_SENDERS: Final = 1000
_COUNTED: Final = re.compile(r"(.{1,200})_(\d{1,18})", re.DOTALL)


@dataclass
class Replays:
    """The messages that came on the channels of one connection."""

    _signatures: dict[bytes, None] = field(default_factory=dict)  # the oldest first
    _newest: dict[tuple[str, str], int] = field(default_factory=dict)  # by channel and sender

    def require_new(self, signature: bytes) -> None:
        """Raise ValueError for a signature of the newest messages."""
        if signature in self._signatures:
            raise ValueError("a message came twice")
        self._signatures[signature] = None
        if len(self._signatures) > _KEPT:
            del self._signatures[next(iter(self._signatures))]

    def require_late(self, channel: str, msg_id: object) -> None:
        """Raise ValueError for an id that is older than what the signatures still tell.

        Each channel has its own count: one may be read long after another.
        """
        counted = _COUNTED.fullmatch(msg_id) if isinstance(msg_id, str) else None
        if counted is None:
            return
        sender, number = (channel, counted[1]), int(counted[2])
        newest = self._newest.get(sender, number)
        if number <= newest - _KEPT:
            raise ValueError("a message came again that is much older than others")
        self._newest[sender] = max(number, newest)
        if len(self._newest) > _SENDERS:
            del self._newest[next(iter(self._newest))]
