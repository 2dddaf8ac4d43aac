"""Formatters for IPython's display machinery: marimo's objects become Jupyter outputs.

`drawing` creates the outputs; this module registers the formatters and records which cells show which UI elements.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from IPython.display import publish_display_data
from marimo._output.formatting import Plain
from marimo._output.hypertext import Html
from marimo._plugins.stateless.status._progress import spinner
from marimo._runtime.context import safe_get_context

from marimo_kernel_bridge.runtime.display.shown_elements import ShownElements, ShownObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell
    from marimo._plugins.ui._core.ui_element import UIElement

    from marimo_kernel_bridge.runtime.display.embedding import Bundle
    from marimo_kernel_bridge.runtime.display.placeholders import Placeholder
    from marimo_kernel_bridge.runtime.interface import LiveFrontEnd, Redrawn

_ELEMENT: Final = "<marimo-"


def _showing_cell() -> str:
    """Return the id of the cell whose code shows something, also on a thread of its own."""
    context = safe_get_context()
    execution = None if context is None else context.execution_context
    return "" if execution is None else execution.cell_id


_publish: Any = publish_display_data  # untyped


class Display:
    """The display of marimo's objects in one shell."""

    def __init__(
        self,
        shell: InteractiveShell,
        prefers_markdown: Callable[[], bool],
        live: Callable[[str], LiveFrontEnd | None],
    ) -> None:
        """`prefers_markdown` returns whether the front end renders Markdown better than equivalent HTML.

        `live` returns the pages with marimo's own front end that may show a cell, or the running one if there is no such cell.
        """
        formatter: Any = shell.display_formatter  # a trait, typed as optional
        self._formatter = formatter
        self._prefers_markdown, self._live = prefers_markdown, live
        self.shown = ShownElements()
        self._latest: tuple[Callable[[], object], list[Bundle]] | None = None

    def install(self) -> None:
        """Register the formatters of marimo's types with the shell."""
        for kind in (Html, Plain, spinner):
            self._formatter.ipython_display_formatter.for_type(kind, self._show_several)
            self._formatter.mimebundle_formatter.for_type(kind, self._bundle)
            for mime_type, formatter in self._formatter.formatters.items():
                if mime_type != "text/plain":
                    # marimo's own methods return its custom elements, escaped or not.
                    formatter.for_type(kind, lambda _: None)
        self._formatter.formatters["text/plain"].for_type(Html, self._print)
        self._plain_format = self._formatter.format
        self._formatter.format = self._format

    def outputs(self, value: object, *, keeps: bool = False) -> list[Bundle]:
        """Return the outputs of displaying `value`: one, or more if parts of it need a renderer of the front end.

        `keeps` keeps the object until its cell runs anew or goes; else it is for its owners to keep.
        """
        from marimo_kernel_bridge.runtime.display.drawing import draw_object, in_place  # noqa: PLC0415  # see there

        drawing = draw_object(value, self._prefers_markdown, lambda: self._live(_showing_cell()))
        thing = drawing.thing
        if thing is None or not (drawing.element_ids or drawing.live):
            return drawing.outputs
        data = {"text/plain": ""} if drawing.stands_in else drawing.outputs[0][0]
        found = (lambda: thing) if keeps else weakref.ref(thing)
        shown = ShownObject(found, drawing.element_ids, data, drawing.live)
        out = self.shown.note(shown)
        return in_place(drawing, shown, out) if out and drawing.front_end else drawing.outputs

    def redrawn(self, elements: list[UIElement[Any, Any]]) -> dict[str, list[Redrawn]]:
        """Redraw outputs that show these elements, and return the changes, by cell."""
        from marimo_kernel_bridge.runtime.display.drawing import draw_object  # noqa: PLC0415  # see there

        def drawn(thing: Html, place: Placeholder | None) -> dict[str, Any]:
            front_end = None if place is None else place.front_end
            return draw_object(thing, self._prefers_markdown, lambda: front_end).outputs[0][0]

        return self.shown.redrawn(elements, drawn)

    def _format(self, value: object, include: Any = None, exclude: Any = None) -> Bundle:
        """Format an object: another's HTML with marimo's elements in it, as by an f-string, is drawn like marimo's own.

        Not its Markdown: front ends take scripts out of that, and would run those of the HTML in its place. One with parts that need a
        renderer of the front end displays itself, as IPython has it for objects with `_ipython_display_`: it comes before its parts.
        """
        data, metadata = self._plain_format(value, include, exclude)
        text = data.get("text/html")
        if not isinstance(text, str) or _ELEMENT not in text:
            return data, metadata
        first, *others = self.outputs(Html(text), keeps=True)
        data = {**data, **first[0]}
        if not others:
            return data, metadata
        for bundle in ((data, metadata), *others):
            _publish(*bundle)
        return {}, {}

    # -- called by IPython's formatters, in this order ----------------------------------------------------------------

    def _show_several(self, value: object) -> None:
        """Show objects that have several outputs; leave others to the other formatters."""
        outputs = self.outputs(value)
        if len(outputs) <= 1:
            self._latest = (weakref.ref(value), outputs)
            raise NotImplementedError  # IPython's way to decline
        for bundle in outputs:
            _publish(*bundle)

    def _bundle(self, value: object) -> Bundle:
        outputs = self._formatted(value)
        return outputs[0] if outputs else ({"text/plain": ""}, {})

    def _formatted(self, value: object) -> list[Bundle]:
        """Return the result of `_show_several`: rendering may run user code, so it is not repeated."""
        latest = self._latest
        return latest[1] if latest is not None and latest[0]() is value else self.outputs(value)

    def _print(self, value: Html, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  # IPython's signature
        """Print an object inside a list or a dict on one line; IPython also calls this for single objects."""
        if len(printer.stack) <= 1:
            outputs = self._formatted(value)
            self._latest = None
            text = str(outputs[0][0].get("text/plain", "")) if outputs else ""
            printer.text(text or self._line(value))
        else:
            printer.text(self._line(value))

    def _line(self, value: Html) -> str:
        from marimo_kernel_bridge.runtime.display.drawing import one_line  # noqa: PLC0415  # see there

        return one_line(value)
