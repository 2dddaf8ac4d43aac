"""The versions of the texts of a document's cells: a number for each text, never given to another text of the same cell.

A text that runs gets its number from the table of cells, which asks here for the highest one so far. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.document import base_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.notebook import Cell

_KEPT: Final = 50_000
_CELLS_KEPT: Final = 200_000


class TextVersions:
    """The versions of texts, by the keys of cells."""

    def __init__(self, ran: Callable[[str], Cell | None], highest: dict[str, int]) -> None:
        """`ran` returns the kernel's cell with a key. `highest` is the table's: the highest version of each cell."""
        self._ran = ran
        self._highest = highest
        self._versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def of(self, key: str, code: str) -> int:
        """Return the version of a text; the kernel's, if it is what ran."""
        text = (key, base_of(code))
        version = self._versions.get(text)
        if version is None:
            cell = self._ran(key)
            if cell is not None and cell.code == code:
                version = cell.version
            else:
                version = max(self._highest.get(key, 0), 0 if cell is None else cell.version) + 1
            self._versions[text] = version
            self._highest[key] = max(version, self._highest.get(key, 0))
            if len(self._highest) > _CELLS_KEPT:
                del self._highest[next(iter(self._highest))]
            while len(self._versions) > _KEPT:
                self._versions.popitem(last=False)
        return version

    def renamed(self, key: str, new: str, code: str) -> None:
        """Note that a cell has another key: its text keeps its version."""
        version = self.of(key, code)
        self._versions[new, base_of(code)] = version
        self._highest[new] = max(version, self._highest.get(key, 0))

    def fits(self, key: str, code: str, version: int) -> bool:
        """Return whether an author who read a version has read this text."""
        cell = self._ran(key)
        return version == self.of(key, code) or (
            cell is not None and cell.code == code and cell.version == version
        )
