"""The ipywidgets of the notebook: their values, and the values that they accept.

The library is the user's and is never imported here. Its widgets are not in the dataflow graph: a new value runs their
callbacks, and cells only if a callback calls a `mo.state` setter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.inspecting import accepted_values
from marimo_kernel_bridge.inspecting.value_text import value_text
from marimo_kernel_bridge.inspecting.widget_input import set_value
from marimo_kernel_bridge.inspecting.widget_traits import (
    DATES,
    is_input,
    is_number,
    is_of_the_library,
    is_widget,
    library_kind,
    limits,
    own_traits,
    registered,
    shown_kind,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from marimo_kernel_bridge.protocol.inspection import UiElement

__all__ = ["elements", "find", "set_value"]

_MOST_UNNAMED: Final = 50
_KINDS: Final[dict[type, str]] = {
    bool: accepted_values.BOOLEAN,
    str: "text",
    int: "a whole number",
    float: "a number",
    tuple: "a list",
    list: "a list",
}


def elements(names: Mapping[str, object]) -> list[UiElement]:
    """Return the widgets with a value: those in variables, then others, as `interact` creates them. Any thread."""
    named = [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and is_widget(value)
    ]
    named_ids = {id(widget) for _, widget in named}
    unnamed = [
        (str(key), widget)
        for key, widget in registered().items()
        if id(widget) not in named_ids
        and is_widget(widget)
        and is_of_the_library(widget)
        and is_input(widget)
    ]
    inputs = [(name, widget) for name, widget in named if is_input(widget)]
    return [_described(name, widget) for name, widget in [*inputs, *unnamed[:_MOST_UNNAMED]]]


def find(target: str, names: Mapping[str, object]) -> object | None:
    """Return the widget that a variable holds, or that has this id; None if there is none."""
    widget = names.get(target) if target in names else registered().get(target)
    return widget if is_widget(widget) else None


def _described(name: str, widget: object) -> UiElement:
    try:
        return _told(name, widget)
    except Exception:  # noqa: BLE001  # traits that the library itself would not set; the other widgets are listed
        return accepted_values.described(
            name, shown_kind(widget), value="", accepts="", label=None, runs_readers=False
        )


def _told(name: str, widget: object) -> UiElement:
    state = stored(widget)
    return accepted_values.described(
        name,
        shown_kind(widget),
        value=_shown_value(widget, state),
        accepts=_accepts(widget, state),
        label=state.get("description"),
        runs_readers=False,
    )


def _shown_value(widget: object, state: Mapping[str, Any]) -> str:
    kind = library_kind(widget)
    if kind == "Button":
        return ""
    if kind == "Password" and state["value"]:
        return accepted_values.HIDDEN
    return value_text(_value(state), accepted_values.LONGEST)


def _value(state: Mapping[str, object]) -> object:
    labels, index = state.get("_options_labels"), state.get("index")
    if type(labels) is tuple:
        chosen = [
            labels[place] for place in (index if type(index) is tuple else (index,)) if type(place) is int
        ]
        return chosen if type(index) is tuple else next(iter(chosen), None)
    return state["value"] if "value" in state else dict(own_traits(state))


def _accepts(widget: object, state: Mapping[str, Any]) -> str:
    if library_kind(widget) == "Button":
        return accepted_values.CLICK
    if "_options_labels" in state:
        return _choice(widget, state)
    if "value" not in state:
        return accepted_values.any_of(name for name, _ in own_traits(state))
    return _values(widget, state)


def _values(widget: object, state: Mapping[str, Any]) -> str:
    low, high = limits(widget, state)
    if library_kind(widget) in DATES:
        first, last = (None if end is None else value_text(end) for end in (low, high))
        return f"an ISO {DATES[library_kind(widget)].__name__}{accepted_values.range_of(first, last, None)}"
    if is_number(low) or is_number(high):
        return _numbers(state, low, high)
    tags = state.get("allowed_tags")
    if type(tags) is list and tags:
        return accepted_values.several_of(tags)
    return _KINDS.get(type(state["value"]), "")


def _choice(widget: object, state: Mapping[str, Any]) -> str:
    options = list(state["_options_labels"])
    if library_kind(widget) == "SelectionRangeSlider":
        return accepted_values.two_of(options)
    several = type(state.get("index")) is tuple
    return accepted_values.several_of(options) if several else accepted_values.one_of(options)


def _numbers(state: Mapping[str, Any], low: object, high: object) -> str:
    step = state.get("step")
    ends = accepted_values.range_of(low, high, step if is_number(step) and "base" not in state else None)
    kinds: dict[type, str] = {tuple: "two numbers", list: "a list of numbers"}
    return f"{kinds.get(type(state['value']), 'a number')}{ends}"
