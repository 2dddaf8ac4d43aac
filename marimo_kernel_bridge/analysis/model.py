"""The values that the passes of an analysis share: cells, and versions of names."""

from __future__ import annotations

import ast
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.analysis.mutation import Mutation
    from marimo_kernel_bridge.analysis.name_uses import CellNames
    from marimo_kernel_bridge.analysis.occurrence import Occurrence
    from marimo_kernel_bridge.analysis.plan import Note


PYTHON: Final = -1
"""The cell number of a version that Python itself makes: of a builtin."""


TEXTS_REMEMBERED: Final = 2000
"""The size of the caches of results by a cell's text, about 11 KB each: twice the cells of a large notebook."""


@dataclass(frozen=True)
class Given:
    """One cell as input of the analysis. `fails`: it is known to end with an error. `parts`: how many cells it was."""

    source: str
    fails: bool = False
    parts: int = 1


@dataclass(eq=False)
class Version:
    """One version of a name: made by one cell, read by others. `outlives`: its cell's own code reads it after the cell."""

    name: str
    cell: int
    origin: str | None = None
    derived: bool = False
    temporary: bool = True
    definition: bool = False
    certain: bool = True
    outlives: bool = False
    readers: set[int] = field(default_factory=set)
    text: str = ""


class InForce:
    """The versions of names in force at one place of the document: a view that is cheaper than a copy."""

    def __init__(self, log: Mapping[str, Sequence[tuple[int, Version]]], time: int) -> None:
        """`log` has the versions of each name with the times when they came into force; entries may be appended."""
        self._log, self._time = log, time
        self._own: dict[str, Version] = {}

    def get(self, name: str) -> Version | None:
        """Return the version of a name, None if there is none."""
        if name in self._own:
            return self._own[name]
        versions = self._log.get(name, ())
        place = bisect_left(versions, self._time, key=lambda entry: entry[0])
        return versions[place - 1][1] if place else None

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> Version:
        version = self.get(name)
        if version is None:
            raise KeyError(name)
        return version

    def __setitem__(self, name: str, version: Version) -> None:
        self._own[name] = version


@dataclass
class Cell:
    """A cell during the analysis. `incoming` and `outgoing` are the versions of names before and after it."""

    index: int
    given: Given
    names: CellNames
    changed: dict[str, list[Mutation]] = field(default_factory=dict)
    incoming: InForce = field(default_factory=lambda: InForce({}, 0))
    outgoing: InForce = field(default_factory=lambda: InForce({}, 0))
    made: dict[str, Version] = field(default_factory=dict)
    seeded: dict[str, str] = field(
        default_factory=dict
    )  # name -> the template of its new version's initial value: "{}", "{}.copy()"
    together: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    repeated_imports: list[Occurrence] = field(default_factory=list)
    late: dict[tuple[str | None, str], Version] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def simple_augmented(cell: Cell, name: str) -> ast.AugAssign | None:
    """Return the first `x += 1` of a cell if it can be written as `x_1 = x + 1`."""
    stores = cell.names.stores(name)
    node = cell.names.tree.body[stores[0].statement]
    exposed = [use for use in cell.names.of(name) if use.exposed]
    if (
        isinstance(node, ast.AugAssign)
        and isinstance(node.value, ast.Constant)
        and stores[0].augmented
        and all(use.order <= stores[0].order for use in exposed)
    ):
        return node
    return None


def span(source: str, node: ast.stmt) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(source, node.lineno, node.col_offset), offset(source, node.end_lineno, node.end_col_offset)


def at(cell: Cell, node: ast.Name) -> int:
    return offset(cell.given.source, node.lineno, node.col_offset)


def offset(source: str, line: int, column: int) -> int:
    lines = source.split("\n")
    text = lines[line - 1]
    width = column if text.isascii() else len(text.encode()[:column].decode(errors="replace"))
    return sum(len(above) + 1 for above in lines[: line - 1]) + width


def definition(tree: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return node
    return None
