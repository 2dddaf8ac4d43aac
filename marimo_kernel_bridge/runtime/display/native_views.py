"""The content behind some UI elements: a chart or widget that Jupyter displays, or HTML that marimo loads lazily."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from marimo._output.formatting import as_html
from marimo._plugins.ui._core.ui_element import UIElement
from marimo._plugins.ui._impl.tables.utils import get_table_manager

from marimo_kernel_bridge.rendering import tables
from marimo_kernel_bridge.rendering.page import escape, muted

if TYPE_CHECKING:
    from collections.abc import Callable

WRAPPED: Final[dict[str, Callable[[Any], object]]] = {
    "marimo-anywidget": lambda element: element.widget,
    "marimo-matplotlib": lambda element: element.axes,
    "marimo-panel": lambda element: element.obj,
    "marimo-plotly": lambda element: element._figure,
    "marimo-vega": lambda element: element._chart,
}
"""By the name of the element: a function that returns the object to show in its place."""


def _lazy(element: Any) -> str:
    content = element._element
    if callable(content) and not isinstance(content, UIElement):
        if asyncio.iscoroutinefunction(content):
            return muted("(loaded by a coroutine, which only marimo runs)")
        content = content()
    if asyncio.iscoroutine(content):
        content.close()
        return muted("(loaded by a coroutine, which only marimo runs)")
    return as_html(content).text


def _route(element: Any) -> str:
    """Show the first page: there is no URL to select one."""
    return str(element._children[0].text) if element._children else ""


def _dataframe(element: Any) -> str:
    if element._error is not None:
        return f"<pre>{escape(element._error)}</pre>"
    return _rows(element._value)


def _edited(element: Any) -> str:
    return _rows(element._value)


def _rows(frame: Any) -> str:
    manager = get_table_manager(frame)
    parsed = tables.parse(manager.take(tables.MOST_ROWS, 0).to_json_str())
    columns, rows = ([], []) if parsed is None else parsed
    return tables.table(columns or manager.get_column_names(), rows, manager.get_num_rows())


CONTENTS: Final[dict[str, Callable[[Any], str]]] = {
    "marimo-data-editor": _edited,
    "marimo-data-explorer": lambda element: _rows(element._data),
    "marimo-dataframe": _dataframe,
    "marimo-lazy": _lazy,
    "marimo-routes": _route,
}
"""By the name of the element: a function that returns its content as HTML."""
