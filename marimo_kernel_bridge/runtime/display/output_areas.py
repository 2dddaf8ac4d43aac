"""`mo.output`, progress bars, `mo.redirect_stdout` and toasts as Jupyter outputs.

marimo sends the whole output area of a cell with each change. Here each object in it is a separate display with a
display id, shown once and updated in place: `append` costs one message, native bundles stay native, and the order
relative to streams and `display()` is kept. Display ids are the same in every run of a cell, so that batch front ends
can update them, too. `notification_stream` has the functions of marimo that call this module.
"""

from __future__ import annotations

import builtins
import threading
import weakref
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo._output.hypertext import Html
from marimo._plugins.stateless.callout import callout
from marimo._runtime.context import safe_get_context

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from marimo._ast.cell import CellImpl
    from marimo._messaging.notification import AlertNotification
    from marimo._runtime.cell_output_list import CellOutputList
    from marimo._runtime.runner.cell_runner import RunResult
    from marimo._runtime.runner.hook_context import PostExecutionHookContext

    from marimo_kernel_bridge.runtime.display.embedding import Bundle
    from marimo_kernel_bridge.runtime.display.formatters import Display
    from marimo_kernel_bridge.runtime.interface import Header, LiveFrontEnd

_NOTHING: Final = {"text/html": "", "text/plain": ""}
"""Replaces removed objects. Plain text alone would take up a line, and nbconvert warns about an empty bundle."""
_TEXT_KEPT_TOGETHER: Final = 16_384  # characters: the text is sent again with each print


class Capabilities(Protocol):
    """The capabilities of the front end that shows the running cell."""

    def prefers_markdown(self) -> bool:
        """Return whether it renders Markdown better than equivalent HTML."""
        ...

    def live(self, cell_id: str) -> LiveFrontEnd | None:
        """Return the pages with marimo's own front end that may show a cell, or the running one if there is no such cell."""
        ...

    def updates_displays(self) -> bool:
        """Return whether it supports `update_display_data`."""
        ...

    def parent_of(self, cell_id: str) -> Header | None:
        """Return the parent header with which it accepts a cell's outputs; for use in other threads."""
        ...


class RedirectedText(Html):
    """The text printed inside `mo.redirect_stdout()`: a single object in the output area."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        super().__init__("")

    @property
    def text(self) -> str:
        return f"<pre>{escape(''.join(self.pieces), quote=False)}</pre>"

    def take(self, message: str) -> bool:
        """Add text, up to a maximum length."""
        if sum(map(len, self.pieces)) > _TEXT_KEPT_TOGETHER:
            return False
        self.pieces.append(message)
        return True


@dataclass
class _Area:
    """The output area of one run of a cell: the last shown state of each object in it."""

    cell_id: str
    shown: list[tuple[Html, str]] = field(default_factory=list)
    displays: list[list[Bundle]] = field(default_factory=list)  # per thing
    count: int = 0  # number of display ids that the front end knows
    unseen: set[int] = field(
        default_factory=set
    )  # those that changed, for a front end without display updates
    lock: threading.RLock = field(default_factory=threading.RLock)


class OutputAreas:
    """The outputs that cells write with `mo.output`."""

    def __init__(self, shell: InteractiveShell, display: Display, capabilities: Capabilities) -> None:
        self._publisher: Any = shell.display_pub  # a trait
        shell.user_ns_hidden["print"] = builtins.print  # mo.Thread puts it into the namespace
        self._display = display
        self._capabilities = capabilities
        self._areas: weakref.WeakKeyDictionary[CellOutputList, _Area] = weakref.WeakKeyDictionary()

    def write(self, cell_id: str) -> None:
        """Show the current output area of the running cell."""
        context = safe_get_context()
        if context is None or context.execution_context is None:
            return
        output = context.execution_context.output
        area = self._areas.setdefault(output, _Area(cell_id))
        with area.lock:
            with output._lock:
                things = list(output._items)
            self._show(area, things)

    def _show(self, area: _Area, things: list[Html]) -> None:
        shown = [(thing, thing.text) for thing in things]
        displays = [
            area.displays[n]
            if n < len(area.shown) and area.shown[n][0] is thing and area.shown[n][1] == text
            else self._display.outputs(thing)
            for n, (thing, text) in enumerate(shown)
        ]
        old = [bundle for bundles in area.displays for bundle in bundles]
        new = [bundle for bundles in displays for bundle in bundles]
        area.shown, area.displays = shown, displays
        for index, bundle in enumerate(new):
            if index >= len(old) or old[index] is not bundle:
                self._publish(area, index, bundle)
        for index in range(len(new), len(old)):
            self._publish(area, index, (_NOTHING, {}))

    def _publish(self, area: _Area, index: int, bundle: Bundle) -> None:
        data, metadata = bundle
        is_update = index < area.count
        if is_update and not self._capabilities.updates_displays():
            area.unseen.add(index)  # shown again when the cell ends, because progress bars change often
            return
        area.count = max(area.count, index + 1)
        arguments = {
            "data": data,
            "metadata": metadata,
            "transient": {"display_id": f"{area.cell_id}-output-{index}"},
            "update": is_update,
        }
        parent = None
        if threading.current_thread() is not threading.main_thread():
            parent = self._capabilities.parent_of(area.cell_id)
        if parent is None:
            self._publisher.publish(**arguments)
            return
        token = self._publisher.set_thread_parent({"header": parent})
        try:
            self._publisher.publish(**arguments)
        finally:
            self._publisher.reset_thread_parent(token)

    def end_run(self, _cell: CellImpl, _ctx: PostExecutionHookContext, result: RunResult) -> None:
        """Clear the output area of a cell that ends with a value, which replaces it in marimo.

        For front ends without display updates, show objects again that have changed.
        """
        area = None if result.accumulated_output is None else self._areas.get(result.accumulated_output)
        if area is None:
            return
        with area.lock:
            if result.output is not None:
                self._show(area, [])
            unseen, area.unseen = area.unseen, set()
            for index, (data, metadata) in enumerate(
                bundle for bundles in area.displays for bundle in bundles
            ):
                if index in unseen:
                    self._publisher.publish(data=data, metadata=metadata)

    def clear_console(self) -> None:
        """Clear the cell and show the output area again, for `mo.output.clear_console`."""
        context = safe_get_context()
        if context is None or context.execution_context is None:
            return
        self._publisher.clear_output()
        area = self._areas.get(context.execution_context.output)
        if area is not None:
            with area.lock:
                displays, area.count = area.displays, 0
                for index, bundle in enumerate(bundle for bundles in displays for bundle in bundles):
                    self._publish(area, index, bundle)

    def redirect(self, message: str) -> None:
        """Write captured text into the output area."""
        context = safe_get_context()
        if context is None or context.execution_context is None:
            return
        output = context.execution_context.output
        with output._lock:
            last = output._items[-1] if output._items else None
            if isinstance(last, RedirectedText) and last.take(message):
                text = None
            else:
                text = RedirectedText()
                text.take(message)
                output._items.append(text)
        self.write(context.execution_context.cell_id)

    def alert(self, notification: AlertNotification) -> None:
        """Show a toast among the outputs of the cell that raised it."""
        kind = notification.variant or "info"
        text = callout(Html(notification.description), kind=kind, title=notification.title)
        for data, metadata in self._display.outputs(text):
            self._publisher.publish(data=data, metadata=metadata)
