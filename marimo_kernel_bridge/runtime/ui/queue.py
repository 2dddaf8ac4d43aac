"""The queue of values that UI elements get with the next run. Does not convert values (`values` does)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from marimo._runtime.commands import UpdateUIElementCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo._plugins.ui._core.ui_element import UIElement
    from marimo._runtime.runtime import Kernel


class UiValueQueue:
    """Queued values, and the elements that were set and not yet released."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called when a person changes a widget, to schedule a run."""
        self._wake = wake
        self._waiting: list[tuple[UIElement[Any, Any], Any]] = []
        self._set: list[weakref.ref[UIElement[Any, Any]]] = []

    def put(self, element: UIElement[Any, Any], frontend_value: object) -> None:
        """Queue a value, as marimo's frontend would send it."""
        self._waiting.append((element, frontend_value))

    def widget_changed(self, element: UIElement[Any, Any]) -> None:
        """Queue the change of the widget in a `mo.ui.anywidget`: its value is the widget's state already."""
        self.put(element, {})
        self._wake()

    async def set_all(self, kernel: Kernel) -> None:
        """Set the elements, which makes their readers stale."""
        while self._waiting:
            element, value = self._waiting.pop(0)
            self._set.append(weakref.ref(element))
            await kernel.set_ui_element_value(
                UpdateUIElementCommand.from_ids_and_values([(element._id, value)]), notify_frontend=False
            )

    def note_set(self, elements: list[UIElement[Any, Any]]) -> None:
        """Note elements that were given a value otherwise, which have to be drawn again."""
        self._set += map(weakref.ref, elements)

    def take_set(self) -> list[UIElement[Any, Any]]:
        """Return the elements that were set since the last call and still exist."""
        elements = [element for reference in self._set if (element := reference()) is not None]
        self._set.clear()
        return elements
