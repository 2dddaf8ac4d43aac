"""Cells and versions of names while they are analysed: what the parts of the analysis share."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.reactive_names.mutations import Mutation
    from marimo_kernel_bridge.reactive_names.occurrences import CellNames, Occurrence


@dataclass(frozen=True)
class Given:
    """One cell as it goes into the analysis. `fails`: it is known to end with an error."""

    source: str
    fails: bool = False


@dataclass(eq=False)
class Version:
    """One version of a name: made by one cell, read by others."""

    name: str
    cell: int
    origin: str | None = None
    derived: bool = False
    temporary: bool = True
    definition: bool = False
    certain: bool = True
    readers: set[int] = field(default_factory=set)
    text: str = ""


@dataclass
class Cell:
    """A cell while it is analysed. `incoming` and `outgoing` are the versions of names before and after it."""

    index: int
    given: Given
    names: CellNames
    changed: dict[str, list[Mutation]] = field(default_factory=dict)
    incoming: dict[str, Version] = field(default_factory=dict)
    outgoing: dict[str, Version] = field(default_factory=dict)
    made: dict[str, Version] = field(default_factory=dict)
    seeded: dict[str, str] = field(
        default_factory=dict
    )  # name -> how its new version starts: "{}", "{}.copy()"
    together: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    repeated_imports: list[Occurrence] = field(default_factory=list)
    late: dict[tuple[str | None, str], Version] = field(default_factory=dict)


def simple_augmented(cell: Cell, name: str) -> ast.AugAssign | None:
    """Return the first `x += 1` of a cell if it can be written out: `x_1 = x + 1`."""
    stores = cell.names.stores(name)
    node = cell.names.tree.body[stores[0].statement]
    exposed = [each for each in cell.names.of(name) if each.exposed]
    if (
        isinstance(node, ast.AugAssign)
        and isinstance(node.value, ast.Constant)
        and stores[0].augmented
        and all(each.order <= stores[0].order for each in exposed)
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
    return sum(len(each) + 1 for each in lines[: line - 1]) + width


def definition(tree: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return node
    return None
