"""The `mo.ui` elements in variables: their values, and the values that they accept. Sets nothing, and runs no code.

Elements are told by their type, since `isinstance` asks the object, and read from their attributes' dict: a class of the user's
may be one of an element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeGuard

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
from marimo_kernel_bridge.inspecting.value_text import bases, class_name, instance_dict, is_one_of, value_text
from marimo_kernel_bridge.inspecting.widget_traits import trait_names
from marimo_kernel_bridge.runtime.ui.inputs import Element

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.inspection import UiElement

_OPEN_DATES: Final = ("0001-01-01", "9999-12-31")


def elements(names: Mapping[str, object]) -> list[UiElement]:
    """Return the UI elements that global variables hold. Any thread: only marimo's own attributes are read."""
    held = [
        (name, value)
        for name, value in list(names.items())
        if type(name) is str and not name.startswith("_") and _is_element(value)
    ]
    return [_described(name, element) for name, element in held]


def _is_element(value: object) -> TypeGuard[Element]:
    return any(base is UIElement for base in bases(type(value)))


def _described(name: str, element: Element) -> UiElement:
    parts = instance_dict(element)
    return accepted_values.described(
        name,
        f"mo.ui.{class_name(type(element)).rpartition('.')[2]}",
        value=HIDDEN if _hides(element) else value_text(parts["_value"], accepted_values.LONGEST),
        accepts=takes(element),
        label=parts["_args"].label,
        runs_readers=True,
    )


def _hides(element: Element) -> bool:
    """Return whether an element, or one inside it, holds a password, which is only dots on the page too."""
    parts = instance_dict(element)
    items = _inside(element)
    if parts["_args"].component_name == "marimo-form":
        items.append(("", parts["element"]))
    is_password = parts["_component_args"].get("kind") == "password"
    is_empty = is_one_of(type(parts["_value"]), (str, type(None))) and not parts["_value"]
    return (is_password and not is_empty) or any(_hides(item) for _, item in items if _is_element(item))


def _inside(element: Element) -> list[tuple[object, Element]]:
    inside = instance_dict(element).get("_elements", ())
    if is_one_of(type(inside), (list, tuple)):
        return list(enumerate(inside))
    return list(inside.items()) if type(inside) is dict else []


def takes(element: Element) -> str:
    """Return a description of the values that an element accepts, empty if there is none."""
    with suppress(AttributeError, KeyError, TypeError):
        parts = instance_dict(element)
        describe = _TAKES.get(parts["_args"].component_name)
        return "" if describe is None else describe(element, parts["_component_args"])
    return ""


def _text(_element: Element, args: Mapping[str, Any]) -> str:
    most = args.get("max-length")
    return "text" if most is None else f"text of at most {most} characters"


def _rows(_element: Element, args: Mapping[str, Any]) -> str:
    return f"a list of row numbers, 0 to {args['total-rows'] - 1}" if args.get("selection") else ""


def _form(element: Element, _args: Mapping[str, Any]) -> str:
    inner = takes(instance_dict(element)["element"])
    return f"{inner}, submitted at once" if inner else ""


def _items(element: Element, _args: Mapping[str, Any]) -> str:
    items = [f"{_plain(key)}: {takes(item)}" for key, item in _inside(element) if _is_element(item)]
    return f"an object with any of: {'; '.join(items)}"


def _plain(value: object) -> str:
    """Return a text as it is, and another value without running its code."""
    return value if type(value) is str else value_text(value)


def _number(args: Mapping[str, Any]) -> str:
    if args.get("steps"):
        return one_of(args["steps"])
    return f"a number{range_of(args['start'], args['stop'], args['step'])}"


def _dates(kind: str, args: Mapping[str, Any]) -> str:
    ends = (args["start"], args["stop"])
    first, last = map(_plain, ends)
    if all(end.startswith(open_end) for end, open_end in zip((first, last), _OPEN_DATES, strict=True)):
        return kind
    return f"{kind} from {first} to {last}"


_Describe = Callable[[Element, Mapping[str, Any]], str]

_TAKES: Final[dict[str, _Describe]] = {
    "marimo-anywidget": lambda element, _: any_of(sorted(trait_names(instance_dict(element)["widget"]))),
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
    "marimo-tabs": lambda element, _: one_of(list(instance_dict(element)["_tab_keys"])),
    "marimo-text": _text,
    "marimo-text-area": _text,
}
