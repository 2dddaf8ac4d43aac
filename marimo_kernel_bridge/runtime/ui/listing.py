"""The `mo.ui` elements in variables: their values, and the values that they accept. Sets nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from marimo._plugins.ui._core.ui_element import UIElement

from marimo_kernel_bridge.inspecting import accepted_values
from marimo_kernel_bridge.inspecting.accepted_values import (
    BOOLEAN,
    CLICK,
    HIDDEN,
    any_of,
    one_of,
    range_of,
    several_of,
)
from marimo_kernel_bridge.inspecting.value_text import value_text
from marimo_kernel_bridge.runtime.ui.inputs import Element

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.inspection import UiElement

_OPEN_DATES: Final = ("0001-01-01", "9999-12-31")


def elements(names: Mapping[str, object]) -> list[UiElement]:
    """Return the UI elements that global variables hold. Any thread: only marimo's own attributes are read."""
    held = [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and isinstance(value, UIElement)
    ]
    return [_described(name, element) for name, element in held]


def _described(name: str, element: Element) -> UiElement:
    return accepted_values.described(
        name,
        f"mo.ui.{type(element).__name__}",
        value=HIDDEN if _hides(element) else value_text(element._value, accepted_values.LONGEST),
        accepts=takes(element),
        label=element._args.label,
        runs_readers=True,
    )


def _hides(element: Element) -> bool:
    """Return whether an element, or one inside it, holds a password, which is only dots on the page too."""
    inside = getattr(element, "_elements", ())
    items = [*(inside.values() if isinstance(inside, dict) else inside)]
    if element._args.component_name == "marimo-form":
        items.append(element.element)
    is_password = element._component_args.get("kind") == "password"
    return (is_password and bool(element._value)) or any(map(_hides, items))


def takes(element: Element) -> str:
    """Return a description of the values that an element accepts, empty if there is none."""
    describe = _TAKES.get(element._args.component_name)
    with suppress(AttributeError, KeyError, TypeError):
        return "" if describe is None else describe(element, element._component_args)
    return ""


def _text(_element: Element, args: Mapping[str, Any]) -> str:
    most = args.get("max-length")
    return "text" if most is None else f"text of at most {most} characters"


def _rows(_element: Element, args: Mapping[str, Any]) -> str:
    return f"a list of row numbers, 0 to {args['total-rows'] - 1}" if args.get("selection") else ""


def _form(element: Element, _args: Mapping[str, Any]) -> str:
    inner = takes(element.element)
    return f"{inner}, submitted at once" if inner else ""


def _items(element: Element, _args: Mapping[str, Any]) -> str:
    inside = element._elements
    items = inside.items() if isinstance(inside, dict) else enumerate(inside)
    return "an object with any of: " + "; ".join(f"{key}: {takes(item)}" for key, item in items)


def _number(args: Mapping[str, Any]) -> str:
    if args.get("steps"):
        return one_of(args["steps"])
    return f"a number{range_of(args['start'], args['stop'], args['step'])}"


def _dates(kind: str, args: Mapping[str, Any]) -> str:
    ends = (args["start"], args["stop"])
    if all(str(end).startswith(open_end) for end, open_end in zip(ends, _OPEN_DATES, strict=True)):
        return kind
    return f"{kind} from {ends[0]} to {ends[1]}"


_Describe = Callable[[Element, Mapping[str, Any]], str]

_TAKES: Final[dict[str, _Describe]] = {
    "marimo-anywidget": lambda element, _: any_of(sorted(element.widget.keys)),
    "marimo-button": lambda *_: CLICK,
    "marimo-checkbox": lambda *_: BOOLEAN,
    "marimo-code-editor": _text,
    "marimo-date": lambda _, args: _dates("an ISO date", args),
    "marimo-date-range": lambda _, args: _dates("two ISO dates", args),
    "marimo-datetime": lambda _, args: _dates("an ISO date and time", args),
    "marimo-dict": _items,
    "marimo-dropdown": lambda _, args: one_of(args["options"]),
    "marimo-file": lambda *_: 'a list of files: {"name": "a.csv", "contents": "<base64>"}',
    "marimo-form": _form,
    "marimo-matrix": lambda *_: "a list of rows of numbers",
    "marimo-multiselect": lambda _, args: several_of(args["options"]),
    "marimo-number": lambda _, args: _number(args),
    "marimo-radio": lambda _, args: one_of(args["options"]),
    "marimo-range-slider": lambda _, args: f"two of: {_number(args)}",
    "marimo-slider": lambda _, args: _number(args),
    "marimo-switch": lambda *_: BOOLEAN,
    "marimo-table": _rows,
    "marimo-tabs": lambda element, _: one_of(list(element._tab_keys)),
    "marimo-text": _text,
    "marimo-text-area": _text,
}
