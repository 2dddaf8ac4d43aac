"""Values for UI elements from code: found by name or id, checked, and turned into what marimo's frontend would send.

marimo takes what its own frontend sends: the index of a slider's step, the key of an option, rows as text. A person
or an agent gives the value itself. Sets nothing; the engine does.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, Final

from marimo._plugins.ui._core.ui_element import UIElement

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo._plugins.ui._core.registry import UIElementRegistry

_MOST_NAMED: Final = 20


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
        f"UI elements in variables: {_listed(variables)}."
        if variables
        else "No variable holds one; run the cell that makes it.",
    )


def frontend_value(element: UIElement[Any, Any], value: object) -> Any:
    """Return what marimo's frontend would send for `value`. Raises `BridgeError`: ui_value_refused."""
    kind = element._args.component_name
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        if kind in _NOT_INPUTS:
            raise _refused(element, "shows something and has no value to set")
        return value  # the frontend's own JSON: selections in charts, transforms and edits of tables
    return convert(element, value)


def _refused(element: UIElement[Any, Any], reason: str, hint: str = "") -> BridgeError:
    return BridgeError("ui_value_refused", f"mo.ui.{type(element).__name__} {reason}.", hint)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _number_in(element: Any, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refused(element, f"takes a number, not {value!r}")
    start, stop = element.start, element.stop
    if (start is not None and value < start) or (stop is not None and value > stop):
        raise _refused(element, f"takes numbers from {start} to {stop}, not {value!r}")
    return value


def _step(element: Any, value: object) -> int | float:
    """Return what stands for one end of a slider."""
    if element._mapping is None:
        return _number_in(element, value)
    for index, step in element._mapping.items():
        if step == value:
            return int(index)
    raise _refused(
        element, f"takes one of its steps, not {value!r}", f"Steps: {list(element._mapping.values())}"
    )


def _range(element: Any, value: object) -> list[int | float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004  # two ends
        raise _refused(element, f"takes two numbers, not {value!r}")
    low, high = (_step(element, end) for end in value)
    if low > high:
        raise _refused(element, f"takes the lower end first, not {value!r}")
    return [low, high]


def _number(element: Any, value: object) -> int | float | None:
    return None if value is None else _number_in(element, value)


def _text(element: Any, value: object) -> str:
    if not isinstance(value, str):
        raise _refused(element, f"takes text, not {value!r}")
    longest = element._component_args.get("max-length")
    if longest is not None and len(value) > longest:
        raise _refused(element, f"takes at most {longest} characters, not {len(value)}")
    return value


def _truth(element: Any, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused(element, f"takes true or false, not {value!r}")
    return value


def _option(element: Any, value: object) -> str:
    """Return the key of an option, given that or the option itself."""
    options: dict[str, Any] = element.options
    if isinstance(value, str) and value in options:
        return value
    for key, option in options.items():
        if type(option) is type(value) and option == value:
            return key
    raise _refused(element, f"has no option {value!r}", f"Options: {_listed(list(options))}.")


def _dropdown(element: Any, value: object) -> list[str]:
    if value is None or value == []:
        if element._component_args.get("allow-select-none") is False:
            raise _refused(
                element, "takes one of its options, not nothing", f"Options: {_listed([*element.options])}."
            )
        return []
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return [_option(element, value)]


def _radio(element: Any, value: object) -> str | None:
    return None if value is None else _option(element, value)


def _multiselect(element: Any, value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _refused(element, f"takes a list of options, not {value!r}")
    most = element._component_args.get("max-selections")
    if most is not None and len(value) > most:
        raise _refused(element, f"takes at most {most} options, not {len(value)}")
    return [_option(element, option) for option in value]


def _click(element: Any, value: object) -> int:
    """Return the number of clicks with this one: any value but false is a click."""
    if value is False:
        raise _refused(element, "can be clicked, with any value but false")
    return int(element._value_frontend or 0) + 1


def _date(element: Any, value: object) -> str | None:
    if value is None and element._args.component_name == "marimo-datetime":
        return None
    text = value.isoformat() if isinstance(value, dt.date) else value
    try:
        parsed = element._convert_value(text) if isinstance(text, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise _refused(element, f"takes a date like {element.start.isoformat()}, not {value!r}")
    if not element.start <= parsed <= element.stop:
        raise _refused(element, f"takes dates from {element.start} to {element.stop}, not {text}")
    return str(text)


def _dates(element: Any, value: object) -> list[str]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004  # two ends
        raise _refused(element, f"takes two dates, not {value!r}")
    ends = [day.isoformat() if isinstance(day, dt.date) else day for day in value]
    try:
        first, last = element._convert_value(tuple(ends))
    except (ValueError, TypeError):
        raise _refused(element, f"takes two dates like {element.start.isoformat()}, not {value!r}") from None
    if not element.start <= first <= last <= element.stop:
        raise _refused(element, f"takes dates from {element.start} to {element.stop}, the first one first")
    return [str(day) for day in ends]


def _files(element: Any, value: object) -> list[list[str]]:
    files = [value] if isinstance(value, dict) else value
    if not isinstance(files, (list, tuple)):
        raise _refused(element, f"takes a list of files, not {value!r}", _FILE_HINT)
    pairs: list[list[str]] = []
    for file in files:
        match file:
            case {"name": str(name), "contents": str(contents)} | [str(name), str(contents)]:
                pairs.append([name, contents])
            case _:
                raise _refused(element, f"takes files with name and contents, not {file!r}", _FILE_HINT)
    if len(pairs) > 1 and not element._component_args.get("multiple"):
        raise _refused(element, f"takes one file, not {len(pairs)}")
    return pairs


_FILE_HINT: Final = 'A file is {"name": "a.csv", "contents": "<base64>"}.'


def _paths(element: Any, value: object) -> list[dict[str, Any]]:
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, str) for path in paths):
        raise _refused(element, f"takes a list of paths, not {value!r}")
    chosen = []
    for path in paths:
        file = element._create_path(path)
        if not file.exists():
            raise _refused(element, f"finds no file {path}")
        chosen.append({"id": path, "name": file.name, "path": path, "is_directory": file.is_dir()})
    return chosen


def _form(element: Any, value: object) -> Any:
    if value is None:
        return None
    converted = frontend_value(element.element, value)
    objection = None if element.validate is None else element.validate(converted)
    if objection is not None:
        raise _refused(element, f"does not take {value!r}: {objection}")
    return converted


def _items(element: Any, value: object) -> dict[str, Any]:
    """`mo.ui.array`, `mo.ui.dictionary`, `.batch()`: all values, or those of some keys."""
    elements = element._elements
    if isinstance(elements, dict):
        by_key = dict(elements)
    else:
        by_key = {str(index): item for index, item in enumerate(elements)}
        if isinstance(value, (list, tuple)):
            if len(value) != len(by_key):
                raise _refused(element, f"holds {len(by_key)} elements, not {len(value)}")
            value = dict(zip(by_key, value, strict=True))
    if not isinstance(value, dict):
        raise _refused(element, f"takes values by key, not {value!r}", f"Keys: {_listed(list(by_key))}.")
    values = {str(key): item_value for key, item_value in value.items()}
    for key in values:
        if key not in by_key:
            raise _refused(element, f"holds no {key!r}", f"Keys: {_listed(list(by_key))}.")
    return {key: frontend_value(by_key[key], item_value) for key, item_value in values.items()}


def _rows(element: Any, value: object) -> list[Any]:
    if element._selection is None:
        raise _refused(element, "was made without selection")
    rows = [value] if isinstance(value, int) else value
    if not isinstance(rows, (list, tuple)):
        raise _refused(element, f"takes a list of row numbers, not {value!r}")
    if element._selection.startswith("single") and len(rows) > 1:
        raise _refused(element, f"takes one selection, not {len(rows)}")
    if element._selection.endswith("cell"):
        return list(rows)
    total = element._manager.get_num_rows()
    for row in rows:
        if not isinstance(row, (int, str)) or not str(row).isdecimal():
            raise _refused(element, f"takes row numbers, not {row!r}")
        if total is not None and int(row) >= total:
            raise _refused(element, f"has rows 0 to {total - 1}, not {row}")
    return [str(row) for row in rows]


def _tab(element: Any, value: object) -> str:
    keys = list(element._tab_keys)
    if value in keys:
        return str(keys.index(value))
    if isinstance(value, int) and 0 <= value < len(keys):
        return str(value)
    raise _refused(element, f"has no tab {value!r}", f"Tabs: {_listed([str(key) for key in keys])}.")


def _matrix(element: Any, value: object) -> list[list[Any]]:
    shape = [len(row) for row in element._value_frontend]
    given = value
    if element._is_vector and isinstance(value, list):
        numbers = iter(value)
        given = [list(itertools.islice(numbers, width)) for width in shape]
        given += [[number] for number in numbers]  # too many: refused below
    if not isinstance(given, list) or [len(row) if isinstance(row, list) else -1 for row in given] != shape:
        raise _refused(element, f"takes numbers in rows of {shape}, not {value!r}")
    return given


def _widget(element: Any, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused(element, f"takes values by trait, not {value!r}")
    traits = sorted(element.widget.keys)
    for name in value:
        if name not in traits:
            raise _refused(element, f"has no trait {name!r}", f"Traits: {_listed(traits)}.")
    return value


_CONVERSIONS: Final[dict[str, Callable[[Any, object], Any]]] = {
    "marimo-anywidget": _widget,
    "marimo-button": _click,
    "marimo-checkbox": _truth,
    "marimo-code-editor": _text,
    "marimo-date": _date,
    "marimo-date-range": _dates,
    "marimo-datetime": _date,
    "marimo-dict": _items,
    "marimo-dropdown": _dropdown,
    "marimo-file": _files,
    "marimo-file-browser": _paths,
    "marimo-form": _form,
    "marimo-matrix": _matrix,
    "marimo-multiselect": _multiselect,
    "marimo-number": _number,
    "marimo-radio": _radio,
    "marimo-range-slider": _range,
    "marimo-slider": _step,
    "marimo-switch": _truth,
    "marimo-table": _rows,
    "marimo-tabs": _tab,
    "marimo-text": _text,
    "marimo-text-area": _text,
}
_NOT_INPUTS: Final = frozenset({"marimo-download", "marimo-lazy", "marimo-routes"})
