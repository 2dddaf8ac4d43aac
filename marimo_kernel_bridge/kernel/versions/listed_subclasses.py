"""Classes that a cell finds by their bases, with `Base.__subclasses__()`, and the cells that define them.

No object of the notebook holds that list. A class that a cell has defined anew stays in it until Python's collector finds the
one before. So that runs before such a list is read, if there may be any.
"""

from __future__ import annotations

import gc
import os
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LISTED: Final = frozenset({f"subclasses{os.sep}"})
"""The name of the lists among the data that cells read and add to, for all classes together: as of what is in a folder."""
_NOTEBOOK: Final = "__main__"


class Subclasses:
    """The classes with bases that each cell has defined in its last run."""

    def __init__(self) -> None:
        self._defined: dict[str, list[weakref.ref[type]]] = {}
        self._left: list[weakref.ref[type]] = []

    def end(
        self, cell_id: str, names: Iterable[str], values: Mapping[str, Any], *, lists: bool
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Note which of the names of a cell that ran are classes with bases. Return which lists it reads, and which it adds to.

        `lists`: it finds classes by their bases.
        """
        self.forget(cell_id)
        classes: list[type] = [value for value in map(values.get, names) if _has_base(value)]
        if classes:
            self._defined[cell_id] = [*map(weakref.ref, classes)]
        return _LISTED if lists else frozenset(), _LISTED if classes else frozenset()

    def forget(self, cell_id: str) -> None:
        """Note that the classes of a cell are no longer the notebook's."""
        self._left += self._defined.pop(cell_id, ())

    def drop_left(self) -> bool:
        """Have the classes collected that are no longer the notebook's. Return whether some are in use still."""
        if any(each() is not None for each in self._left):
            gc.collect()
        self._left = [each for each in self._left if each() is not None]
        return bool(self._left)


def _has_base(value: object) -> TypeGuard[type]:
    return issubclass(type(value), type) and value.__module__ == _NOTEBOOK and len(value.__mro__) > 2  # type: ignore[attr-defined]  # noqa: PLR2004  # the class and `object`
