"""Edits to try: a cell's code with one literal changed. Pure.

Owns which literals are worth changing, and to what. Does not run code, so it cannot know whether the changed cell fails.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import offset

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_PYTHON: Final = re.compile(r"(?m)^([ \t]*)([%!?].*|.*[?])$")
_WHOLE: Final = re.compile(r"\s*%%(?:time|timeit|capture)\b.*")
"""Cell magics whose body is Python that runs in the notebook."""
_TEXT: Final = re.compile(r"\w[\w ,.!-]*")
"""Strings that may be words to show. Others are more likely paths, formats or patterns."""


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
    """A literal of a cell. `rank` says how likely a change of it fails, or shows nothing: least likely first."""

    start: int
    end: int
    line: int
    value: object
    rank: int
    place: int


def edits(code: str) -> Iterator[Edit]:
    """Yield edits of a cell, the most promising first. IPython's syntax may be in the code; its lines stay."""
    for literal in sorted(_literals(code), key=lambda literal: (literal.rank, literal.start)):
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
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return round(value * 1.25, 12) or 0.5
        case _:
            return f"{value} too"


def _literals(code: str) -> list[_Literal]:
    """Return the literals of a cell in document order."""
    text = _python(code)
    if text is None:
        return []
    found: list[_Literal] = []
    for node, rank in _constants(ast.parse(text)):
        if node.end_lineno is None or node.end_col_offset is None:
            continue
        start, end = (
            offset(text, line, column)
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        )
        place = sum(_equal(other.value, node.value) for other in found)
        found.append(_Literal(start, end, node.lineno, node.value, rank, place))
    return found


def _python(code: str) -> str | None:
    """Return a text of equal length and lines that is Python, None if there is none."""
    head, _, _ = code.partition("\n")
    if _WHOLE.fullmatch(head):
        code = " " * len(head) + code[len(head) :]
    for text in (code, _NOT_PYTHON.sub(lambda line: line[1] + "_".ljust(len(line[2])), code)):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return text
    return None


_FIRST, _SECOND, _THIRD = range(3)


def _constants(tree: ast.Module) -> Iterator[tuple[ast.Constant, int]]:
    """Yield the literals that may be changed, in document order, with their ranks."""
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
