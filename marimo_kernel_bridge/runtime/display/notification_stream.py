"""The stream of marimo's notifications, and replacements of the functions that send outputs to its frontend.

The stream is part of marimo's context, so that each function finds the output areas of its kernel. `output_areas` shows
the outputs. The session learns everything else that marimo would send to its frontend through hooks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from marimo._messaging.notification import AlertNotification, UIElementMessageNotification
from marimo._messaging.serde import deserialize_kernel_message, serialize_kernel_message
from marimo._messaging.types import KernelMessage, Stream
from marimo._runtime.context import safe_get_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo._messaging.notification import NotificationMessage
    from marimo._types.ids import CellId_t

    from marimo_kernel_bridge.runtime.display.output_areas import OutputAreas
    from marimo_kernel_bridge.runtime.interface import LiveObserver

_NOTHING: Final = KernelMessage(b"")


class NotificationStream(Stream):
    """A stream for marimo without a frontend.

    Alerts and console clearing go to the output areas, if there are any, and messages to elements to the observers.
    """

    def __init__(self, areas: OutputAreas | None = None, observers: Sequence[LiveObserver] = ()) -> None:
        self.areas, self.observers = areas, observers

    def write(self, data: KernelMessage) -> None:
        if not data or (self.areas is None and not self.observers):
            return
        notification = deserialize_kernel_message(data)
        if isinstance(notification, AlertNotification) and self.areas is not None:
            self.areas.alert(notification)
        elif isinstance(notification, UIElementMessageNotification):
            for observer in self.observers:
                observer.notified(notification.name, data)

    def flush_console(self) -> None:
        """Clear the running cell. This package's hooks never flush, so that only `mo.output.clear_console` calls this."""
        if self.areas is not None:
            self.areas.clear_console()

    def copy_for_thread(self) -> Stream:
        copy = NotificationStream(self.areas, self.observers)
        copy.cell_id = self.cell_id  # tells mo.Thread which cell the thread belongs to
        return copy


def _areas() -> OutputAreas | None:
    context = safe_get_context()
    stream = None if context is None else context.stream
    return stream.areas if isinstance(stream, NotificationStream) else None


def encode(message: NotificationMessage) -> KernelMessage:
    """Encode notifications that the output areas show, and those to elements.

    Others have no reader here. Encoding them takes time and fails for code that UTF-8 cannot represent, which marimo
    would log to the page.
    """
    if _areas() is None or isinstance(message, (AlertNotification, UIElementMessageNotification)):
        return serialize_kernel_message(message)
    return _NOTHING


def write_internal(cell_id: CellId_t, value: object) -> None:  # noqa: ARG001  # marimo's signature
    """Show the output area of the running cell, instead of sending it to marimo's frontend as one formatted value."""
    areas = _areas()
    if areas is not None:
        areas.write(cell_id)


def redirect(msg: str) -> None:
    """Write text captured by `mo.redirect_stdout` into the output area, as a single text."""
    areas = _areas()
    if areas is not None:
        areas.redirect(msg)


def write_error(traceback: str) -> None:
    """Write a traceback to stderr; marimo would send it to its frontend."""
    sys.stderr.write(traceback)


def write_nothing(traceback: str) -> None:
    """Discard the traceback of a cell: IPython has already shown it."""
