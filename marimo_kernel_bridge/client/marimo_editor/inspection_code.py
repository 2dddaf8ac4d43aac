"""Code that runs in marimo's kernel as scratch code: the variables there, without running code of their classes.

Sent as text, with an expression behind it, so it imports nothing but the standard library and uses no name of this package.
Calls methods of exact classes only: Python's own, and those of pandas, Polars and NumPy. Never `str` or `repr` of other
objects.
"""

from __future__ import annotations

import json
import sys
import types
from typing import Any

_TEXT = 80
_COLUMNS = 50
_PLAIN = (bool, float, complex, type(None), str, bytes)
_SIZED = (list, tuple, set, frozenset, dict)


class Answer:
    """JSON as the value of the scratch code, in a form that marimo leaves as it is."""

    def __init__(self, value: Any) -> None:
        self._text = json.dumps(value)

    def _mime_(self) -> tuple[str, str]:
        return "application/json", self._text


def listed(names: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is known of each public variable, modules last."""
    public = [(name, value) for name, value in list(names.items()) if not name.startswith("_")]
    public.sort(key=lambda item: type(item[1]) is types.ModuleType)
    return [described(name, value) for name, value in public]


def described(name: str, value: Any) -> dict[str, Any]:
    """Return the fields of `Variable`."""
    return {"name": name, "type": kind_of(value), "summary": summary(value), "ui_element": is_element(value)}


def sampled(name: str, value: Any, rows: int, offset: int) -> dict[str, Any]:
    """Return the fields of `VariableContent`."""
    content: dict[str, Any] = {"variable": described(name, value)}
    part = slice(offset, offset + rows)
    try:
        content.update(_content(value, part))
    except Exception as error:  # noqa: BLE001  # a library's object may be broken; its type and size are shown
        content["facts"] = [f"its content cannot be read: {type(error).__name__}"]
    return content


def kind_of(value: Any) -> str:
    kind = type(value)
    if kind is types.ModuleType:
        return "module"
    module, name = kind.__dict__.get("__module__"), type.__dict__["__qualname__"].__get__(kind)
    return f"{module}.{name}" if type(module) is str and module != "builtins" else str(name)


def summary(value: Any) -> str:  # noqa: PLR0911  # one for each kind of value
    """Describe a value in a line."""
    kind, library = type(value), _library(value)
    if library in {"pandas.DataFrame", "polars.DataFrame"}:
        return f"{value.shape[0]} rows, {value.shape[1]} columns"
    if library in {"pandas.Series", "polars.Series"}:
        return f"{len(value)} items of {value.dtype!s}"
    if library == "numpy.ndarray":
        return f"shape {tuple(value.shape)}, {value.dtype!s}"
    if kind in _SIZED:
        return f"{len(value)} items"
    if is_element(value):
        return f"value {text(value.__dict__.get('_value'))}"
    if kind is types.FunctionType:
        return f"function of {value.__code__.co_argcount} arguments"
    if kind is types.ModuleType:
        version = value.__dict__.get("__version__")
        return f"version {version}" if type(version) is str else "module"
    return text(value)


def is_element(value: Any) -> bool:
    """Return whether it is a UI element of marimo."""
    return any(
        base.__dict__.get("__module__") == "marimo._plugins.ui._core.ui_element"
        and base.__name__ == "UIElement"
        for base in type.__dict__["__mro__"].__get__(type(value))
    )


def text(value: Any) -> str:
    """Return a value of a plain type as Python writes it, of any other its type."""
    kind = type(value)
    if kind is int:
        return repr(value) if value.bit_length() < 1000 else f"an integer of {value.bit_length()} bits"  # noqa: PLR2004
    if kind in _PLAIN:
        whole = repr(value[: _TEXT * 2] if kind in {str, bytes} else value)
        return whole if len(whole) <= _TEXT else whole[: _TEXT - 1] + "…"
    if kind.__module__ in {"datetime", "decimal", "uuid", "fractions"}:
        return str(value)
    if kind.__module__ in {"numpy", "pandas"} and kind.__name__ != "ndarray" and _library(value) == "":
        return str(value)[:_TEXT]  # a number, a time
    if kind in _SIZED:
        return f"<{kind.__name__} of {len(value)}>"
    return f"<{kind_of(value)}>"


def _library(value: Any) -> str:
    """Return the public name of an exact class of a library that has been imported."""
    for module, names in (
        ("pandas", ("DataFrame", "Series")),
        ("polars", ("DataFrame", "Series")),
        ("numpy", ("ndarray",)),
    ):
        there = sys.modules.get(module)
        for name in names:
            if there is not None and type(value) is getattr(there, name, None):
                return f"{module}.{name}"
    return ""


def _content(value: Any, part: slice) -> dict[str, Any]:  # noqa: PLR0911  # likewise
    library = _library(value)
    if library == "pandas.DataFrame":
        few = value.iloc[part, :_COLUMNS]
        columns = zip(few.columns, few.dtypes, strict=True)
        lines = [[text(cell) for cell in row] for row in few.itertuples(index=False, name=None)]
        return _table(
            value, [(name if type(name) is str else text(name), str(kind)) for name, kind in columns], lines
        )
    if library == "polars.DataFrame":
        few = value[:, :_COLUMNS]
        lines = [[text(cell) for cell in row] for row in few[part].rows()]
        return _table(value, [(name, str(kind)) for name, kind in few.schema.items()], lines)
    if library in {"pandas.Series", "polars.Series"}:
        few = value.iloc[part] if library == "pandas.Series" else value[part]
        return {"items": [text(item) for item in few.to_list()], "total_items": len(value)}
    if library == "numpy.ndarray":
        few = value.reshape(-1)[part] if value.flags.contiguous else value.flat[part]
        return {"items": [text(item) for item in few.tolist()], "total_items": int(value.size)}
    if type(value) is dict:
        items = list(value.items())
        return {
            "items": [f"{text(key)}: {text(item)}" for key, item in items[part]],
            "total_items": len(items),
        }
    if type(value) in _SIZED:
        items = list(value)
        return {"items": [text(item) for item in items[part]], "total_items": len(items)}
    return {}


def _table(value: Any, columns: list[tuple[str, str]], rows: list[list[str]]) -> dict[str, Any]:
    return {
        "columns": [{"name": name, "dtype": kind} for name, kind in columns],
        "total_columns": int(value.shape[1]),
        "rows": rows,
        "total_rows": int(value.shape[0]),
    }
