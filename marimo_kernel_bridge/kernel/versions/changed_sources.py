"""The sources of changed cells for the analysis of versions: code, names of star imports, observations of runs.

Tracks cells with star imports, because the names that these bind depend on the loaded modules. Analyzes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.kernel.cells import Body, CellTable
    from marimo_kernel_bridge.kernel.versions.observer import CellObserver
    from marimo_kernel_bridge.kernel.versions.value_flow import Source


class ChangedSources:
    """The sources of a notebook's cells that have changed since they were last taken."""

    def __init__(self, cells: CellTable, observer: CellObserver) -> None:
        self._cells = cells
        self._observer = observer
        self._stars: set[str] = set()  # cells with star imports

    def take(self, previous: Mapping[str, Source], *, strict: bool) -> dict[str, Source | None]:
        """Return the sources that differ from the previous ones, None for cells without one. `strict`: none has."""
        touched = self._cells.take_touched()
        if strict:
            return dict.fromkeys(previous)
        bodies = {cell_id: self._body(cell_id) for cell_id in touched}
        for cell_id, body in bodies.items():
            (self._stars.add if body is not None and body.stars else self._stars.discard)(cell_id)
            if body is None:
                self._observer.forget(cell_id)
        words: set[str] = set()
        if self._stars:  # the names that they bind depend on the modules loaded so far
            bodies |= {cell_id: self._body(cell_id) for cell_id in self._stars}
            words = _words(entry.body for entry in self._cells if entry.body is not None)
        sources = {
            cell_id: None if body is None else self._source(cell_id, body, words)
            for cell_id, body in bodies.items()
        }
        return {cell_id: source for cell_id, source in sources.items() if previous.get(cell_id) != source}

    def sources(self, bodies: Mapping[str, Body]) -> dict[str, Source]:
        """Return the sources that a notebook with these cells would have."""
        words = _words(bodies.values()) if any(body.stars for body in bodies.values()) else set()
        return {cell_id: self._source(cell_id, body, words) for cell_id, body in bodies.items()}

    def _source(self, cell_id: str, body: Body, words: set[str]) -> Source:
        from marimo_kernel_bridge.kernel.versions.star_imports import written_out  # noqa: PLC0415  # needed when the first cell runs
        from marimo_kernel_bridge.kernel.versions.value_flow import Source  # noqa: PLC0415  # needed when the first cell runs

        return Source(body.code, written_out(body.stars, words), self._observer.text_of(cell_id, body.code))

    def _body(self, cell_id: str) -> Body | None:
        """Return the body of a cell in the graph, None if it has none there."""
        entry = self._cells.get(cell_id)
        if entry is None or entry.body is None or entry.body.interactivity == "none":
            return None
        return None if entry.deleted or entry.cell.status == "superseded" else entry.body


def _words(bodies: Iterable[Body]) -> set[str]:
    return set().union(*(words_of(body.code) for body in bodies))
