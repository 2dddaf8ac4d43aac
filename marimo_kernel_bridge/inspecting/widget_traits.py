"""What is stored in an ipywidget, read without running its code: its kind, its traits, the numbers that it takes.

The library is the user's and is never imported here.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from marimo_kernel_bridge.inspecting.value_text import bases, class_name, instance_dict, library_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATES: Final = {
    "DatePicker": dt.date,
    "NaiveDatetimePicker": dt.datetime,
    "DatetimePicker": dt.datetime,
    "TimePicker": dt.time,
}
"""The kinds whose value is a date or a time."""

WHOLE_NUMBERS: Final = frozenset(
    {"IntSlider", "IntText", "BoundedIntText", "IntRangeSlider", "IntsInput", "Play"}
)
"""The kinds that silently cut numbers to whole ones."""

_MODULE: Final = "ipywidgets.widgets.widget"
_SHOWN_ONLY: Final = frozenset(
    {"HTML", "HTMLMath", "Label", "Image", "Video", "Audio", "Valid", "FileUpload"}
    | {"IntProgress", "FloatProgress"}
)


def is_widget(value: object) -> TypeGuard[Any]:
    """Return whether a value is a widget."""
    kind = library_class(_MODULE, "Widget")
    return kind is not None and any(base is kind for base in bases(type(value)))


def is_input(widget: object) -> bool:
    """Return whether a person can set a widget: not a layout, nor a display."""
    kind, state = library_kind(widget), stored(widget)
    if kind in _SHOWN_ONLY:
        return False
    if kind == "Button" or "value" in state or "_options_labels" in state:
        return True
    return not is_of_the_library(widget) and any(True for _ in own_traits(state))


def library_kind(widget: object) -> str:
    """Return the name of the library's class that a widget is of, or that the user's class descends from."""
    names = (class_name(base).rpartition(".") for base in bases(type(widget)))
    return next(name for module, _, name in names if module.startswith("ipywidgets."))


def is_of_the_library(widget: object) -> bool:
    """Return whether the library itself has a widget's class."""
    return class_name(type(widget)).startswith("ipywidgets.")


def shown_kind(widget: object) -> str:
    """Return what a widget's class is called in texts."""
    name = class_name(type(widget)).rpartition(".")[2]
    return f"ipywidgets.{name}" if is_of_the_library(widget) else name


def stored(widget: object) -> Mapping[str, Any]:
    """Return the values of the traits that the page has too."""
    values = instance_dict(widget).get("_trait_values")
    return {name: values[name] for name in trait_names(widget) if name in values} if values else {}


def trait_names(widget: object) -> list[str]:
    """Return the names of the traits that the page has too."""
    values = instance_dict(widget).get("_trait_values")
    names = values.get("keys") if type(values) is dict else None
    return [name for name in names if type(name) is str] if type(names) is list else []


def own_traits(state: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield a widget's own traits, without those that every widget has."""
    common = {"layout", "style", "tabbable", "tooltip"}
    for name, value in state.items():
        if not name.startswith("_") and name not in common:
            yield name, value


def limits(widget: object, state: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the lowest and the highest number or date that a widget takes; None where there is no limit."""
    low, high = state.get("min"), state.get("max")
    if library_kind(widget) == "FloatLogSlider":  # these are exponents
        return _power(state["base"], low), _power(state["base"], high)
    return low, high


def _power(base: Any, exponent: Any) -> float | None:
    """Return a limit, None if no number is that large or small."""
    try:
        power = base**exponent
    except ArithmeticError:
        return None
    return power if is_number(power) else None


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number, and neither a truth value nor of a class of the user's."""
    return type(value) is int or type(value) is float


def registered() -> dict[object, object]:
    """Return all live widgets by their ids."""
    instances = vars(sys.modules[_MODULE]).get("_instances") if _MODULE in sys.modules else None
    return dict(instances) if type(instances) is dict else {}
