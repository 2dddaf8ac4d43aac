"""Star imports for the graph: the names that they bind are known once the cell has loaded the module.

Imports no module itself.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.star_imports import is_star, module_of, public_names

if TYPE_CHECKING:
    from collections.abc import Container, Sequence


def without_stars(code: str) -> tuple[str, tuple[str, ...]]:
    """Return a cell's code without its star imports, and their modules ("" for a relative one).

    Imports from `__future__`, which bind nothing and which Jupyter accepts anywhere in a cell, are also removed.
    """
    if "import" not in code or ("*" not in code and "__future__" not in code):
        return code, ()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code, ()
    stars = _Stars()
    stars.visit(tree)
    return (ast.unparse(tree), tuple(stars.modules)) if stars.changed else (code, ())


class _Stars(ast.NodeTransformer):
    def __init__(self) -> None:
        self.modules: list[str] = []
        self.changed = False

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        star = is_star(node)
        if not star and node.module != "__future__":
            return node
        self.changed = True
        if star:
            self.modules.append("" if node.level else module_of(node))
        return ast.copy_location(ast.Pass(), node)


def written_out(modules: Sequence[str], words: Container[str]) -> str:
    """Return explicit imports of the names of loaded modules that are among `words`."""
    lines = []
    for name in modules:
        module = sys.modules.get(name)
        used = [] if module is None else [public for public in public_names(module) if public in words]
        if used:
            lines.append(f"from {name} import {', '.join(dict.fromkeys(used))}\n")
    return "".join(lines)
