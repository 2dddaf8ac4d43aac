"""Renamed functions and classes whose own name Python shows: in a repr, a traceback, a generator, a help text.

Such a definition gets the decorator `shown_as("name")`, which the importer defines. Where objects are pickled, no
definition does: pickle looks for a function or class under the name that it shows.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
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
_GOING_OVER: Final = frozenset(
    "all any dict enumerate filter frozenset list map max min next set sorted sum tuple zip".split()  # noqa: SIM905  # a list of words
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
    taken = _taken_from(cells)
    themselves: set[str] = set()
    looked_at: dict[str, set[int]] = {}
    for cell in cells:
        for name in cell.names.names:
            node = definition(cell.names.tree, name)
            if node is not None and (everything or _shows_itself(node, taken)):
                themselves.add(name)
        for use in cell.names.occurrences:
            if use.act == "load" and not use.called:
                looked_at.setdefault(use.name, set()).add(cell.index)
    return ShownNames(frozenset(themselves), looked_at)


def _shows_itself(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, taken: AbstractSet[str]
) -> bool:
    """Return whether what a definition makes may show its name.

    So do instances, generators, coroutines, and functions that are defined inside; a decorator may look at it. The
    generators of functions that are `taken` from where they are called do not.
    """
    if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef) or node.decorator_list:
        return True
    makes: tuple[type[ast.AST], ...] = (ast.GeneratorExp, ast.Lambda, ast.FunctionDef, ast.ClassDef)
    makes += () if node.name in taken else (ast.Yield, ast.YieldFrom)
    return any(isinstance(part, makes) for part in ast.walk(node) if part is not node)


def _taken_from(cells: Sequence[Cell]) -> frozenset[str]:
    """Return the functions whose results are only gone over where they are called: `list(f())`, `for x in f()`."""
    loads, gone_over = Counter[str](), Counter[str]()
    for part in (part for cell in cells for part in ast.walk(cell.names.tree)):
        places: list[ast.expr] = []
        match part:
            case ast.Name(id=name, ctx=ast.Load()):
                loads[name] += 1
            case ast.For(iter=place) | ast.comprehension(iter=place) | ast.YieldFrom(value=place):
                places = [place]
            case ast.Starred(value=place):
                places = [place]
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _GOING_OVER:
                places = arguments
            case ast.Call(func=ast.Attribute(attr="join"), args=arguments):
                places = arguments
        gone_over.update(
            place.func.id
            for place in places
            if isinstance(place, ast.Call) and isinstance(place.func, ast.Name)
        )
    return frozenset(name for name, times in gone_over.items() if times == loads[name])
