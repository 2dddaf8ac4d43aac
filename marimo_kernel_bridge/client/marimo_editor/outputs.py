"""What marimo shows of an execution, as outputs in the shape of nbformat. Pure."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.notebook import CellError
from marimo_kernel_bridge.rendering.components import draw, styled
from marimo_kernel_bridge.rendering.elements import rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.client.marimo_editor.records import DisplayData, Error, Execution, Item
    from marimo_kernel_bridge.protocol.notebook import Output
    from marimo_kernel_bridge.rendering.elements import Element

_BUNDLE: Final = "application/vnd.marimo+mimebundle"
_DATA_ADDRESS: Final = re.compile(r"data:[\w.+/-]+;base64,")
_TAG: Final = re.compile(r"<[^<>]*+>")
_LONGEST_DRAWN: Final = 200_000
"""Characters of HTML, of all outputs in an answer, in which marimo's elements are drawn; more are not read for an answer."""
_MOST_DRAWN: Final = 500
"""Elements that are drawn for an answer, and others that marimo styles: each takes some 30 µs, in which nobody is answered."""
_LONGEST_TRACEBACK: Final = 100_000
"""Characters of a traceback's end that are read."""
_SYNTAX: Final = frozenset({"syntax", "invalid-syntax"})


def outputs_of(execution: Execution, items: Iterable[Item], page: Page | None = None) -> tuple[Output, ...]:
    """Return what an execution printed, displayed and returned, or how it failed. `page` is that of the whole answer."""
    page = page or Page()
    outputs = [output_of(item, page) for item in items]
    outcome = execution.outcome
    if outcome is not None and outcome.display is not None:
        outputs.append(display(outcome.display.mimetype, outcome.display.data, page))
    if outcome is not None and outcome.error is not None:
        error = error_of(outcome.error)
        outputs.append(
            {
                "output_type": "error",
                "ename": error.ename,
                "evalue": error.evalue,
                "traceback": list(error.traceback),
            }
        )
    return tuple(outputs)


def output_of(item: Item, page: Page | None = None) -> Output:
    """Return what an execution printed or displayed."""
    if item.mimetype:
        return display(item.mimetype, item.data, page)
    return {
        "output_type": "stream",
        "name": "stderr" if item.name == "stderr" else "stdout",
        "text": item.text,
    }


def display(mimetype: str, data: str, page: Page | None = None) -> Output:
    """Return a display, of all forms that marimo has sent of it."""
    if mimetype == "text/markdown":  # marimo's is HTML by then
        mimetype = "text/html"
    bundle: dict[str, Any] = {mimetype: _plain(data)}
    if mimetype == _BUNDLE or mimetype.endswith("+json") or mimetype == "application/json":
        try:
            value: Any = read_json(data.encode(errors="replace"))
        except ValueError:
            value = data
        if mimetype == _BUNDLE and isinstance(value, dict):
            bundle = {
                str(kind): _plain(form) if isinstance(form, str) else form
                for kind, form in value.items()
                if kind != "__metadata__"
            }
        else:
            bundle = {mimetype: value}
    if isinstance(text := bundle.get("text/html"), str):
        bundle["text/html"] = (page or Page()).html(text)
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def error_of(error: Error) -> CellError:
    """Return why an execution failed. marimo's traceback is HTML, or among what was printed."""
    lines: tuple[str, ...] = ()
    if error.traceback is not None:
        lines = tuple(split_lines(_text(error.traceback)))
    kind = "SyntaxError" if error.kind in _SYNTAX else "marimo"
    return CellError(error.name or kind, error.message, lines)


class Page:
    """A page without marimo's front end and without the kernel's elements: they are drawn as they were first shown.

    It has the outputs of one answer, and room for so much as is drawn at once.
    """

    def __init__(self) -> None:
        self._characters, self._elements = _LONGEST_DRAWN, _MOST_DRAWN

    def html(self, text: str) -> str:
        """Return HTML with elements drawn, or as it is where there is no room for it."""
        if len(text) > self._characters:
            return text
        elements = sum(text.count(begin) for begin in ("<marimo-", "<iconify-icon", "<span"))
        if elements > self._elements:
            return text
        self._characters -= len(text)
        self._elements -= elements
        return styled(rewrite(text, lambda element: draw(element, self)))

    def control(self, element: Element) -> None:  # noqa: ARG002  # none is known
        return None

    def native(self, mime_type: str, data: object, text: str = "") -> str:  # noqa: ARG002  # the text stands for it
        return html.escape(text or f"({mime_type})")


def _text(shown: DisplayData) -> str:
    data = shown.data[-_LONGEST_TRACEBACK:]
    return html.unescape(_TAG.sub("", data)) if shown.mimetype == "text/html" else data


def _plain(data: str) -> str:
    """Return base64 without the address around it, as nbformat has it."""
    start = _DATA_ADDRESS.match(data[:200])
    return data if start is None else data[start.end() :]
