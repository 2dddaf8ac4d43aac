"""Names that a cell binds or reads through its namespace: `globals()["x"] = 1`, written as `x = 1`.

marimo does not see such a name. Only literal names can be written out, and only where no inner scope has one of its own.
"""

from __future__ import annotations

import ast
import keyword
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing.python_text import parses, span

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTE: Final = "names that it uses through `globals()` are written as names: marimo does not see the others"
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Edit = tuple[int, int, str]


def written_out(code: str) -> str:
    """Return a cell's code with names instead of items of its namespace."""
    if not any(f"{name}()" in code for name in ("globals", "locals", "vars")) or "KeyError" in code:
        return code
    edits = set(_Writer(code).edits())
    for start, end, text in sorted(edits, reverse=True):
        code = f"{code[:start]}{text}{code[end:]}"
    return code


class _Writer:
    def __init__(self, code: str) -> None:
        self._code = code
        self._tree = parse(code)

    def edits(self) -> Iterator[_Edit]:
        for statement in self._tree.body:
            yield from self._updated(statement) or self._inside(statement, ())

    def _updated(self, statement: ast.stmt) -> list[_Edit]:
        """Write `globals().update(x=1, y=2)` as assignments."""
        match statement:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Call(func=ast.Name(id=namespace), args=[]), attr="update"),
                    args=[],
                    keywords=keywords,
                )
            ) if (
                namespace in {"globals", "locals", "vars"} and keywords and all(each.arg for each in keywords)
            ):
                values = (self._code[slice(*span(self._code, each.value))] for each in keywords)
                pairs = zip((each.arg for each in keywords), values, strict=True)
                text = "; ".join(f"{name} = {value}" for name, value in pairs)
                return [(*span(self._code, statement), text)] if parses(text) else []
        return []

    def _inside(self, node: ast.AST, functions: tuple[ast.AST, ...]) -> Iterator[_Edit]:
        """Yield the edits in a node; `functions` are the scopes around it."""
        name = _item_of_namespace(node, in_function=bool(functions))
        if name is not None and not any(name in _own_names(scope) for scope in functions):
            assert isinstance(node, ast.Subscript)
            if not self._code[slice(*span(self._code, node))].startswith(("globals", "locals", "vars")):
                return  # in an f-string, of which Python 3.11 has no positions
            outer = [
                scope for scope in functions if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            if isinstance(node.ctx, ast.Load) or not functions:
                yield (*span(self._code, node), name)
            elif outer and functions[-1] is outer[-1]:
                yield (*span(self._code, node), name)
                yield self._declaration(outer[-1], name)
            return
        inner = (*functions, node) if isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS)) else functions
        if isinstance(node, ast.ClassDef):  # its body binds attributes
            inner = (*functions, node)
        for child in ast.iter_child_nodes(node):
            yield from self._inside(child, inner)

    def _declaration(self, function: ast.AST, name: str) -> _Edit:
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        body = function.body
        first = body[1] if len(body) > 1 and ast.get_docstring(function) is not None else body[0]
        at, _ = span(self._code, first)
        line = self._code.rfind("\n", 0, at) + 1
        before = self._code[line:at]
        return at, at, f"global {name}; " if before.strip() else f"global {name}\n{before}"


def _item_of_namespace(node: ast.AST, *, in_function: bool) -> str | None:
    match node:
        case ast.Subscript(
            value=ast.Call(func=ast.Name(id=namespace), args=[], keywords=[]),
            slice=ast.Constant(value=str(name)),
        ):
            here = namespace == "globals" or (not in_function and namespace in {"locals", "vars"})
            return name if here and name.isidentifier() and not keyword.iskeyword(name) else None
    return None


def _own_names(scope: ast.AST) -> set[str]:
    """Return the names that a scope may bind itself, or declares."""
    names: set[str] = set()
    for node in ast.walk(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                names.add(name)
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                names.update(declared)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=alias):
                names.add(alias or name.partition(".")[0])
    return names
