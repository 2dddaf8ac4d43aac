"""The texts most like another one, in time that grows with their length: difflib takes up to the cube of it for each pair. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMPARED: Final = 100_000
"""Characters that are looked at in all; what comes behind them is near to nothing."""
_LONGEST: Final = 200
"""Characters of each text."""


def nearest(text: str, others: Iterable[str], most: int, least: float = 0.4) -> list[str]:
    """Return those of other texts that are most like one, the nearest first: by the pairs of letters that both have.

    `least`: the share of pairs, from 0 to 1, from which on a text is like another one.
    """
    own, left = _pairs(text), _COMPARED
    found: list[tuple[float, int, str]] = []
    for at, other in enumerate(others):
        left -= min(len(other), _LONGEST)
        if left < 0:
            break
        theirs = _pairs(other)
        share = 2 * len(own & theirs) / (len(own) + len(theirs))
        if share >= least:
            found.append((-share, at, other))
    return [other for _, _, other in sorted(found)[:most]]


def _pairs(text: str) -> set[tuple[str, str]]:
    text = f" {text[:_LONGEST].casefold()} "
    return set(pairwise(text))
