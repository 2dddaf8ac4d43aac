"""How long something took, in words: no more digits than a person would say."""

from __future__ import annotations

from typing import Final

BRIEF: Final = 0.1
"""Seconds below which a duration decides nothing."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_MILLISECOND: Final = 0.001


def took(seconds: float) -> str:
    """Return a duration: `12 ms`, `3.4 s`, `1 min 20 s`, `2 h 5 min`."""
    if seconds < _MILLISECOND:
        return "less than 1 ms"
    if seconds < BRIEF:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004  # below, tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    large, small, units = (
        (whole // _MINUTE, whole % _MINUTE, ("min", "s"))
        if whole < _HOUR
        else (whole // _HOUR, whole % _HOUR // _MINUTE, ("h", "min"))
    )
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")


def worth_telling(seconds: float | None, least: float = BRIEF) -> float | None:
    """Return a duration for programs, None if it decides nothing."""
    return None if seconds is None or seconds < least else round(seconds, 1)
