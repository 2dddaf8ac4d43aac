"""Messages of pages that come in parts: Jupyter's server ends a connection on which a message of more than 10 MB comes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.live.messages import Part

_AT_ONCE: Final = 2
"""Messages of which parts are kept. A page that goes away while it sends leaves one behind."""


class Parts:
    """The parts that have come of messages that are not whole. For one thread."""

    def __init__(self) -> None:
        self._coming: OrderedDict[tuple[str, str], dict[int, str]] = OrderedDict()

    def add(self, part: Part) -> str | None:
        """Return the text of the message, once all its parts are there."""
        message = (part.page, part.whole)
        texts = self._coming.setdefault(message, {})
        self._coming.move_to_end(message)
        while len(self._coming) > _AT_ONCE:
            self._coming.popitem(last=False)
        texts[part.index] = part.text
        if len(texts) < part.count:
            return None
        del self._coming[message]
        return "".join(text for _, text in sorted(texts.items()))
