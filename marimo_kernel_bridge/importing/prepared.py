"""The code cells of a notebook during an import, and the notes on them, as values."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.notebooks.ipynb import Notebook

_LINE_END: Final = re.compile(r"\r\n?")


def with_line_feeds(notebook: Notebook) -> Notebook:
    """Return a notebook whose lines all end with a line feed, which is how Python reads other line ends."""
    cells = tuple(
        replace(cell, source=_LINE_END.sub("\n", cell.source)) if "\r" in cell.source else cell
        for cell in notebook.cells
    )
    return replace(notebook, cells=cells)


@dataclass
class Working:
    """One cell of the result, made of the notebook's cells at `positions`; an added cell has none.

    `parts` are their codes by position, so that cells that are joined later keep document order. A cell that was divided
    has its second part half a position below.
    """

    positions: tuple[int, ...]
    code: str
    fails: bool = False
    parts: dict[float, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.positions) == 1 and not self.parts:
            self.parts = {self.positions[0]: self.code}


@dataclass(frozen=True)
class Need:
    """A name that the code imports from elsewhere: what is imported, and under which name."""

    key: str
    name: str


@dataclass
class Prepared:
    """The code cells of the result, the notes on each position, and the requirements for the file's header.

    `called` are the names of imports in generated Python; `needs` are those that it uses, with the first position.
    `last_alone`: the value of a cell replaces what it has displayed, as in marimo. `copies_on_write`: the pandas that
    the result runs with does.
    """

    cells: list[Working]
    notes: dict[int, list[str]] = field(default_factory=dict)
    lost: dict[int, list[str]] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    called: Mapping[str, str] = field(default_factory=dict)
    observed: Mapping[int, str] = field(default_factory=dict)
    copies_on_write: bool = True
    needs: dict[Need, int] = field(default_factory=dict)
    last_alone: bool = False

    def need(self, key: str, positions: Iterable[int], *, name: str | None = None) -> None:
        """Note that cells need an import, under the name of generated code unless another is given."""
        need = Need(key, name or self.called.get(key, key))
        self.needs[need] = min(self.needs.get(need, sys.maxsize), *positions, sys.maxsize)

    def note(self, positions: Iterable[int], text: str) -> None:
        for position in positions:
            notes = self.notes.setdefault(position, [])
            if text not in notes:
                notes.append(text)
