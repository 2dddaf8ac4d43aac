"""Python's scopes: the names that are local to a function, a class or a comprehension."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass
class Scope:
    """One scope in a cell. `global_` are the names that it declares global.

    `so_far` are the names that a class body has bound; it reads other names from the global scope.
    """

    kind: Literal["function", "class", "comprehension"]
    bound: frozenset[str]
    global_: frozenset[str] = frozenset()
    so_far: set[str] = field(default_factory=set)


def scope_of_function(arguments: ast.arguments, body: Sequence[ast.stmt] | ast.expr) -> Scope:
    bound, global_ = _bindings([ast.Expr(body)] if isinstance(body, ast.expr) else body)
    names = {argument.arg for argument in arguments_in(arguments)}
    return Scope("function", frozenset(bound | names), frozenset(global_))


def scope_of_class(node: ast.ClassDef) -> Scope:
    bound, global_ = _bindings(node.body)
    return Scope("class", frozenset(bound), frozenset(global_))


def scope_of_comprehension(generators: Iterable[ast.comprehension]) -> Scope:
    bound = frozenset[str]().union(*(_target_names(generator.target) for generator in generators))
    return Scope("comprehension", bound)


def arguments_in(arguments: ast.arguments) -> Iterable[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            yield argument


def is_global(name: str, scopes: Sequence[Scope], *, stored: bool, skip_comprehensions: bool = False) -> bool:
    """Return whether a name is global inside `scopes`, the innermost last.

    A name that a class body reads before binding it is global, so bindings are recorded in the scope.
    """
    for depth, scope in enumerate(reversed(scopes)):
        if name in scope.global_:
            return True
        if scope.kind == "class" and depth:
            continue
        if scope.kind == "comprehension" and skip_comprehensions:
            continue
        if name in scope.bound and (scope.kind != "class" or stored or name in scope.so_far):
            if scope.kind == "class":
                scope.so_far.add(name)
            return False
    return True


def _target_names(target: ast.expr) -> set[str]:
    return {
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _bindings(body: Iterable[ast.stmt]) -> tuple[set[str], set[str]]:  # noqa: C901  # one case for each form
    """Return the names that the body of a function or class binds, and those that it declares global."""
    bound: set[str] = set()
    global_: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while waiting:
        node, in_comprehension = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
                waiting += [(child, in_comprehension) for child in node.decorator_list]
                continue
            case ast.Lambda():
                continue
            case ast.Global():
                global_.update(node.names)
            case ast.Nonlocal():
                pass
            case ast.Name(ctx=ast.Store() | ast.Del()) if not in_comprehension:
                bound.add(node.id)
            case ast.NamedExpr():
                bound.add(node.target.id)
            case ast.Import() | ast.ImportFrom():
                bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name is not None:
                bound.add(node.name)
            case ast.MatchMapping() if node.rest is not None:
                bound.add(node.rest)
            case _:
                pass
        inside = in_comprehension or isinstance(
            node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
        )
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    return bound - global_, global_
