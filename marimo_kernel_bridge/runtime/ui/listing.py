"""Which `mo.ui` elements variables hold, what their values are, and which values they take. Sets nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from marimo._plugins.ui._core.ui_element import UIElement

from marimo_kernel_bridge.inspecting.value_text import shorten, value_text
from marimo_kernel_bridge.protocol.inspection import UiElement

_MOST_OPTIONS: Final = 20
_LONGEST: Final = 300
_OPEN_DATES: Final = ("0001-01-01", "9999-12-31")


def elements(names: Mapping[str, object]) -> list[UiElement]:
    """Return the UI elements that global variables hold. Any thread: only marimo's own attributes are read."""
    held = [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and isinstance(value, UIElement)
    ]
    return [_described(name, element) for name, element in held]


def _described(name: str, element: Any) -> UiElement:
    label = element._args.label
    return UiElement(
        element=name,
        kind=f"mo.ui.{type(element).__name__}",
        value=value_text(element._value, _LONGEST),
        takes=shorten(takes(element), _LONGEST),
        label=shorten(label, 80) if type(label) is str else "",
        runs_readers=True,
    )


def takes(element: Any) -> str:
    """Return a description of the values that an element takes, empty if there is none."""
    told = _TAKES.get(element._args.component_name)
    with suppress(AttributeError, KeyError, TypeError):
        return "" if told is None else told(element, element._component_args)
    return ""


def _text(_element: Any, args: Mapping[str, Any]) -> str:
    most = args.get("max-length")
    return "text" if most is None else f"text of at most {most} characters"


def _rows(_element: Any, args: Mapping[str, Any]) -> str:
    return f"a list of row numbers, 0 to {args['total-rows'] - 1}" if args.get("selection") else ""


def _form(element: Any, _args: Mapping[str, Any]) -> str:
    inner = takes(element.element)
    return f"{inner}, submitted at once" if inner else ""


def _items(element: Any, _args: Mapping[str, Any]) -> str:
    inside = element._elements
    items = inside.items() if isinstance(inside, dict) else enumerate(inside)
    return "an object with any of: " + "; ".join(f"{key}: {takes(one)}" for key, one in items)


def _number(args: Mapping[str, Any]) -> str:
    if args.get("steps"):
        return f"one of {_options(args['steps'])}"
    start, stop, step = args["start"], args["stop"], args["step"]
    ends = (f" from {start}" if start is not None else "") + (f" to {stop}" if stop is not None else "")
    return f"a number{ends}" + (f" in steps of {step}" if step else "")


def _dates(what: str, args: Mapping[str, Any]) -> str:
    ends = (args["start"], args["stop"])
    if all(str(end).startswith(open_end) for end, open_end in zip(ends, _OPEN_DATES, strict=True)):
        return what
    return f"{what} from {ends[0]} to {ends[1]}"


def _options(options: list[Any]) -> str:
    shown = ", ".join(value_text(option, 60) for option in options[:_MOST_OPTIONS])
    more = len(options) - _MOST_OPTIONS
    return shown + (f" and {more} more" if more > 0 else "")


_Told = Callable[[Any, Mapping[str, Any]], str]

_TAKES: Final[dict[str, _Told]] = {
    "marimo-anywidget": lambda element, _: f"an object with any of: {', '.join(sorted(element.widget.keys))}",
    "marimo-button": lambda *_: "true, which is a click",
    "marimo-checkbox": lambda *_: "true or false",
    "marimo-code-editor": _text,
    "marimo-date": lambda _, args: _dates("an ISO date", args),
    "marimo-date-range": lambda _, args: _dates("two ISO dates", args),
    "marimo-datetime": lambda _, args: _dates("an ISO date and time", args),
    "marimo-dict": _items,
    "marimo-dropdown": lambda _, args: f"one of {_options(args['options'])}",
    "marimo-file": lambda *_: 'a list of files: {"name": "a.csv", "contents": "<base64>"}',
    "marimo-form": _form,
    "marimo-matrix": lambda *_: "a list of rows of numbers",
    "marimo-multiselect": lambda _, args: f"a list of {_options(args['options'])}",
    "marimo-number": lambda _, args: _number(args),
    "marimo-radio": lambda _, args: f"one of {_options(args['options'])}",
    "marimo-range-slider": lambda _, args: f"two of: {_number(args)}",
    "marimo-slider": lambda _, args: _number(args),
    "marimo-switch": lambda *_: "true or false",
    "marimo-table": _rows,
    "marimo-tabs": lambda element, _: f"one of {_options(list(element._tab_keys))}",
    "marimo-text": _text,
    "marimo-text-area": _text,
}
