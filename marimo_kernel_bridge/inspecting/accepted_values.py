"""Descriptions of UI elements and of the values that they accept, with the same wording for marimo's elements and for ipywidgets.

Does not read elements: `runtime.ui.listing` and `ipywidgets` do, and pass the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.inspecting.value_text import is_one_of, shorten, value_text
from marimo_kernel_bridge.protocol.inspection import UiElement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLICK: Final = "true, which is a click"
BOOLEAN: Final = "true or false"
HIDDEN: Final = "••••••"
"""What stands for a password."""

LONGEST: Final = 300
"""The limit of a description, and of a value in it, in characters."""
_MOST_OPTIONS: Final = 20


def described(
    name: str, kind: str, *, value: str, accepts: str, label: object, runs_readers: bool
) -> UiElement:
    """Describe an element, with each text limited in length. `label` is used if it is a string."""
    return UiElement(
        element=name,
        kind=kind,
        value=value,
        takes=shorten(accepts, LONGEST),
        label=shorten(label, 80) if type(label) is str else "",
        runs_readers=runs_readers,
    )


def listed(options: Sequence[object]) -> str:
    """Return options as text, at most `_MOST_OPTIONS` of them."""
    more = len(options) - _MOST_OPTIONS
    text = ", ".join(value_text(option, 60) for option in options[:_MOST_OPTIONS])
    return text + (f" and {more} more" if more > 0 else "")


def one_of(options: Sequence[object]) -> str:
    """Describe the choice of one option."""
    return f"one of {listed(options)}"


def two_of(options: Sequence[object]) -> str:
    """Describe the choice of a first and a last option."""
    return f"two of {listed(options)}"


def several_of(options: Sequence[object]) -> str:
    """Describe the choice of several options."""
    return f"a list of {listed(options)}"


def any_of(keys: Iterable[str]) -> str:
    """Describe an object that may have any of these keys."""
    return f"an object with any of: {', '.join(keys)}"


def range_of(start: object, stop: object, step: object) -> str:
    """Describe a range of numbers; None and 0 mean no limit."""
    limits = (f" from {_limit(start)}" if start is not None else "") + (
        f" to {_limit(stop)}" if stop is not None else ""
    )
    has_step = is_one_of(type(step), (int, float)) and bool(step)
    return limits + (f" in steps of {step}" if has_step else "")


def _limit(value: object) -> str:
    """Return a limit, which is a number of any kind, or text."""
    return value if type(value) is str else value_text(value)
