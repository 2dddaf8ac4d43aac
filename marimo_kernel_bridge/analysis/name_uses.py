"""The uses of global names in a cell: every occurrence of one, and the names that are bound at the end.

Does not know other cells.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.name_reader import NameReader

if TYPE_CHECKING:
    from marimo_kernel_bridge.analysis.occurrence import Occurrence


@dataclass
class CellNames:
    """The uses of global names in one cell. `bound_at_end` are the names that are certainly bound at its end."""

    source: str
    tree: ast.Module
    occurrences: list[Occurrence] = field(default_factory=list)
    bound_at_end: frozenset[str] = frozenset()

    def of(self, name: str) -> list[Occurrence]:
        return self._by_name.get(name, [])

    @cached_property
    def names(self) -> list[str]:
        return list(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, list[Occurrence]]:
        by_name: dict[str, list[Occurrence]] = {}
        for occurrence in self.occurrences:
            by_name.setdefault(occurrence.name, []).append(occurrence)
        return by_name

    def stores(self, name: str) -> list[Occurrence]:
        """Return the places where the cell itself, not a function in it, binds a name."""
        return [use for use in self.of(name) if use.act == "store" and not use.late]


def read_cell(source: str) -> CellNames:
    """Read a cell. Raises SyntaxError."""
    tree = parse(source)
    reader = NameReader(source)
    bound = reader.read(tree)
    return CellNames(source, tree, reader.occurrences, bound)


def parse(source: str) -> ast.Module:
    """Parse a cell; top-level `await` is allowed."""
    tree = compile(
        source,
        "<cell>",
        "exec",
        flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    assert isinstance(tree, ast.Module)
    return tree
