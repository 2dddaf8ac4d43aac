"""Conversion of values for UI elements to the form that marimo's frontend sends.

marimo accepts the messages of its own frontend: the index of a slider's step, the key of an option, rows as text. People
and agents give the value itself. This module finds elements and converts values of elements that contain others;
`inputs` converts those of single inputs. The engine sets the values.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from marimo._plugins.ui._core.ui_element import UIElement

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.finite_numbers import is_finite, is_finite_change
from marimo_kernel_bridge.runtime.ui import inputs
from marimo_kernel_bridge.runtime.ui.inputs import Element, listed, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo._plugins.ui._core.registry import UIElementRegistry


def find(target: str, names: Mapping[str, object], registry: UIElementRegistry) -> UIElement[Any, Any]:
    """Return the element that a global variable holds, or that has this id. Raises `BridgeError`."""
    element = names.get(target)
    if isinstance(element, UIElement):
        return element
    reference = registry._objects.get(target)  # type: ignore[call-overload]  # ids are a NewType of str
    registered = None if reference is None else reference()
    if isinstance(registered, UIElement):
        return registered
    variables = sorted(
        name for name, value in names.items() if isinstance(value, UIElement) and name[:1] != "_"
    )
    problem = "is no UI element" if target in names else "names no UI element"
    raise BridgeError(
        "no_such_ui_element",
        f"{target!r} {problem}.",
        f"UI elements in variables: {listed(variables)}."
        if variables
        else "No variable holds one; run the cell that makes it.",
    )


def frontend_value(element: Element, value: object) -> Any:
    """Return the value that marimo's frontend would send for `value`. Raises `BridgeError`: ui_value_refused."""
    kind = element._args.component_name
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        if kind in _NOT_INPUTS:
            raise refused(element, "shows something and has no value to set")
        converted = value  # the frontend's own JSON: selections in charts, transforms and edits of tables
    else:
        converted = convert(element, value)
    if not is_finite(converted):
        raise refused(element, f"takes finite numbers, not {value!r}")
    return converted


def _form(element: Element, value: object) -> Any:
    if value is None:
        return None
    converted = frontend_value(element.element, value)
    objection = None if element.validate is None else element.validate(converted)
    if objection is not None:
        raise refused(element, f"does not take {value!r}: {objection}")
    return converted


def _items(element: Element, value: object) -> dict[str, Any]:
    """Return the values of an array, a dictionary or a batch: of all keys, or of some."""
    elements = element._elements
    if isinstance(elements, dict):
        by_key = dict(elements)
    else:
        by_key = {str(index): item for index, item in enumerate(elements)}
        if isinstance(value, (list, tuple)):
            if len(value) != len(by_key):
                raise refused(element, f"holds {len(by_key)} elements, not {len(value)}")
            value = dict(zip(by_key, value, strict=True))
    if not isinstance(value, dict):
        raise refused(element, f"takes values by key, not {value!r}", f"Keys: {listed(list(by_key))}.")
    values = {str(key): item_value for key, item_value in value.items()}
    for key in values:
        if key not in by_key:
            raise refused(element, f"holds no {key!r}", f"Keys: {listed(list(by_key))}.")
    return {key: frontend_value(by_key[key], item_value) for key, item_value in values.items()}


def _rows(element: Element, value: object) -> list[Any]:
    if element._selection is None:
        raise refused(element, "was made without selection")
    rows = [value] if isinstance(value, int) else value
    if not isinstance(rows, (list, tuple)):
        raise refused(element, f"takes a list of row numbers, not {value!r}")
    if element._selection.startswith("single") and len(rows) > 1:
        raise refused(element, f"takes one selection, not {len(rows)}")
    if element._selection.endswith("cell"):
        for cell in rows:
            if not isinstance(cell, dict) or not {"rowId", "columnName"} <= cell.keys():
                raise refused(element, f"takes cells, not {cell!r}", _CELL_HINT)
        return list(rows)
    total = element._manager.get_num_rows()
    for row in rows:
        if not isinstance(row, (int, str)) or not str(row).isdecimal():
            raise refused(element, f"takes row numbers, not {row!r}")
        if total is not None and int(row) >= total:
            raise refused(element, f"has rows 0 to {total - 1}, not {row}")
    return [str(row) for row in rows]


_CELL_HINT: Final = 'A cell is {"rowId": "0", "columnName": "a"}.'


def _tab(element: Element, value: object) -> str:
    keys = list(element._tab_keys)
    if value in keys:
        return str(keys.index(value))
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(keys):
        return str(value)
    raise refused(element, f"has no tab {value!r}", f"Tabs: {listed([str(key) for key in keys])}.")


def _matrix(element: Element, value: object) -> list[list[Any]]:
    shape = [len(row) for row in element._value_frontend]
    given = value
    if element._is_vector and isinstance(value, list):
        numbers = iter(value)
        given = [list(itertools.islice(numbers, width)) for width in shape]
        given += [[number] for number in numbers]  # too many: refused with the others
    if not isinstance(given, list) or [len(row) if isinstance(row, list) else -1 for row in given] != shape:
        raise refused(element, f"takes numbers in rows of {shape}, not {value!r}")
    ends = (element._component_args[name] for name in ("min-value", "max-value"))
    lowest, highest = (itertools.repeat(itertools.repeat(None)) if end is None else end for end in ends)
    for numbers, lows, highs in zip(given, lowest, highest, strict=False):
        for number, low, high in zip(numbers, lows, highs, strict=False):
            if not inputs.is_number(number):
                raise refused(element, f"takes numbers, not {number!r}")
            if (low is not None and number < low) or (high is not None and number > high):
                raise refused(element, f"takes numbers from {low} to {high} here, not {number!r}")
    return given


def _widget(element: Element, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refused(element, f"takes values by trait, not {value!r}")
    traits = sorted(element.widget.keys)
    for name in value:
        if name not in traits:
            raise refused(element, f"has no trait {name!r}", f"Traits: {listed(traits)}.")
    from marimo_kernel_bridge.inspecting.widget_traits import stored  # noqa: PLC0415  # few notebooks have a widget

    if not is_finite_change(stored(element.widget), value):
        raise refused(element, f"takes finite numbers, not {value!r}")
    return value


_CONVERSIONS: Final[dict[str, Callable[[Element, object], Any]]] = {
    "marimo-anywidget": _widget,
    "marimo-button": inputs.click,
    "marimo-checkbox": inputs.boolean,
    "marimo-code-editor": inputs.text,
    "marimo-date": inputs.date,
    "marimo-date-range": inputs.date_range,
    "marimo-datetime": inputs.date,
    "marimo-dict": _items,
    "marimo-dropdown": inputs.dropdown,
    "marimo-file": inputs.files,
    "marimo-file-browser": inputs.paths,
    "marimo-form": _form,
    "marimo-matrix": _matrix,
    "marimo-multiselect": inputs.multiselect,
    "marimo-number": inputs.number,
    "marimo-radio": inputs.radio,
    "marimo-range-slider": inputs.slider_range,
    "marimo-slider": inputs.slider_step,
    "marimo-switch": inputs.boolean,
    "marimo-table": _rows,
    "marimo-tabs": _tab,
    "marimo-text": inputs.text,
    "marimo-text-area": inputs.text,
}
_NOT_INPUTS: Final = frozenset({"marimo-download", "marimo-lazy", "marimo-routes"})
