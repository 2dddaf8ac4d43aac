"""Star imports in cells, and the names that they bind.

Imports no module: the caller passes it.
"""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

_WIDTH: Final = 88  # of lines, a common default of formatters


def is_star(node: ast.ImportFrom) -> bool:
    """Return whether an import binds all names of its module."""
    return any(alias.name == "*" for alias in node.names)


def star_imports(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    """Yield the star imports of a cell."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_star(node):
            yield node


def module_of(node: ast.ImportFrom) -> str:
    """Return the module that an import names, with the dots of a relative one."""
    return "." * node.level + (node.module or "")


def public_names(module: ModuleType) -> list[str]:
    """Return the names that a star import of a module binds."""
    names = getattr(module, "__all__", None)
    public = [name for name in vars(module) if not name.startswith("_")] if names is None else names
    return sorted(map(str, public))


def import_of(module: str, names: Sequence[str]) -> str:
    """Return the statement that imports these names of a module, in several lines if it is long."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    listed = textwrap.fill(", ".join(names), 80, initial_indent="    ", subsequent_indent="    ")
    return f"from {module} import (\n{listed},\n)"
