"""`from m import *` for the graph: which names it binds is known once the module is loaded, by the cell itself.

Nothing is imported here.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence


def without_stars(code: str) -> tuple[str, tuple[str, ...]]:
    """Return a cell's code without its star imports, and the modules that they name.

    And without imports from `__future__`, which bind nothing, and which Jupyter takes anywhere in a cell.
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
        star = any(alias.name == "*" for alias in node.names)
        if not star and node.module != "__future__":
            return node
        self.changed = True
        if not star:
            return ast.copy_location(ast.Pass(), node)
        self.modules.append(node.module if node.module is not None and not node.level else "")
        return ast.copy_location(ast.Pass(), node)


def written_out(modules: Sequence[str], wanted: Container[str]) -> str:
    """Return imports of those names of loaded modules that are wanted."""
    lines = []
    for name in modules:
        module = sys.modules.get(name)
        if module is None:
            continue
        public = getattr(module, "__all__", None)
        names = public if public is not None else [one for one in vars(module) if not one.startswith("_")]
        used = sorted({one for one in names if one in wanted})
        if used:
            lines.append(f"from {name} import {', '.join(used)}\n")
    return "".join(lines)
