"""Which cells can have to do with each other, so that each group is analysed by itself.

Two cells are in one group if a name stands in both; builtin functions that are only called say nothing about values.
Cells that do nothing but import are no link: nobody changes a module's name, so who uses it is analysed with the cell
that imports it, and otherwise alone. Errs on the side of larger groups.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.reactive_names.occurrences import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BUILTINS: Final = frozenset(vars(builtins))
_EVALUATED: Final = re.compile(r"\b(eval|exec|evaluate|query)\b")  # text that is code


@dataclass(frozen=True)
class Words:
    """The names of a cell, those of them that it may bind, those that it only calls, and whether it only imports."""

    used: frozenset[str]
    bound: frozenset[str]
    called: frozenset[str] = frozenset()
    imports: bool = False


@lru_cache(maxsize=5000)
def words(source: str) -> Words:
    """Return what names are in the text of a cell, which may not be Python."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Words(frozenset(), frozenset())
    if _EVALUATED.search(source):
        found = frozenset(re.findall(r"[^\W\d]\w*", source))
        return Words(found, found)
    used: Counter[str] = Counter()
    called: Counter[str] = Counter()
    bound: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=context):
                used[name] += 1
                if not isinstance(context, ast.Load):
                    bound.add(name)
            case ast.Call(func=ast.Name(id=name)):
                called[name] += 1
            case ast.alias(name=name, asname=other):
                bound.add(other or name.partition(".")[0])
            case _:
                bound.update(_bound_by(node))
    only = bool(tree.body) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    return Words(
        frozenset(used.keys() | bound),
        frozenset(bound),
        frozenset(name for name, times in called.items() if times == used[name]),
        imports=only and "*" not in bound,
    )


def _bound_by(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.MatchMapping(rest=str(name)) | ast.arg(arg=name):
            return (name,)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
    return ()


def groups(sources: Sequence[str]) -> list[list[int]]:
    """Return the cells of each group in document order. A cell that only imports may be in several, and has one."""
    cells = [words(source) for source in sources]
    binders: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        for name in cell.bound:
            binders.setdefault(name, []).append(index)
    shared = {
        index
        for index, cell in enumerate(cells)
        if cell.imports and all(len(binders[name]) == 1 for name in cell.bound)
    }
    imported = {name: index for index in shared for name in cells[index].bound}
    joined = _Joined(len(cells))
    first: dict[str, int] = {}
    for index, cell in enumerate(cells):
        if index not in shared:
            for name in cell.used:
                if name not in imported and (
                    name in binders or name not in cell.called or name not in _BUILTINS
                ):
                    other = first.setdefault(name, index)
                    if other != index:  # most names are of one cell
                        joined.join(other, index)
    found: dict[int, set[int]] = {}
    for index, cell in enumerate(cells):
        group = found.setdefault(joined.leader(index), set())
        group.add(index)
        if index not in shared:
            group.update(imported[name] for name in cell.used & imported.keys())
    return [sorted(group) for group in found.values()]


class _Joined:
    """Disjoint sets of numbers."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))

    def leader(self, one: int) -> int:
        while self._leader[one] != one:
            self._leader[one] = self._leader[self._leader[one]]
            one = self._leader[one]
        return one

    def join(self, one: int, other: int) -> None:
        self._leader[self.leader(one)] = self.leader(other)
