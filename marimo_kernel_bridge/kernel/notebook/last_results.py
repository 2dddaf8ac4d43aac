"""IPython's last results (`_`, `__`, `___`) and numbered ones (`_3`, `Out[3]`) at each cell's place in the document.

A cell that reads the last results gets those of the cells above it, and is outdated once these have others. A number is that
of the cell which ran with it: where a run from top to bottom would give the number to another cell, the reader is marked.
Main thread only. Does not set the names: that is for IPython's display hook.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.kernel.cells import CellTable, Entry

_RECALLS: Final = re.compile(r"(?<![\w.])(?:_{1,3}|_\d+|Out)(?!\w)")
_NUMBERED: Final = re.compile(r"(?<![\w.])(?:_(\d+)(?!\w)|Out\s*\[\s*(\d+)\s*\])")
_MOST: Final = 3


class LastResults:
    """Which cells read results of others, and what they have read."""

    def __init__(self, cells: CellTable, values: Mapping[str, Any]) -> None:
        """`values` is the namespace in which all code runs."""
        self._cells = cells
        self._values = values
        self._last: dict[str, tuple[object, ...]] = {}  # by cell, what it has read as `_`, `__`, `___`
        self._numbered: dict[str, dict[int, object]] = {}

    def recall(self, entry: Entry) -> tuple[object, ...] | None:
        """Return the last results for a cell that is about to run, the newest first; None if it reads none."""
        cell_id = entry.cell.cell_id
        self.forget(cell_id)
        code = "" if entry.body is None else entry.body.code
        if not entry.live or entry.address.dialect == "batch" or not _RECALLS.search(code):
            return None
        last, numbers = _read_by(code)
        if numbers:
            results = self._results
            self._numbered[cell_id] = {number: results.get(number) for number in numbers}
        if not last:
            return None
        self._last[cell_id] = self._above(cell_id)
        return self._last[cell_id]

    def forget(self, cell_id: str) -> None:
        """Drop what a cell has read."""
        self._last.pop(cell_id, None)
        self._numbered.pop(cell_id, None)

    @property
    def are_read(self) -> bool:
        """Whether any cell has read results of others."""
        return bool(self._last or self._numbered)

    def outdated(self) -> set[str]:
        """Return the cells that would read other results now."""
        known = {cell_id for cell_id in (*self._last, *self._numbered) if cell_id in self._cells}
        results = self._results
        return {
            cell_id
            for cell_id in known
            if not _same(self._last.get(cell_id), self._above(cell_id))
            or any(
                results.get(number) is not value for number, value in self._numbered.get(cell_id, {}).items()
            )
        }

    @property
    def ahead(self) -> frozenset[str]:
        """The cells that read a result by a number which another cell would have in a run from top to bottom."""
        if not self._numbered:
            return frozenset()
        ranked = [entry for entry in self._cells if _counts(entry)]
        places = {entry.cell.cell_id: place for place, entry in enumerate(ranked, 1)}
        right = {
            place for entry in ranked if entry.cell.execution_count == (place := places[entry.cell.cell_id])
        }
        return frozenset(
            cell_id
            for cell_id, read in self._numbered.items()
            if any(number not in right or number >= places.get(cell_id, 0) for number in read)
        )

    @property
    def _results(self) -> Mapping[int, object]:
        results: Mapping[int, object] = self._values.get("_oh", {})
        return results

    def _above(self, cell_id: str) -> tuple[object, ...]:
        """Return the last results of the cells above one, the newest first."""
        results, found = self._results, []
        for entry in self._cells:
            if entry.cell.cell_id == cell_id:
                break
            count = entry.cell.execution_count or 0
            if _counts(entry) and count in results:
                found.append(results[count])
        return tuple(reversed(found[-_MOST:]))


def _counts(entry: Entry) -> bool:
    return not entry.deleted and entry.cell.status != "superseded" and bool(entry.cell.code.strip())


def _same(read: tuple[object, ...] | None, now: tuple[object, ...]) -> bool:
    return read is None or (len(read) == len(now) and all(map(_is, read, now)))


def _is(one: object, other: object) -> bool:
    return one is other


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _read_by(code: str) -> tuple[bool, frozenset[int]]:
    """Return whether a cell reads the last results, and the numbers of others that it reads."""
    from marimo_kernel_bridge.analysis.name_uses import read_cell  # noqa: PLC0415  # few cells recall anything

    try:
        read = {use.name for use in read_cell(code).occurrences if use.act == "load" and use.exposed}
    except (SyntaxError, ValueError, AssertionError, IndexError, RecursionError, MemoryError):
        return False, frozenset()
    numbers = (int(one or other) for one, other in _NUMBERED.findall(code))
    return not read.isdisjoint({"_", "__", "___"}), frozenset(numbers)
