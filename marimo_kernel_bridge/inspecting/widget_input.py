"""Setting an ipywidget as a person would on its page: what the page sends for a value, and which values are refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.accepted_values import listed
from marimo_kernel_bridge.inspecting.finite_numbers import is_finite, is_finite_change, number_read
from marimo_kernel_bridge.inspecting.value_text import library_class, value_text
from marimo_kernel_bridge.inspecting.widget_traits import (
    DATES,
    WHOLE_NUMBERS,
    is_number,
    library_kind,
    limits,
    shown_kind,
    stored,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

_NUMERIC: Final = ("Int", "Float")
"""How the names of the kinds of numbers begin, after Bounded."""

Widget = Any
"""A widget; ipywidgets has no types."""


def set_value(widget: Widget, value: object) -> None:
    """Set a widget as its front end would, and show the new value there. Exceptions of its callbacks propagate.

    Raises `BridgeError`: ui_value_refused.
    """
    if library_kind(widget) == "Button":
        if value is False:
            raise _refused(widget, "can be clicked, with any value but false")
        widget.click()
        return
    names, apply = _change(widget, value)
    before = {name: stored(widget).get(name) for name in names}
    trait_error = library_class("traitlets.traitlets", "TraitError")
    try:
        apply()
    except Exception as error:
        unchanged = all(_is_same(stored(widget).get(name), old) for name, old in before.items())
        if trait_error is not None and isinstance(error, trait_error) and unchanged:
            raise _refused(widget, f"does not take {value_text(value)}: {str(error).rstrip('.')}") from None
        raise
    finally:
        # ipywidgets does not send a value back to the page that set it; here no page did.
        widget.send_state(names)


def _change(widget: Widget, value: object) -> tuple[list[str], Callable[[], None]]:
    """Return the traits that a value changes, and what changes them."""
    if library_kind(widget) in DATES:
        # Not as the page does: the library reads the time in UTC that it has written as local time.
        return ["value"], partial(widget.set_trait, "value", _date(widget, value))
    state = _front_end_state(widget, value)
    if not is_finite_change(stored(widget), state):
        raise _refused(widget, f"takes finite numbers, not {value_text(value)}")
    return list(state), partial(widget.set_state, state)


def _front_end_state(widget: Widget, value: object) -> dict[str, Any]:
    """Return the state that the front end would send for a value."""
    state = stored(widget)
    if "_options_labels" in state:
        return {"index": _index(widget, value)}
    if "value" not in state:  # an anywidget, a container: by trait
        if not isinstance(value, dict) or not value:
            raise _refused(widget, f"takes values by trait, not {value_text(value)}", _traits_hint(widget))
        unknown = [name for name in value if name not in widget.keys or str(name).startswith("_")]
        if unknown:
            raise _refused(widget, f"has no trait {unknown[0]!r}", _traits_hint(widget))
        return dict(value)
    _require_number(widget, value)
    return {"value": value}


def _index(widget: Widget, value: object) -> Any:
    labels, options = list(stored(widget)["_options_labels"]), [option for _, option in widget._options_full]  # noqa: SLF001  # no public way to the values
    multiple = isinstance(widget.index, tuple)
    if multiple:
        if not isinstance(value, list):
            raise _refused(widget, f"takes a list, not {value_text(value)}", f"Options: {listed(labels)}.")
        return [_position(widget, labels, options, item) for item in value]
    return None if value is None else _position(widget, labels, options, value)


def _position(widget: object, labels: Sequence[object], options: Sequence[object], value: object) -> int:
    if value in labels:
        return labels.index(value)
    for position, option in enumerate(options):
        alike = type(option) is type(value) or (is_number(option) and is_number(value))
        if alike and option == value:
            return position
    raise _refused(widget, f"has no option {value_text(value)}", f"Options: {listed(labels)}.")


def _date(widget: object, value: object) -> dt.date | dt.time | None:
    """Read a date or a time, which the widget would silently move into its limits, or its time zone away."""
    if value is None:
        return None
    kind: Any = DATES[library_kind(widget)]
    try:
        read = kind.fromisoformat(value)
    except (TypeError, ValueError):
        raise _refused(widget, f"takes an ISO {kind.__name__}, not {value_text(value)}") from None
    if library_kind(widget) == "DatetimePicker":
        read = read.astimezone()
    elif getattr(read, "tzinfo", None) is not None:
        raise _refused(widget, f"takes an ISO {kind.__name__} without a time zone, not {value}")
    low, high = limits(widget, stored(widget))
    if (low is not None and read < low) or (high is not None and read > high):
        raise _refused(widget, f"takes an ISO {kind.__name__} from {low} to {high}, not {value}")
    date: dt.date | dt.time = read
    return date


def _require_number(widget: object, value: object) -> None:
    """Refuse numbers that the widget would silently clip to its range, or cut to whole ones."""
    low, high = limits(widget, stored(widget))
    for item in value if isinstance(value, (list, tuple)) else [value]:
        number = _number_that_is_read(widget, item)
        if number is None:
            continue
        if (is_number(low) and number < low) or (is_number(high) and number > high):
            raise _refused(widget, f"takes numbers from {low} to {high}, not {number}")
        if library_kind(widget) in WHOLE_NUMBERS and type(number) is float and not number.is_integer():
            raise _refused(widget, f"takes whole numbers, not {number}")
        if not is_finite(number):
            raise _refused(widget, f"takes finite numbers, not {number}")


def _number_that_is_read(widget: object, item: object) -> float | None:
    """Return the number that the widget makes of an item: those of numbers read text too, "nan" as well."""
    if is_number(item):
        return item
    if not isinstance(item, str) or not library_kind(widget).removeprefix("Bounded").startswith(_NUMERIC):
        return None
    number = number_read(item)
    if library_kind(widget) in WHOLE_NUMBERS and not item.strip().lstrip("+-").isdecimal():
        return None  # the widget refuses it
    return number


def _is_same(now: object, old: object) -> bool:
    """Return whether a value is as it was: a refused one may have been put back as an equal list."""
    return now is old or (type(now) is type(old) and type(now) in {list, tuple} and now == old)


def _refused(widget: object, reason: str, hint: str = "") -> BridgeError:
    return BridgeError("ui_value_refused", f"{shown_kind(widget)} {reason}.", hint)


def _traits_hint(widget: Widget) -> str:
    return f"Traits: {listed([name for name in sorted(widget.keys) if not name.startswith('_')])}."
