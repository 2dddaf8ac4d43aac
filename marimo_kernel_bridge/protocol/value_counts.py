"""How many values JSON from elsewhere may hold: looking at one takes microseconds, in which nothing else is answered. Pure."""

from __future__ import annotations

from typing import Any, Final

MOST_VALUES: Final = 20_000
"""In one message: more than the longest lists that the tools take have together."""


def has_few_values(value: Any) -> bool:  # JSON
    """Whether JSON has no more values than may be looked at."""
    waiting, seen = [value], 0
    while waiting and seen <= MOST_VALUES:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict | list):
            if len(value) > MOST_VALUES:
                return False
            waiting += value.values() if isinstance(value, dict) else value
    return seen <= MOST_VALUES
