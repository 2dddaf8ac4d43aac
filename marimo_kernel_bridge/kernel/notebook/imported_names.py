"""The global names that imports bind in a cell's code, and what they bind them to. Pure, but for a look at `sys.modules`."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.syntax import TopLevelTransformer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NOTHING: Final = object()


@dataclass(frozen=True)
class Import:
    """What an import binds a name to: a module, or something in one."""

    module: str
    symbol: str | None = None

    def gives(self, value: object) -> bool:
        """Return whether the import would bind a name to just this object now, without loading anything."""
        module: Any = sys.modules.get(self.module)
        if self.symbol is None:
            return module is not None and module is value
        inner = sys.modules.get(f"{self.module}.{self.symbol}", _NOTHING)
        return module is not None and vars(module).get(self.symbol, inner) is value


@lru_cache(maxsize=500)
def imports_of(code: str) -> Mapping[str, Import]:
    """Return the global names that nothing in a cell's code binds but one import, and that import."""
    if "import" not in code:
        return {}
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    bindings = _Bindings()
    bindings.visit(tree)
    return {
        name: next(iter(found))
        for name, found in bindings.imports.items()
        if len(found) == 1 and name not in bindings.others
    }


def without_imports(code: str, names: Collection[str]) -> str:
    """Return code without the imports that bind these names."""
    return ast.unparse(_Without(names).visit(ast.parse(code)))


def _bound(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, Import | None]:
    """Return the name that an import binds, and to what; None where that depends on the package of the code."""
    if isinstance(node, ast.ImportFrom):
        target = None if node.level or node.module is None else Import(node.module, alias.name)
        return alias.asname or alias.name, target
    if alias.asname is not None:
        return alias.asname, Import(alias.name)
    top = alias.name.partition(".")[0]
    return top, Import(top)


@dataclass
class _Bindings(ast.NodeVisitor):
    """The imports outside of functions and classes, by the name that they bind, and the names that something else binds."""

    imports: dict[str, set[Import]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    inside: int = 0

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names if not self.inside else ():
            name, target = _bound(node, alias)
            if target is None:
                self.others.add(name)
            else:
                self.imports.setdefault(name, set()).add(target)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.visit_Import(node)

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.others.add(node.name)
        self.inside += 1
        self.generic_visit(node)
        self.inside -= 1

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._scope(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._scope(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.others.add(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.others.update(node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._named(node.name, node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._named(node.name, node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._named(node.name, node)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._named(node.rest, node)

    def _named(self, name: str | None, node: ast.AST) -> None:
        if name is not None:
            self.others.add(name)
        self.generic_visit(node)


class _Without(TopLevelTransformer):
    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def visit_Import(self, node: ast.Import) -> ast.stmt:  # noqa: N802  # the name is ast's
        return self._rest(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:  # noqa: N802  # the name is ast's
        return self._rest(node)

    def _rest(self, node: ast.Import | ast.ImportFrom) -> ast.stmt:
        node.names = [alias for alias in node.names if _bound(node, alias)[0] not in self._names]
        return node if node.names else ast.copy_location(ast.Pass(), node)
