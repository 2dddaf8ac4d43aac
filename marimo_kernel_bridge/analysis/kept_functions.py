"""Who keeps a function that a statement makes or names: the list that it is put into, or nobody after the call it is given to.

Only the text decides. Which names a statement binds is not here.
"""

# ruff: noqa: SIM905  # lists of words
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.known_calls import PUTTING, PUTTING_ITEMS
from marimo_kernel_bridge.analysis.object_kinds import root_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALL_AT_ONCE: Final = frozenset("apply applymap map agg aggregate transform assign pipe".split())
"""Methods, most of them of frames, that call the functions that they are given before they return."""
_SORTING: Final = frozenset("sorted min max".split())
_TAKE_ALL: Final = frozenset("list tuple set frozenset sum any all sorted min max join len".split())
"""Functions that call what the `map` or `filter` calls that they are given."""


def put_into(statement: ast.stmt) -> Iterator[tuple[str, ast.Name | ast.Lambda]]:
    """Yield names with the names and lambdas that a statement puts into their objects: `d["a"] = f`, `fs.append(f)`."""
    for node in ast.walk(statement):
        targets, values = _putting(node)
        for target in targets:
            if (root := root_of(target)) is not None:
                yield from ((root.id, part) for value in values for part in _parts(value))


def _putting(node: ast.AST) -> tuple[list[ast.expr], list[ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [target for target in targets if isinstance(target, ast.Subscript | ast.Attribute)], [
                value
            ]
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
        ):
            return [target], [value]
        case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args) if (
            method in PUTTING | PUTTING_ITEMS
        ):
            return [owner], [*args, *(keyword.value for keyword in node.keywords)]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=method)) as call) if (
            method not in _CALL_AT_ONCE | {"sort"}  # what is done for its effect may register a function
        ):
            return [owner], [*call.args, *(keyword.value for keyword in call.keywords)]
    return [], []


def called_at_once(statement: ast.stmt) -> Iterator[ast.Lambda]:
    """Yield the lambdas that nobody has any more when their expression has a value: `df.apply(lambda row: ...)`."""
    for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Lambda):
            yield call.func
        if name in (_CALL_AT_ONCE if isinstance(call.func, ast.Attribute) else _SORTING):
            yield from (part for value in given for part in _parts(value) if isinstance(part, ast.Lambda))
        if name in _TAKE_ALL:
            yield from (
                part
                for value in given
                if isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"map", "filter"}
                for part in value.args
                if isinstance(part, ast.Lambda)
            )


def _parts(value: ast.expr) -> Iterator[ast.Name | ast.Lambda]:
    """Yield the names and lambdas that a value is, or has as items of the lists and dictionaries that are written there."""
    match value:
        case ast.Name() | ast.Lambda():
            yield value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items) | ast.Dict(values=items):
            for item in items:
                yield from _parts(item)
        case (
            ast.ListComp(elt=item)
            | ast.SetComp(elt=item)
            | ast.DictComp(value=item)
            | ast.Starred(value=item)
        ):
            yield from _parts(item)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _parts(body)
            yield from _parts(orelse)
