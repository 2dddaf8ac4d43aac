"""A record of which outputs show which UI elements, so that they can be redrawn when an element is set.

marimo's frontend updates a slider wherever it is on the page. In Jupyter the output has the state at the time of the
run, and setting an element never runs the cell that creates it. A page with marimo's front end asks for what stands behind
a placeholder. Keeps the outputs of each cell's newest run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marimo._plugins.ui._core.ui_element import UIElement
from marimo._runtime.context import safe_get_context

from marimo_kernel_bridge.runtime.interface import Redrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from marimo._output.hypertext import Html
    from marimo._runtime.cell_output_list import CellOutputList

    from marimo_kernel_bridge.runtime.display.placeholders import Placeholder

Data = dict[str, Any]
"""The data of an output, by mime type."""


@dataclass
class ShownObject:
    """An object in the outputs of a cell. `data` is its static form, `live` marimo's HTML of it, empty if it is not alive.

    `element_ids` are those of the elements that the static form shows. `place` is where pages show it; None if none does.
    """

    thing: Callable[[], Html | None]
    element_ids: frozenset[str]
    data: Data
    live: str = ""
    place: Placeholder | None = None
    redrawn: bool = False

    @property
    def shown_data(self) -> Data:
        """The data of its output."""
        return self.data if self.place is None else self.place.around(self.data)


@dataclass
class _Run:
    """One run of a cell, identified by `area`, which marimo's threads share with the run that started them."""

    area: CellOutputList
    objects: dict[str, ShownObject] = field(default_factory=dict)


class ShownElements:
    """The outputs of the newest run of each cell that show UI elements. The main thread writes, any thread reads."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._count = 0

    def note(self, shown: ShownObject) -> str:
        """Record that the running cell shows an object. Return the object's id, empty if no cell runs."""
        context = safe_get_context()
        execution = None if context is None else context.execution_context
        if execution is None or execution.setting_element_value:
            return ""
        run = self._runs.get(execution.cell_id)
        if run is None or run.area is not execution.output:
            run = self._runs[execution.cell_id] = _Run(execution.output)
        self._count += 1
        out = str(self._count)
        run.objects[out] = shown
        return out

    def forget(self, cell_id: str) -> None:
        """Forget what a cell shows that is no more."""
        self._runs.pop(cell_id, None)

    def find(self, shown: str, cell_id: str = "") -> ShownObject | None:
        """Return an object by its id in a placeholder, or by the static HTML in its output, which those of other cells may have, too."""
        for run in list(self._runs.values()):
            if shown in run.objects:
                return run.objects[shown]
        own = self._runs.get(cell_id)
        for run in (own, *list(self._runs.values())) if own is not None else list(self._runs.values()):
            for candidate in list(run.objects.values()):
                if candidate.live and candidate.data.get("text/html") == shown:
                    return candidate
        return None

    def redrawn(
        self, elements: Iterable[UIElement[Any, Any]], draw: Callable[[Html, Placeholder | None], Data]
    ) -> dict[str, list[Redrawn]]:
        """Redraw outputs that show any of `elements`, and return the changes, by cell."""
        ids = {inner._id for element in elements for inner in with_inner(element)}
        changed: dict[str, list[Redrawn]] = {}
        for cell_id, run in self._runs.items():
            for shown in run.objects.values():
                thing = shown.thing()
                if thing is None or not ids & shown.element_ids:
                    continue
                before, data = shown.shown_data, draw(thing, shown.place)
                if data != shown.data:
                    shown.data, shown.redrawn = data, True
                    out = "" if shown.place is None else shown.place.out
                    changed.setdefault(cell_id, []).append(Redrawn(before, shown.shown_data, out))
        return changed


def with_inner(element: UIElement[Any, Any]) -> Iterator[UIElement[Any, Any]]:
    """Yield an element and the elements inside it, which are set together."""
    yield element
    inside: Any = element.__dict__.get("_elements") or element.__dict__.get("element")
    children = (
        inside.values() if isinstance(inside, dict) else inside if isinstance(inside, list) else [inside]
    )
    for child in children:
        if isinstance(child, UIElement):
            yield from with_inner(child)
