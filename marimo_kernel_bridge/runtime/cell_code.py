"""The syntax trees of cells: marimo's rules for `_private` names, and copies. Pure: needs neither graph nor namespace."""

from __future__ import annotations

import ast
from copy import deepcopy
from typing import Any, Final

from marimo._ast.compiler import compile_cell
from marimo._ast.visitor import ScopedVisitor
from marimo._types.ids import CellId_t

_EVERY_OPERATOR: Final = (
    "del a\n"
    "a = b or c and not -+~d | e & f ^ g << h >> i + j - k * l / m // n % o ** p @ q\n"
    "a == b != c < d <= e > f >= g is h is not i in j not in k"
)
_SHARED: Final = {
    id(node): node
    for node in ast.walk(ast.parse(_EVERY_OPERATOR))
    if not node._fields and not node._attributes
}
"""Contexts and operators by their ids: Python's parser has one node of each, in all trees."""


def copy_of_tree(x: ast.AST, memo: dict[int, Any] | None = None, _nil: Any = ()) -> ast.AST:  # noqa: ARG001  # deepcopy's signature
    """Return a copy of a tree that shares its contexts and operators.

    The library `executing`, with which IPython shows tracebacks, gives each node of a source file a `parent`, the shared
    ones too. From then on `deepcopy` of any function would copy the file of the last traceback with it.
    """
    return deepcopy(x, dict(_SHARED))


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
