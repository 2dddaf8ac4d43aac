"""Conversion of values for single `mo.ui` inputs: numbers, text, options, dates and files, checked first.

Raises `BridgeError` (ui_value_refused) for a value that an element does not accept. Sets nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Element: TypeAlias = Any
"""A UI element. Its class is known by its component's name only, so the class's attributes are not typed."""

_MOST_NAMED: Final = 20


def refused(element: Element, reason: str, hint: str = "") -> BridgeError:
    """Return the error for a value that an element does not accept."""
    return BridgeError("ui_value_refused", f"mo.ui.{type(element).__name__} {reason}.", hint)


def listed(names: Sequence[str]) -> str:
    """Return names as text, at most `_MOST_NAMED` of them."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number, and neither a truth value nor nan."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124  # nan


def _number_in(element: Element, value: object) -> int | float:
    if not is_number(value):
        raise refused(element, f"takes a number, not {value!r}")
    start, stop = element.start, element.stop
    if (start is not None and value < start) or (stop is not None and value > stop):
        raise refused(element, f"takes numbers from {start} to {stop}, not {value!r}")
    return value


def slider_step(element: Element, value: object) -> int | float:
    """Return the index of a slider's step, or the number if it has no steps."""
    if element._mapping is None:
        number = _number_in(element, value)
        if (
            isinstance(element.start, int)
            and isinstance(element.stop, int)
            and _cut(element, number) != number
        ):
            raise refused(element, f"takes whole numbers, not {value!r}")
        return number
    for index, step in element._mapping.items():
        if step == value:
            return int(index)
    raise refused(
        element, f"takes one of its steps, not {value!r}", f"Steps: {list(element._mapping.values())}"
    )


def _cut(element: Element, number: float) -> float:
    """Return the number that a slider without steps makes of one: a slider of whole numbers cuts it."""
    of_range = element._args.component_name == "marimo-range-slider"
    converted: Any = element._convert_value([number, number] if of_range else number)
    return float(converted[0] if of_range else converted)


def slider_range(element: Element, value: object) -> list[int | float]:
    """Return both ends of a range slider."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004  # two ends
        raise refused(element, f"takes two numbers, not {value!r}")
    low, high = (slider_step(element, end) for end in value)
    if low > high:
        raise refused(element, f"takes the lower end first, not {value!r}")
    return [low, high]


def number(element: Element, value: object) -> int | float | None:
    """Return a number in the element's range."""
    return None if value is None else _number_in(element, value)


def text(element: Element, value: object) -> str:
    """Return text that is not too long."""
    if not isinstance(value, str):
        raise refused(element, f"takes text, not {value!r}")
    longest = element._component_args.get("max-length")
    if longest is not None and len(value) > longest:
        raise refused(element, f"takes at most {longest} characters, not {len(value)}")
    return value


def boolean(element: Element, value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise refused(element, f"takes true or false, not {value!r}")
    return value


def _option(element: Element, value: object) -> str:
    """Return the key of an option, given that or the option itself."""
    options: Mapping[str, object] = element.options
    if isinstance(value, str) and value in options:
        return value
    for key, option in options.items():
        alike = type(option) is type(value) or (is_number(option) and is_number(value))
        if alike and option == value:
            return key
    raise refused(element, f"has no option {value!r}", f"Options: {listed(list(options))}.")


def dropdown(element: Element, value: object) -> list[str]:
    """Return the keys of the chosen option: one, or none."""
    if value is None or value == []:
        if element._component_args.get("allow-select-none") is False:
            raise refused(
                element, "takes one of its options, not nothing", f"Options: {listed([*element.options])}."
            )
        return []
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return [_option(element, value)]


def radio(element: Element, value: object) -> str | None:
    """Return the key of the chosen option."""
    return None if value is None else _option(element, value)


def multiselect(element: Element, value: object) -> list[str]:
    """Return the keys of the chosen options."""
    if not isinstance(value, (list, tuple)):
        raise refused(element, f"takes a list of options, not {value!r}")
    most = element._component_args.get("max-selections")
    if most is not None and len(value) > most:
        raise refused(element, f"takes at most {most} options, not {len(value)}")
    return [_option(element, option) for option in value]


def click(element: Element, value: object) -> int:
    """Return the number of clicks with this one: any value but false is a click."""
    if value is False:
        raise refused(element, "can be clicked, with any value but false")
    return int(element._value_frontend or 0) + 1


def date(element: Element, value: object) -> str | None:
    """Return a date or a time as ISO text."""
    if value is None and element._args.component_name == "marimo-datetime":
        return None
    text = value.isoformat() if isinstance(value, dt.date) else value
    try:
        parsed = element._convert_value(text) if isinstance(text, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise refused(element, f"takes a date like {element.start.isoformat()}, not {value!r}")
    if not element.start <= parsed <= element.stop:
        raise refused(element, f"takes dates from {element.start} to {element.stop}, not {text}")
    return str(text)


def date_range(element: Element, value: object) -> list[str]:
    """Return two dates as ISO text."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004  # two ends
        raise refused(element, f"takes two dates, not {value!r}")
    ends = [day.isoformat() if isinstance(day, dt.date) else day for day in value]
    try:
        first, last = element._convert_value(tuple(ends))
    except (ValueError, TypeError):
        raise refused(element, f"takes two dates like {element.start.isoformat()}, not {value!r}") from None
    if not element.start <= first <= last <= element.stop:
        raise refused(element, f"takes dates from {element.start} to {element.stop}, the first one first")
    return [str(day) for day in ends]


def files(element: Element, value: object) -> list[list[str]]:
    """Return pairs of name and contents."""
    files = [value] if isinstance(value, dict) else value
    if not isinstance(files, (list, tuple)):
        raise refused(element, f"takes a list of files, not {value!r}", _FILE_HINT)
    pairs: list[list[str]] = []
    for file in files:
        match file:
            case {"name": str(name), "contents": str(contents)} | [str(name), str(contents)]:
                if not _is_base64(contents):
                    raise refused(
                        element, f"takes contents in base64, which those of {name} are not", _FILE_HINT
                    )
                pairs.append([name, contents])
            case _:
                raise refused(element, f"takes files with name and contents, not {file!r}", _FILE_HINT)
    if len(pairs) > 1 and not element._component_args.get("multiple"):
        raise refused(element, f"takes one file, not {len(pairs)}")
    return pairs


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except ValueError:
        return False
    return True


_FILE_HINT: Final = 'A file is {"name": "a.csv", "contents": "<base64>"}.'


def paths(element: Element, value: object) -> list[Mapping[str, object]]:
    """Return the chosen paths as a file browser sends them."""
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, str) for path in paths):
        raise refused(element, f"takes a list of paths, not {value!r}")
    args = element._component_args
    if len(paths) > 1 and not args["multiple"]:
        raise refused(element, f"takes one path, not {len(paths)}")
    chosen: list[Mapping[str, object]] = []
    for path in paths:
        file = element._create_path(path)
        if not file.exists():
            raise refused(element, f"finds no file {path}")
        is_directory = file.is_dir()
        if args["selection-mode"] == ("file" if is_directory else "directory"):
            raise refused(element, f"takes {args['selection-mode']} paths only, not {path}")
        if not is_directory and args["filetypes"] and file.suffix not in args["filetypes"]:
            raise refused(element, f"takes files of {listed(list(args['filetypes']))}, not {path}")
        chosen.append({"id": path, "name": file.name, "path": path, "is_directory": is_directory})
    try:
        element._convert_value(chosen)
    except RuntimeError as error:  # outside of the folder that it may show
        raise refused(element, f"does not take {value!r}: {str(error).rstrip('.')}") from None
    return chosen
