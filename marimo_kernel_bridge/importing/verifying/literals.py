"""Edits to try: a cell's code with one literal changed. Pure.

Owns which literals may be changed, and to what: only values to compute with or to show, and nothing that decides which code
runs, or that reaches a cell that acts on files or other programs. Does not run code, so it cannot know whether the changed
cell fails.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import offset
from marimo_kernel_bridge.importing.verifying.effects import Effects, called, python, tests

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT: Final = re.compile(r"\w+(?:(?:[ ,!]+|[.] +|-)\w+)*[.!]?")
"""Strings that may be words to show. Others are more likely paths, formats or patterns."""
_COMMAND: Final = re.compile(
    r"(?:bash|cat|cd|chmod|conda|cp|curl|dd|docker|git|kill|ls|make|mkdir|mv|npm|pip|python3?|rm|rsync|scp|sh|ssh|sudo|"
    r"tar|touch|uv|wget|(?i:alter|create|delete|drop|grant|insert|merge|select|truncate|update|with))\b.*"
)
_ADDRESSES: Final = re.compile(
    r"(?:.*_)?(?:address|args|branch|bucket|cmd|command|db|database|dest|destination|dir|directory|endpoint|file|filename|"
    r"folder|host|id|key|mode|out|output|password|path|pid|port|prefix|query|root|schema|server|sql|suffix|table|target|"
    r"token|uri|url|user)s?(?:_.*)?",
    re.IGNORECASE,
)
"""Names of what says where something is, or what is done."""
_VALUES: Final = re.compile(
    r"Decimal|Fraction|abs|arange|array|asarray|complex|dict|display|divmod|float|full|int|len|linspace|list|max|min|ones|"
    r"pow|print|range|round|set|sorted|sum|tuple|zeros"
)
"""Functions whose numeric arguments are values like others."""


@dataclass(frozen=True)
class Edit:
    """A change of one literal: `code` is the whole cell after it; `line` counts from 1.

    `place` says which of the equal literals of the cell it is, from 0.
    """

    code: str
    line: int
    before: str
    after: str
    place: int = 0

    def __str__(self) -> str:
        return f"line {self.line}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class _Literal:
    """A literal of a cell. `rank` says how likely a change of it fails, or shows nothing: least likely first.

    `names` are those that its statement assigns; None if it is not to be changed.
    """

    start: int
    end: int
    line: int
    value: object
    rank: int
    place: int
    names: frozenset[str] | None


def edits(code: str, notebook: Effects | None = None) -> Iterator[Edit]:
    """Yield edits of a cell of a notebook, the most promising first; by default, it is the only cell.

    IPython's syntax may be in the code; its lines stay.
    """
    notebook = notebook or Effects((code,))
    literals = [
        each for each in _literals(code) if each.names is not None and notebook.tested.isdisjoint(each.names)
    ]
    if literals and not notebook.reached_from(code):
        for literal in sorted(literals, key=lambda literal: (literal.rank, literal.start)):
            yield _edit(code, literal)


def edit_like(edit: Edit, code: str, equal_before: int, equal: int) -> Edit | None:
    """Return the edit of another text of the same cell, which may be part of a larger one.

    `equal` literals of the whole have the value; `equal_before` are in parts above. None if the other text has another
    number of them, so that nobody can say which one it is.
    """
    value = ast.literal_eval(edit.before)
    same = [each for each in _literals(code) if _equal(each.value, value)]
    place = equal_before + edit.place
    return _edit(code, same[place], edit.after) if len(same) == equal and place < equal else None


def count_equal(edit: Edit, code: str) -> int:
    """Return how many literals of a text have the value that an edit changes."""
    value = ast.literal_eval(edit.before)
    return sum(_equal(each.value, value) for each in _literals(code))


def _edit(code: str, literal: _Literal, after: str | None = None) -> Edit:
    before = code[literal.start : literal.end]
    after = after or repr(_other(literal.value))
    changed = f"{code[: literal.start]}{after}{code[literal.end :]}"
    return Edit(changed, literal.line, before, after, literal.place)


def _equal(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _other(value: object) -> object:
    match value:
        case int():
            return value + 1
        case float():
            return round(value * 1.25, 12) or 2 * value
        case _:
            return f"{value} too"


def _literals(code: str) -> list[_Literal]:
    """Return the literals of a cell in document order."""
    text = python(code)
    if text is None:
        return []
    found: list[_Literal] = []
    tree = ast.parse(text)
    changeable = dict(_changeable(tree, frozenset(), None))
    for node, rank in _constants(tree):
        if node.end_lineno is None or node.end_col_offset is None:
            continue
        start, end = (
            offset(text, line, column)
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        )
        place = sum(_equal(other.value, node.value) for other in found)
        found.append(_Literal(start, end, node.lineno, node.value, rank, place, changeable.get(node)))
    return found


_FIRST, _SECOND, _THIRD = range(3)


def _constants(tree: ast.Module) -> Iterator[tuple[ast.Constant, int]]:
    """Yield the literals of a cell in document order, with their ranks."""
    nodes = list(ast.walk(tree))
    skipped = {skipped for node in nodes for skipped in _skipped(node)}
    last = {later for node in nodes for later in _of_second_rank(node)}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and node not in skipped]
    for node in sorted(constants, key=lambda node: (node.lineno, node.col_offset)):
        match node.value:
            case bool():
                yield node, _THIRD
            case int() | float() if math.isfinite(node.value):
                yield node, _SECOND if node in last else _FIRST
            case str() if _TEXT.fullmatch(node.value):
                yield node, _THIRD


def _changeable(
    node: ast.AST, names: frozenset[str], call: ast.Call | None
) -> Iterator[tuple[ast.Constant, frozenset[str]]]:
    """Yield the literals below a node that may be changed, with the names that their statements assign.

    `call` is the innermost call around the node in the same statement.
    """
    match node:
        case ast.Assign(targets=targets):
            names = _targets(targets)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.NamedExpr(target=target):
            names = _targets([target])
        case ast.stmt():
            names, call = frozenset(), None
        case ast.Call():
            call = node
    apart = {*tests(node)}
    for child in _values(node):
        if child in apart:
            continue
        literal = child.operand if isinstance(child, ast.UnaryOp) else child
        if isinstance(literal, ast.Constant):
            if _may_change(node, literal, call) and not any(map(_ADDRESSES.fullmatch, names)):
                yield literal, names
        else:
            yield from _changeable(child, names, call)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one in which literals may be values."""
    match node:
        case ast.BoolOp() | ast.JoinedStr():
            return
        case ast.Subscript(value=value):
            yield value
        case ast.Dict(values=values):
            yield from values
        case ast.AnnAssign(value=value):
            yield from [] if value is None else [value]
        case ast.Call(func=function, args=arguments, keywords=keywords):
            yield from (function, *arguments)
            yield from (
                each.value for each in keywords if not isinstance(each.value, ast.Constant | ast.UnaryOp)
            )
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
            yield from body
        case _:
            yield from ast.iter_child_nodes(node)


def _may_change(parent: ast.AST, node: ast.Constant, call: ast.Call | None) -> bool:
    assigned = isinstance(parent, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
    item = isinstance(parent, ast.List | ast.Tuple | ast.Set | ast.Dict)
    match node.value:
        case bool() | 0:  # a change of it would change what is true
            return False
        case int() | float():
            operand = isinstance(parent, ast.BinOp | ast.Compare | ast.Expr)
            return assigned or item or operand or (parent is call and bool(_VALUES.fullmatch(called(call))))
        case str(text):
            return (assigned or item) and call is None and not _COMMAND.fullmatch(text)
    return False


def _targets(targets: list[ast.expr]) -> frozenset[str]:
    """Return the names and attributes that an assignment gives a value."""
    nodes = [node for target in targets for node in ast.walk(target)]
    return frozenset(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute)
    )


def _skipped(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one that are no literals to change."""
    match node:
        case ast.Module(body=body) | ast.FunctionDef(body=body) | ast.ClassDef(body=body):
            yield from (inner for statement in body if _is_text(statement) for inner in ast.walk(statement))
        case ast.JoinedStr():  # positions inside are not those of the text before Python 3.12
            yield from ast.walk(node)
        case ast.match_case(pattern=pattern):
            yield from ast.walk(pattern)


def _of_second_rank(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one whose change fails more often."""
    match node:
        case ast.Subscript(slice=index):
            yield from ast.walk(index)
        case ast.keyword(value=value):
            yield value


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
