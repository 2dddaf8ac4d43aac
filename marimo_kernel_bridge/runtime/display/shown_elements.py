"""A record of which outputs show which UI elements, so that they can be redrawn when an element is set.

marimo's frontend updates a slider wherever it is on the page. In Jupyter the output has the state at the time of the
run, and setting an element never runs the cell that creates it. Keeps the outputs of each cell's newest run.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marimo._plugins.ui._core.ui_element import UIElement
from marimo._runtime.context import safe_get_context

from marimo_kernel_bridge.runtime.interface import Redrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from marimo._output.hypertext import Html
    from marimo._runtime.cell_output_list import CellOutputList

Data = dict[str, Any]
"""The data of an output, by mime type."""


@dataclass
class _Drawing:
    thing: weakref.ref[Html]
    element_ids: frozenset[str]
    data: Data


@dataclass
class _Run:
    """One run of a cell, identified by `area`, which marimo's threads share with the run that started them."""

    area: CellOutputList
    drawings: list[_Drawing]


class ShownElements:
    """The outputs of the newest run of each cell that show UI elements."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def note(self, thing: Html, element_ids: Iterable[str], data: Data) -> None:
        """Record that the running cell shows `thing` as `data`."""
        context = safe_get_context()
        execution = None if context is None else context.execution_context
        if execution is None or execution.setting_element_value:
            return
        run = self._runs.get(execution.cell_id)
        if run is None or run.area is not execution.output:
            run = self._runs[execution.cell_id] = _Run(execution.output, [])
        run.drawings.append(_Drawing(weakref.ref(thing), frozenset(element_ids), data))

    def redrawn(
        self, elements: Iterable[UIElement[Any, Any]], draw: Callable[[Html], Data]
    ) -> dict[str, list[Redrawn]]:
        """Redraw outputs that show any of `elements`, and return the changes, by cell."""
        ids = {element_id for element in elements for element_id in _ids(element)}
        changed: dict[str, list[Redrawn]] = {}
        for cell_id, run in self._runs.items():
            for drawing in run.drawings:
                thing = drawing.thing()
                if thing is None or not ids & drawing.element_ids:
                    continue
                before, drawing.data = drawing.data, draw(thing)
                if before != drawing.data:
                    changed.setdefault(cell_id, []).append(Redrawn(before, drawing.data))
        return changed


def _ids(element: UIElement[Any, Any]) -> Iterator[str]:
    """Yield the ids of an element and of the elements inside it, which are set together."""
    yield element._id
    inside: Any = element.__dict__.get("_elements") or element.__dict__.get("element")
    children = (
        inside.values() if isinstance(inside, dict) else inside if isinstance(inside, list) else [inside]
    )
    for child in children:
        if isinstance(child, UIElement):
            yield from _ids(child)
