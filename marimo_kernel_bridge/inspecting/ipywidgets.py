"""The ipywidgets of the notebook: their values, the values that they accept, and setting one as a front end does.

The library is the user's and is never imported here. Its widgets are not in the dataflow graph: a new value runs their
callbacks, and cells only if a callback calls a `mo.state` setter.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting import accepted_values
from marimo_kernel_bridge.inspecting.accepted_values import listed
from marimo_kernel_bridge.inspecting.value_text import bases, library_class, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marimo_kernel_bridge.protocol.inspection import UiElement

_MODULE: Final = "ipywidgets.widgets.widget"
_MOST_UNNAMED: Final = 50
_DATES: Final = {
    "DatePicker": dt.date,
    "NaiveDatetimePicker": dt.datetime,
    "DatetimePicker": dt.datetime,
    "TimePicker": dt.time,
}


def elements(names: Mapping[str, object]) -> list[UiElement]:
    """Return the widgets with a value: those in variables, then others, as `interact` creates them. Any thread."""
    named = [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and _is_widget(value)
    ]
    named_ids = {id(widget) for _, widget in named}
    unnamed = [
        (str(key), widget)
        for key, widget in _registry().items()
        if id(widget) not in named_ids
        and _is_widget(widget)
        and _of_the_library(widget)
        and _is_input(widget)
    ]
    inputs = [(name, widget) for name, widget in named if _is_input(widget)]
    return [_described(name, widget) for name, widget in [*inputs, *unnamed[:_MOST_UNNAMED]]]


def find(target: str, names: Mapping[str, object]) -> object | None:
    """Return the widget that a variable holds, or that has this id; None if there is none."""
    widget = names.get(target) if target in names else _registry().get(target)
    return widget if _is_widget(widget) else None


def set_value(widget: Any, value: object) -> None:
    """Set a widget as its front end would, and show the new value there. Exceptions of its callbacks propagate.

    Raises `BridgeError`: ui_value_refused.
    """
    if _name(widget) == "Button":
        if value is False:
            raise _refused(widget, "can be clicked, with any value but false")
        widget.click()
        return
    state = _front_end_state(widget, value)
    before = {name: _state(widget).get(name) for name in state}
    trait_error = library_class("traitlets.traitlets", "TraitError")
    try:
        widget.set_state(state)
    except Exception as error:
        unchanged = all(_state(widget).get(name) is old for name, old in before.items())
        if trait_error is not None and isinstance(error, trait_error) and unchanged:
            raise _refused(widget, f"does not take {value_text(value)}: {error}") from None
        raise
    finally:
        # ipywidgets does not send a value back to the page that set it; here no page did.
        widget.send_state(list(state))


def _front_end_state(widget: Any, value: object) -> dict[str, Any]:
    """Return the state that the front end would send for a value."""
    state = _state(widget)
    if "_options_labels" in state:
        return {"index": _index(widget, value)}
    if "value" not in state:  # an anywidget, a container: by trait
        if not isinstance(value, dict) or not value:
            raise _refused(widget, f"takes values by trait, not {value_text(value)}", _traits_hint(widget))
        unknown = [name for name in value if name not in widget.keys or str(name).startswith("_")]
        if unknown:
            raise _refused(widget, f"has no trait {unknown[0]!r}", _traits_hint(widget))
        return dict(value)
    if (kind := _DATES.get(_name(widget))) is not None and value is not None:
        to_json = widget.trait_metadata("value", "to_json")
        return {"value": to_json(_date(widget, kind, value), widget)}
    _require_range(widget, state, value)
    return {"value": value}


def _index(widget: Any, value: object) -> Any:
    labels, options = list(_state(widget)["_options_labels"]), [option for _, option in widget._options_full]  # noqa: SLF001  # no public way to the values
    multiple = isinstance(widget.index, tuple)
    if multiple:
        if not isinstance(value, list):
            raise _refused(widget, f"takes a list, not {value_text(value)}", f"Options: {listed(labels)}.")
        return [_position(widget, labels, options, item) for item in value]
    return None if value is None else _position(widget, labels, options, value)


def _position(widget: object, labels: Sequence[object], options: Sequence[object], value: object) -> int:
    for position, (label, option) in enumerate(zip(labels, options, strict=True)):
        if value == label or (type(option) is type(value) and option == value):
            return position
    raise _refused(widget, f"has no option {value_text(value)}", f"Options: {listed(labels)}.")


def _date(widget: object, kind: Any, value: object) -> Any:
    try:
        return kind.fromisoformat(value)
    except (TypeError, ValueError):
        raise _refused(widget, f"takes an ISO {kind.__name__}, not {value_text(value)}") from None


def _require_range(widget: object, state: Mapping[str, object], value: object) -> None:
    """Refuse numbers that the widget would silently clip to its range."""
    low, high = state.get("min"), state.get("max")
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if _is_number(number) and (
            (_is_number(low) and number < low) or (_is_number(high) and number > high)
        ):
            raise _refused(widget, f"takes numbers from {low} to {high}, not {number}")


def _refused(widget: object, reason: str, hint: str = "") -> BridgeError:
    return BridgeError("ui_value_refused", f"ipywidgets.{_name(widget)} {reason}.", hint)


def _traits_hint(widget: Any) -> str:
    return f"Traits: {listed([name for name in sorted(widget.keys) if not name.startswith('_')])}."


# -- reading, which runs no code of the widgets --------------------------------------------------------------------


def _described(name: str, widget: object) -> UiElement:
    state = _state(widget)
    kind = _name(widget)
    return accepted_values.described(
        name,
        f"ipywidgets.{kind}" if _of_the_library(widget) else kind,
        value="" if kind == "Button" else value_text(_value(state), accepted_values.LONGEST),
        accepts=_accepts(widget, state),
        label=state.get("description"),
        runs_readers=False,
    )


def _value(state: Mapping[str, object]) -> object:
    labels, index = state.get("_options_labels"), state.get("index")
    if type(labels) is tuple:
        chosen = [
            labels[place] for place in (index if type(index) is tuple else (index,)) if type(place) is int
        ]
        return chosen if type(index) is tuple else next(iter(chosen), None)
    return state["value"] if "value" in state else dict(_own_traits(state))


def _accepts(widget: object, state: Mapping[str, Any]) -> str:
    name = _name(widget)
    if name == "Button":
        return accepted_values.CLICK
    if "_options_labels" in state:
        options = list(state["_options_labels"])
        several = type(state.get("index")) is tuple
        return accepted_values.several_of(options) if several else accepted_values.one_of(options)
    if name in _DATES:
        return f"an ISO {_DATES[name].__name__}"
    value = state.get("value")
    low, high, step = (state.get(name) for name in ("min", "max", "step"))
    if _is_number(low) or _is_number(high):
        ends = accepted_values.range_of(low, high, step if _is_number(step) else None)
        return f"two numbers{ends}" if type(value) is tuple else f"a number{ends}"
    if "value" not in state:
        return accepted_values.any_of(name for name, _ in _own_traits(state))
    kinds = {
        bool: accepted_values.BOOLEAN,
        str: "text",
        int: "a whole number",
        float: "a number",
        tuple: "a list",
    }
    return kinds.get(type(value), "")


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) is int or type(value) is float


def _own_traits(state: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the widget's own traits, without those that every widget has."""
    common = {"comm", "keys", "layout", "style", "tabbable", "tooltip"}
    for name, value in state.items():
        if not name.startswith("_") and name not in common:
            yield name, value


def _is_input(widget: object) -> bool:
    """Return whether a person can set a widget: not a layout, nor a display."""
    state = _state(widget)
    if _name(widget) == "Button":
        return True
    if _of_the_library(widget):
        shown_only = {"HTML", "HTMLMath", "Label", "Image", "Video", "Audio", "Valid", "FileUpload"}
        progress = _name(widget) in {"IntProgress", "FloatProgress"}
        has_value = "value" in state or "_options_labels" in state
        return has_value and _name(widget) not in shown_only and not progress
    return any(True for _ in _own_traits(state))


def _is_widget(value: object) -> TypeGuard[Any]:
    kind = library_class(_MODULE, "Widget")
    return kind is not None and any(base is kind for base in bases(type(value)))


def _of_the_library(widget: object) -> bool:
    return type(widget).__module__.startswith("ipywidgets.")


def _name(widget: object) -> str:
    return type(widget).__name__


def _state(widget: object) -> Mapping[str, Any]:
    """Return the values of traits as they are stored: reading a trait may run code."""
    stored = object.__getattribute__(widget, "__dict__").get("_trait_values")
    return dict(stored) if type(stored) is dict else {}


def _registry() -> dict[object, object]:
    """Return all live widgets by their ids."""
    instances = vars(sys.modules[_MODULE]).get("_instances") if _MODULE in sys.modules else None
    return dict(instances) if type(instances) is dict else {}
