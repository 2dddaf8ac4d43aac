"""Which part of a long output an answer shows, and how much of one is fetched at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.media.output_text import Shown

MOST_OUTPUT: Final = 2_000_000
"""The maximum of characters of a text output that the kernel returns; more would take too long."""


@dataclass(frozen=True)
class Window:
    """About `budget` characters of a text from `offset` on."""

    budget: int
    offset: int = 0

    def shows_all(self, text: str, shown: Shown) -> bool:
        """Whether an answer shows all of the outputs, as they are."""
        return self.offset == 0 and len(text) <= self.budget and shown.complete
