"""UI elements and Jupyter's widgets: `mo.ui.anywidget` around a live one, and elements made in a widget's callback.

marimo gives widgets comms to its own frontend. Here they keep Jupyter's comms: the front end shows the widget, and the
person's input arrives as a comm message, which is a change of the UI element's value.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from marimo._plugins.ui._core.registry import UIElementRegistry
from marimo._plugins.ui._impl import from_anywidget
from marimo._runtime.context import safe_get_context
from marimo._types.ids import CellId_t, WidgetModelId

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo._plugins.ui._core.ui_element import UIElement
    from marimo._types.ids import UIElementId

_NO_CELL: Final = CellId_t("__external__")  # marimo's id for code outside of cells


class ElementRegistry(UIElementRegistry):
    """marimo's registry, which also takes elements that no cell makes: a callback, or a request outside the graph.

    `widget_changed` is called with the UI element around a widget that a person changed.
    """

    def __init__(self, widget_changed: Callable[[UIElement[Any, Any]], None]) -> None:
        super().__init__()
        self.widget_changed = widget_changed
        self.makers: set[CellId_t] = set()
        """Cells that have made elements since their pages forgot those."""

    def register(self, object_id: UIElementId, ui_element: UIElement[Any, Any]) -> None:
        context = safe_get_context()
        if context is not None and context.execution_context is None:
            self._objects[object_id] = weakref.ref(ui_element)
            self._constructing_cells[object_id] = _NO_CELL
        else:
            super().register(object_id, ui_element)
            self.makers.add(self._constructing_cells[object_id])

    def around(self, widget: object) -> list[UIElement[Any, Any]]:
        """Return the UI elements that wrap a widget."""
        elements = [reference() for reference in list(self._objects.values())]
        return [
            element
            for element in elements
            if isinstance(element, from_anywidget.anywidget) and element.__dict__.get("widget") is widget
        ]


def observe_widget(widget: Any) -> WidgetModelId:
    """Return the id of a widget's own comm, and observe changes by a person.

    Replaces the function that gives the widget one of marimo's comms; marimo calls it once for each element, before the
    element is created.
    """
    widget.observe(_changed)
    return WidgetModelId(widget.model_id)


def _changed(change: Any) -> None:
    context = safe_get_context()
    registry = None if context is None else context.ui_element_registry
    # Code that sets a trait does not change the UI element: properties are locked during changes by the front end only.
    if isinstance(registry, ElementRegistry) and change.name in change.owner._property_lock:
        for element in registry.around(change.owner):
            registry.widget_changed(element)
