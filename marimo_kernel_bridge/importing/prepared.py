"""The code cells of a notebook while they become reactive, and what is reported of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Working:
    """One cell of the result, made of the cells of the notebook at `positions` (none: added).

    `parts` are their codes by position, as long as cells may still be joined: what is joined keeps document order.
    """

    positions: tuple[int, ...]
    code: str
    fails: bool = False
    parts: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.positions) == 1 and not self.parts:
            self.parts = {self.positions[0]: self.code}


@dataclass
class Prepared:
    """The code cells of the result, notes on each position, and what the file needs at its head."""

    cells: list[Working]
    notes: dict[int, list[str]] = field(default_factory=dict)
    lost: dict[int, list[str]] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    def note(self, positions: Iterable[int], text: str) -> None:
        for position in positions:
            notes = self.notes.setdefault(position, [])
            if text not in notes:
                notes.append(text)
