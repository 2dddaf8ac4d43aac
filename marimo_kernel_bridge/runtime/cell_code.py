"""marimo's rules for the `_private` names in a cell's code. Pure: needs neither graph nor namespace."""

from __future__ import annotations

import ast

from marimo._ast.compiler import compile_cell
from marimo._ast.visitor import ScopedVisitor
from marimo._types.ids import CellId_t


def mangle_locals(cell_id: str, nodes: list[ast.stmt]) -> list[ast.stmt]:
    """Rename the `_private` names that a cell defines, as marimo does, in place.

    Names that it only reads are not renamed: IPython's `_`, `_3` and `_ih` are unknown to marimo.
    """
    module = ast.Module(body=nodes, type_ignores=[])
    visitor = ScopedVisitor(f"cell_{cell_id}")
    visitor.visit(module)
    prefix = f"_cell_{cell_id}"
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id.startswith(prefix) and node.id not in visitor.defs:
            node.id = node.id.removeprefix(prefix)
    return module.body


def private_names(code: str) -> frozenset[str]:
    """Return the `_private` names that a cell's code defines, except those that its functions need later."""
    try:
        cell = compile_cell(code, cell_id=CellId_t(""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names = cell.temporaries - cell.closed_over_temporaries
    return frozenset(name.removeprefix("_cell_") for name in names)
