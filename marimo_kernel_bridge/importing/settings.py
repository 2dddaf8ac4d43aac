"""Settings of libraries (`plt.rcParams`, `pd.options`) that one cell changes and others show.

The cells below run when the settings are changed. Where cells above show them too, every such cell sets those of its place
back when it runs again. A first run sets nothing back, and what the importer does not see as a change is kept.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.importing.library_settings import SETTINGS, LibrarySettings, Reading
from marimo_kernel_bridge.importing.python_text import hides_its_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.name_uses import CellNames

_SET: Final = "cells that read it run again when these settings change"
_READ: Final = "what this cell shows depends on them"
_FOLLOWS: Final = "it runs again when a cell above changes the settings of {}"
_BY_PLACE: Final = "`{}()` gives it the settings of its place when it runs again"


@dataclass
class Placed:
    """The code of a cell, the notes on it, and the functions that it needs."""

    code: str
    notes: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)


@dataclass
class _Cell:
    """The statements of a cell that show settings (`shows`) and that change them (`sets`), by index.

    `ends_with_value`: the last of them returns what the cell shows, which no line below may replace.
    """

    names: CellNames
    shows: list[int] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)
    ends_with_value: bool = False

    def shows_above_a_change(self) -> bool:
        return bool(self.shows and self.sets) and min(self.shows) < max(self.sets)


def by_place(
    codes: Sequence[str], called: Mapping[str, str], failing: AbstractSet[int] = frozenset()
) -> list[Placed]:
    """Make cells follow the settings of libraries that cells above change. All `codes` must be Python.

    `called` are the names of what the result imports or defines. Nothing may depend on the cells `failing`: marimo
    would not run it.
    """
    placed = [Placed(code) for code in codes]
    for settings in SETTINGS:
        text = "\n".join(each.code for each in placed)
        if settings.library in text or (settings.library == "matplotlib" and "seaborn" in text):
            _place(placed, settings, called.get(settings.name, settings.name), failing)
    return placed


def _place(placed: list[Placed], settings: LibrarySettings, name: str, failing: AbstractSet[int]) -> None:
    cells = _cells([each.code for each in placed], settings)
    setting = [number for number, cell in enumerate(cells) if cell.sets]
    showing = [number for number, cell in enumerate(cells) if cell.shows]
    if not setting or not showing or not failing.isdisjoint(setting):
        return
    if min(showing) < max(setting) or any(cell.shows_above_a_change() for cell in cells):
        if any(cell.ends_with_value for cell in cells):
            return
        for number in sorted({*setting, *showing}):
            each = placed[number]
            each.code = _with_places(each.code, cells[number], name)
            each.notes.append(_BY_PLACE.format(name))
            each.needs.append(settings.name)
        return
    follow = _without_edge(cells, setting, showing)
    for number, each in enumerate(placed):
        if follow and cells[number].sets:
            line = _end(cells[number])
            if cells[number].ends_with_value:
                line = cells[number].names.tree.body[-1].lineno - 1
            each.code = _inserted(each.code, line, f"{name} = True  # {_SET}")
        if number in follow:
            each.code = f"{name}  # {_READ}\n{each.code}"
            each.notes.append(_FOLLOWS.format(settings.library))


def _cells(codes: Sequence[str], settings: LibrarySettings) -> list[_Cell]:
    """Return what the cells do; nothing if no settings change, or if a line for them would hide a value."""
    cells = [_Cell(read_cell(code)) for code in codes]
    reading = Reading([cell.names for cell in cells], settings)
    if not reading.is_set:
        return []
    for cell in cells:
        body = cell.names.tree.body
        shows_last = not hides_its_value(cell.names.source)
        for index, statement in enumerate(body):
            is_last = index == len(body) - 1
            if reading.shows(statement, is_last=is_last and shows_last):
                cell.shows.append(index)
            if reading.sets(statement):
                cell.sets.append(index)
                cell.ends_with_value = is_last and shows_last and reading.has_value(statement)
                if not is_last and body[index + 1].lineno <= (statement.end_lineno or 0):
                    return []
    return cells


def _without_edge(cells: Sequence[_Cell], setting: Sequence[int], showing: Sequence[int]) -> set[int]:
    """Return the cells that do not yet depend on the last cell above that changes the settings."""
    upstream = _upstream(cells)
    follow = set()
    for number in {*setting[1:], *showing}:
        above = [each for each in setting if each < number]
        if above and above[-1] not in upstream[number]:
            follow.add(number)
    return follow


def _upstream(cells: Sequence[_Cell]) -> list[set[int]]:
    """Return, for each cell, the cells above that it depends on; a repeated import is the first one's."""
    bound: dict[str, int] = {}
    imported: dict[tuple[str, str], int] = {}
    upstream: list[set[int]] = []
    for number, cell in enumerate(cells):
        near = {
            bound[use.name]
            for use in cell.names.occurrences
            if use.act == "load" and (use.exposed or use.late) and use.name in bound
        }
        for use in cell.names.occurrences:
            if use.act == "store" and use.origin:
                first = imported.setdefault((use.name, use.origin), number)
                bound[use.name] = first
                near |= {first} - {number}
            elif use.act == "store" and not use.late:
                bound[use.name] = number
        upstream.append(near.union(*(upstream[each] for each in near)))
    return upstream


def _with_places(code: str, cell: _Cell, name: str) -> str:
    """Set the settings of its place where a cell begins to use the library, and keep those that it leaves."""
    if cell.sets:
        code = _inserted(code, _end(cell), f"{name} = {name}.keep()")
    body = cell.names.tree.body
    first = min([*cell.shows, *cell.sets])
    imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in body[:first])
    return _inserted(code, body[first].lineno - 1 if imports else 0, f"{name}()")


def _end(cell: _Cell) -> int:
    end = cell.names.tree.body[max(cell.sets)].end_lineno
    assert end is not None
    return end


def _inserted(code: str, at: int, line: str) -> str:
    lines = code.split("\n")
    lines.insert(at, line)
    return "\n".join(lines)
