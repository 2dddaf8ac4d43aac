"""Renamed functions and classes whose own name Python shows: in a repr, a traceback, a generator, a help text.

Such a definition gets the decorator `shown_as("name")`, which the importer defines. Where objects are pickled, no
definition does: pickle looks for a function or class under the name that it shows.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import definition
from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.model import Cell, Version

SHOWN_AS: Final = "shown_as"
_LOOKED_AT: Final = re.compile(
    r"\bhelp\(|\.__name__\b|\.__qualname__\b|\binspect\.|\btraceback\b|%?\bl?prun\b|\bcProfile\b|\bwraps\b"
)
_PICKLING: Final = frozenset(
    {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "multiprocessing", "shelve"}
)


@dataclass(frozen=True)
class ShownNames:
    """The names of definitions that show themselves, and by name the cells that look at one without calling it."""

    themselves: frozenset[str] = frozenset()
    looked_at: Mapping[str, AbstractSet[int]] = field(default_factory=dict)

    def include(self, version: Version) -> bool:
        """Return whether some cell may show the name of what a version is."""
        looking = self.looked_at.get(version.name, frozenset())
        return version.name in self.themselves or not looking.isdisjoint(version.readers | {version.cell})


def shown_names(cells: Sequence[Cell]) -> ShownNames:
    """Return of which functions and classes the notebook shows the name."""
    if any(_PICKLING & words_of(cell.given.source) for cell in cells):
        return ShownNames()
    everything = any(cell.given.fails or _LOOKED_AT.search(cell.given.source) for cell in cells)
    themselves: set[str] = set()
    looked_at: dict[str, set[int]] = {}
    for cell in cells:
        for name in cell.names.names:
            node = definition(cell.names.tree, name)
            if node is not None and (everything or _shows_itself(node)):
                themselves.add(name)
        for use in cell.names.occurrences:
            if use.act == "load" and not use.called:
                looked_at.setdefault(use.name, set()).add(cell.index)
    return ShownNames(frozenset(themselves), looked_at)


def _shows_itself(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Return whether what a definition makes may show its name.

    So do instances, generators, coroutines, and functions that are defined inside; a decorator may look at it.
    """
    if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef) or node.decorator_list:
        return True
    makes = ast.Yield | ast.YieldFrom | ast.GeneratorExp | ast.Lambda | ast.FunctionDef | ast.ClassDef
    return any(isinstance(part, makes) for part in ast.walk(node) if part is not node)
