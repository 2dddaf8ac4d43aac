"""The queue of values that UI elements get with the next run. Does not convert values (`values` does)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from marimo._runtime.commands import UpdateUIElementCommand

from marimo_kernel_bridge.runtime.display.shown_elements import with_inner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo._plugins.ui._core.ui_element import UIElement
    from marimo._runtime.runtime import Kernel

    from marimo_kernel_bridge.runtime.interface import LiveObserver


_PRESSED: Final = frozenset({"marimo-button"})


class UiValueQueue:
    """Queued values, and the elements that were set and not yet released."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called when a person changes a widget, to schedule a run."""
        self._wake = wake
        self._waiting: list[tuple[UIElement[Any, Any], Any, str]] = []  # and who has set it
        self._set: list[weakref.ref[UIElement[Any, Any]]] = []

    def put(self, element: UIElement[Any, Any], frontend_value: object) -> None:
        """Queue a value, as marimo's frontend would send it."""
        self._waiting.append((element, frontend_value, ""))

    def replace(self, element: UIElement[Any, Any], frontend_value: object, source: str) -> None:
        """Queue a value in place of those that wait for the element. `source` is the page that has set it.

        The value of a button is one more press, and that of an element with others inside says only what changed: none is left out.
        """
        if element._args.component_name not in _PRESSED and len(list(with_inner(element))) == 1:
            self._waiting = [waiting for waiting in self._waiting if waiting[0] is not element]
        self._waiting.append((element, frontend_value, source))

    def widget_changed(self, element: UIElement[Any, Any]) -> None:
        """Queue the change of the widget in a `mo.ui.anywidget`: its value is the widget's state already."""
        self.put(element, {})
        self._wake()

    async def set_all(self, kernel: Kernel, observers: Sequence[LiveObserver]) -> None:
        """Set the elements, which makes their readers stale."""
        while self._waiting:
            element, value, source = self._waiting.pop(0)
            self._set.append(weakref.ref(element))
            await kernel.set_ui_element_value(
                UpdateUIElementCommand.from_ids_and_values([(element._id, value)]), notify_frontend=False
            )
            _tell(observers, element, source)

    def note_set(self, elements: list[UIElement[Any, Any]], observers: Sequence[LiveObserver]) -> None:
        """Note elements that were given a value otherwise, which have to be drawn again."""
        self._set += map(weakref.ref, elements)
        for element in elements:
            _tell(observers, element, "")

    def take_set(self) -> list[UIElement[Any, Any]]:
        """Return the elements that were set since the last call and still exist."""
        elements = [element for reference in self._set if (element := reference()) is not None]
        self._set.clear()
        return elements


def _tell(observers: Sequence[LiveObserver], element: UIElement[Any, Any], source: str) -> None:
    """Tell of the values of an element and of those inside it, which it has set."""
    for observer in observers:
        for one in with_inner(element):
            observer.value_changed(one._id, one._value_frontend, source)
