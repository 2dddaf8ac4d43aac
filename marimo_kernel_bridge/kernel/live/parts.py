"""Messages of pages that come in parts: Jupyter's server ends a connection on which a message of more than 10 MB comes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel.live.messages import LARGEST_PART, MOST_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.live.carrier import Carrier
    from marimo_kernel_bridge.kernel.live.messages import Part

_AT_ONCE: Final = 16
"""Messages of which parts are kept."""
MOST: Final = MOST_PARTS * LARGEST_PART
"""Bytes of all the parts that are kept, in UTF-8: one message may be as large as that."""
LOOK: Final = 10.0
"""Seconds between looks at what has come. No look is due while a cell runs, when no part is taken, either."""
_LOOKS: Final = 6
"""Looks after which the parts of a message are dropped of which no more has come."""


@dataclass
class _Coming:
    """The parts that have come of one message, on which carrier, and the looks since the newest."""

    carrier: Carrier
    count: int
    size: int = 0
    looks: int = 0
    texts: dict[int, str] = field(default_factory=dict)


class Parts:
    """The parts that have come of messages that are not whole. For one thread."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        """`complain` is called with the reason why something is dropped."""
        self._complain = complain
        self._coming: OrderedDict[tuple[str, str], _Coming] = OrderedDict()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._coming)

    def add(self, part: Part, carrier: Carrier) -> str | None:
        """Return the text of the message, once all its parts are there."""
        message = (part.page, part.whole)
        coming = self._coming.setdefault(message, _Coming(carrier, part.count))
        if part.count != coming.count or part.index >= part.count:
            self._drop(message)
            self._complain(f"its part {part.index} of {part.count} is none of a message of {coming.count}")
            return None
        self._coming.move_to_end(message)
        more = _size(part.text) - _size(coming.texts.get(part.index, ""))
        coming.texts[part.index], coming.looks = part.text, 0
        coming.size += more
        self._size += more
        while self._size > MOST or len(self._coming) > _AT_ONCE:
            oldest = next(iter(self._coming))
            self._complain(
                f"{MOST // 1_000_000} MB and {_AT_ONCE} messages are received at once: {self._drop(oldest)} had come"
            )
        if len(coming.texts) < coming.count:
            return None
        self._drop(message)
        return "".join(text for _, text in sorted(coming.texts.items()))

    def look(self) -> None:
        """Drop the parts of messages whose pages have sent no more since some looks."""
        for message, coming in list(self._coming.items()):
            coming.looks += 1
            if coming.looks >= _LOOKS:
                self._complain(f"no more came for a minute: {self._drop(message)} had come")

    def drop_those_on(self, carrier: Carrier) -> None:
        """Drop what has come on a carrier that is closed."""
        for message, coming in list(self._coming.items()):
            if coming.carrier is carrier:
                self._complain(f"its page was closed: {self._drop(message)} had come")

    def _drop(self, message: tuple[str, str]) -> str:
        coming = self._coming.pop(message)
        self._size -= coming.size
        return f"{len(coming.texts)} of {coming.count} parts"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
