"""Properties of syntax trees and of text that depend on these alone."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class TopLevelTransformer(ast.NodeTransformer):
    """A transformer that leaves functions and classes as they are."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


@lru_cache(maxsize=2000)
def words_of(text: str) -> frozenset[str]:
    """Return the words of a text that may be names; the text need not be Python."""
    return frozenset(re.findall(r"[^\W\d]\w*", text))


def assigned_in(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {
        inside.id
        for inside in ast.walk(node)
        if isinstance(inside, ast.Name) and isinstance(inside.ctx, ast.Store)
    }


def calls(node: ast.expr) -> Iterator[ast.Call]:
    """Yield the calls in an expression that are made when it is evaluated, innermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda):
            continue
        if isinstance(child, ast.expr):
            yield from calls(child)
        elif isinstance(child, ast.keyword):
            yield from calls(child.value)
        elif isinstance(child, ast.comprehension):
            yield from calls(child.iter)
            for condition in child.ifs:
                yield from calls(condition)
    if isinstance(node, ast.Call):
        yield node


def is_generator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a generator: whether it yields itself, not in a nested function."""
    return any(isinstance(inside, ast.Yield | ast.YieldFrom) for inside in of_itself(node))


def of_itself(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, and the functions in it, but not what is in those."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        inside = waiting.pop()
        yield inside
        if not isinstance(inside, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(inside)


def stored(target: ast.expr) -> list[str]:
    return [
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def called_name(value: ast.expr) -> str:
    return value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""


def key_of(target: ast.expr) -> str | None:
    match target:
        case ast.Subscript(slice=ast.Constant(value=value)):
            return repr(value)
        case ast.Attribute(attr=attr):
            return f".{attr}"
        case _:
            return None


def is_repeatable(name: str, key: str | None, value: ast.expr, target: ast.expr) -> bool:
    """Return whether an assigned value does not depend on what the assignment changes."""
    parents = {child: node for node in ast.walk(value) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id == name:
            around = parents.get(node)
            read = key_of(around) if isinstance(around, ast.Subscript | ast.Attribute) else None
            if key is None or read is None or read in {key, f".{key.strip(chr(39))}"}:
                return False
            if isinstance(around, ast.Attribute) and not isinstance(
                parents.get(around), ast.Attribute | ast.BinOp
            ):
                return False
    return not any(
        isinstance(node, ast.Name) and node.id == name
        for node in ast.walk(getattr(target, "slice", ast.Pass()))
    )


def is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def with_mutable_default(arguments: ast.arguments) -> dict[str, int | None]:
    """Return the parameters whose default value may be changed, with their positions; None if there is only a name."""
    every = [*arguments.posonlyargs, *arguments.args]
    first = len(every) - len(arguments.defaults)
    by_place = enumerate(zip(every[first:], arguments.defaults, strict=True), first)
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    places: list[tuple[ast.arg, ast.expr | None, int | None]] = [
        *((argument, value, place) for place, (argument, value) in by_place),
        *((argument, value, None) for argument, value in by_name),
    ]
    return {
        argument.arg: place
        for argument, value, place in places
        if value is not None and not isinstance(value, ast.Constant)
    }
