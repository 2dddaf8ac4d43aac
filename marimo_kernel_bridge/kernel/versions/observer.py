"""What the runs of each cell have shown, kept by cell: knowledge about its code that its text does not have.

Main thread only. How it is looked at is the business of `observing`, which the first cell loads.
"""

from __future__ import annotations

import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.analysis.observations import Observations
    from marimo_kernel_bridge.kernel.versions.observing import Watch
    from marimo_kernel_bridge.kernel.versions.value_flow import Part


_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, types.ModuleType})
"""What cannot be mutated, or is not compared."""


class CellObserver:
    """Looks at the namespace before and after the body of each cell."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values` is the namespace in which all code runs."""
        self._values = values
        self._observations: dict[str, tuple[str, Observations]] = {}  # by cell, with the code that ran
        self._watch: Watch | None = None  # of the cell whose body runs

    def begin(self, cell_id: str, part: Part | None) -> None:
        """Look at what a cell can mutate, before its body. None: nothing of the cell is analyzed."""
        self._watch = None
        if part is not None and self._mentions_objects(part):
            from marimo_kernel_bridge.kernel.versions.observing import watch  # noqa: PLC0415  # a client waits for the sockets

            made = part.flow.makes - self.mutated_by(cell_id) - _mutated_in_place(part)
            self._watch = watch(part.flow.mentions, self._values, made)

    def end(self, cell_id: str, part: Part) -> bool:
        """Record what the body has shown. Return whether that differs from what was known of the cell."""
        before, self._watch = self._watch, None
        if before is None and not self._mentions_objects(part):
            return False
        from marimo_kernel_bridge.kernel.versions.observing import Watch, observe  # noqa: PLC0415  # as in `begin`

        source = part.source
        text = source.imports + source.code
        observations = observe(before or Watch(), text, part.flow.mentions, self._values)
        ran, earlier = self._observations.get(cell_id, ("", observations))
        if ran == source.code:  # a cache that is full now was filled by this code
            observations = replace(observations, mutates=observations.mutates | earlier.mutates)
        self._observations[cell_id] = source.code, observations
        return observations.text() != source.observed

    def _mentions_objects(self, part: Part) -> bool:
        """Return whether any name that a cell mentions is bound to something that can be mutated, perhaps."""
        values = self._values
        return any(type(values.get(name)) not in _PLAIN for name in part.flow.mentions)

    def text_of(self, cell_id: str, code: str) -> str:
        """Return what was observed of a cell, see `Observations.text`; of another code than ran, what to expect of it."""
        if cell_id not in self._observations:
            return ""
        ran, observations = self._observations[cell_id]
        if ran != code:
            observations = observations.predicted(words_of(code))
        return observations.text()

    def mutated_by(self, cell_id: str) -> frozenset[str]:
        """Return the names whose objects the last run of a cell was seen to mutate."""
        return self._observations[cell_id][1].mutates if cell_id in self._observations else frozenset()

    def forget(self, cell_id: str) -> None:
        """Drop what is known of a cell."""
        self._observations.pop(cell_id, None)


def _mutated_in_place(part: Part) -> set[str]:
    """Return the names whose objects a cell mutates by its text, perhaps, and of which no copies are made."""
    return {name for name, how in part.flow.keeps.items() if how == "{}"} - part.flow.draws_on
