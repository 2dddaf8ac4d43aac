"""Numbers that a message can say: JSON has no nan and no infinity. Imports nothing: every kernel loads this."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_finite(value: object) -> bool:
    """Return whether a value has no nan and no infinity in it."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(is_finite(key) and is_finite(item) for key, item in value.items())
    return all(map(is_finite, value)) if isinstance(value, (list, tuple)) else True


def number_read(text: str) -> float | None:
    """Return the number that a trait which converts to numbers reads in a text ("nan" is one too), None if none."""
    try:
        return float(text)
    except ValueError:
        return None


def is_finite_change(now: Mapping[str, object], change: Mapping[str, object]) -> bool:
    """Return whether new values of traits have no nan and no infinity, not as text for a number either."""
    return all(
        is_finite(
            number_read(value) if isinstance(value, str) and type(now.get(name)) in {int, float} else value
        )
        for name, value in change.items()
    )
