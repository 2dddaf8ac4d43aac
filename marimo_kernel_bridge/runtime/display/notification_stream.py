"""Where marimo writes its notifications, and the functions by which it sends outputs to its frontend.

marimo's context carries the stream, so each function finds the output areas of the kernel that it runs for. Owns no
output: `output_areas` shows them. Everything else that marimo would send to its frontend, the session learns by hooks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from marimo._messaging.notification import AlertNotification
from marimo._messaging.serde import deserialize_kernel_message, serialize_kernel_message
from marimo._messaging.types import KernelMessage, Stream
from marimo._runtime.context import safe_get_context

if TYPE_CHECKING:
    from marimo._messaging.notification import NotificationMessage
    from marimo._types.ids import CellId_t

    from marimo_kernel_bridge.runtime.display.output_areas import OutputAreas

_NOTHING: Final = KernelMessage(b"")


class NotificationStream(Stream):
    """marimo's stream without a frontend behind it. Alerts and cleared consoles go to the output areas, if any."""

    def __init__(self, areas: OutputAreas | None = None) -> None:
        self.areas = areas

    def write(self, data: KernelMessage) -> None:
        if self.areas is not None and data:
            notification = deserialize_kernel_message(data)
            if isinstance(notification, AlertNotification):
                self.areas.alert(notification)

    def flush_console(self) -> None:
        """Clear the running cell: our hooks never flush, so only `mo.output.clear_console` calls this."""
        if self.areas is not None:
            self.areas.clear_console()

    def copy_for_thread(self) -> Stream:
        copy = NotificationStream(self.areas)
        copy.cell_id = self.cell_id  # by which mo.Thread knows whose thread it is
        return copy


def _areas() -> OutputAreas | None:
    context = safe_get_context()
    stream = None if context is None else context.stream
    return stream.areas if isinstance(stream, NotificationStream) else None


def encode(message: NotificationMessage) -> KernelMessage:
    """Encode what the output areas show.

    The rest has no reader here. Encoding it takes time, and fails for code that UTF-8 cannot express, which marimo
    would log into the person's page.
    """
    if _areas() is None or isinstance(message, AlertNotification):
        return serialize_kernel_message(message)
    return _NOTHING


def write_internal(cell_id: CellId_t, value: object) -> None:  # noqa: ARG001  # marimo's signature
    """Show the output area of the running cell, instead of sending it to marimo's frontend as one formatted value."""
    areas = _areas()
    if areas is not None:
        areas.write(cell_id)


def redirect(msg: str) -> None:
    """Write what `mo.redirect_stdout` catches into the output area, as one text however many prints it takes."""
    areas = _areas()
    if areas is not None:
        areas.redirect(msg)


def write_error(traceback: str) -> None:
    """Write a traceback to stderr, where marimo would send it to its frontend."""
    sys.stderr.write(traceback)


def write_nothing(traceback: str) -> None:
    """Drop the traceback of a cell: IPython has shown it."""
