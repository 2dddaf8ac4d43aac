"""Messages of pages that come in parts: Jupyter's server ends a connection on which a message of more than 10 MB comes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.live.messages import Part

_AT_ONCE: Final = 2
"""Messages of which parts are kept. A page that goes away while it sends leaves one behind."""
LONGEST: Final = 300.0
"""Seconds after which the parts of a message are dropped of which no more has come."""


@dataclass
class _Coming:
    """The parts that have come of one message, and when the last did."""

    count: int
    newest: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)


class Parts:
    """The parts that have come of messages that are not whole. For one thread."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        """`complain` is called with the reason why something is dropped."""
        self._complain = complain
        self._coming: OrderedDict[tuple[str, str], _Coming] = OrderedDict()

    def add(self, part: Part) -> str | None:
        """Return the text of the message, once all its parts are there."""
        self.drop_old()
        message = (part.page, part.whole)
        coming = self._coming.setdefault(message, _Coming(part.count))
        if part.count != coming.count or part.index >= part.count:
            del self._coming[message]
            self._complain(f"its part {part.index} of {part.count} is none of a message of {coming.count}")
            return None
        self._coming.move_to_end(message)
        while len(self._coming) > _AT_ONCE:
            _, pushed_out = self._coming.popitem(last=False)
            self._complain(f"only {_AT_ONCE} are received at once: {_amount(pushed_out)} had come")
        coming.texts[part.index], coming.newest = part.text, time.monotonic()
        if len(coming.texts) < coming.count:
            return None
        del self._coming[message]
        return "".join(text for _, text in sorted(coming.texts.items()))

    def drop_old(self) -> None:
        """Drop the parts of messages whose pages have sent no more for minutes."""
        now = time.monotonic()
        for message, coming in list(self._coming.items()):
            if coming.newest and now - coming.newest >= LONGEST:
                del self._coming[message]
                self._complain(f"no more came for {LONGEST:g} s: {_amount(coming)} had come")


def _amount(coming: _Coming) -> str:
    return f"{len(coming.texts)} of {coming.count} parts"
