"""Connected components of cells by the names that they share, so that each group can be analyzed alone.

Two cells are in one group if they have a name in common, except builtin functions that are only called. Cells that only
import do not connect others: module names are never rebound, so a cell that uses one is analyzed with the cell that
imports it. In doubt groups are larger. A change reads the names of the changed cells and of the cells in their groups;
a new cell joins existing groups.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

K = TypeVar("K")  # the key of a cell

_BUILTINS: Final = frozenset(vars(builtins))
_EVALUATED: Final = re.compile(r"\b(eval|exec|evaluate|query)\b")  # strings in such a cell may be code


@dataclass(frozen=True)
class Words:
    """The names of a cell, those that it may bind, those that it only calls, and whether it only imports."""

    used: frozenset[str]
    bound: frozenset[str]
    called: frozenset[str] = frozenset()
    imports: bool = False


@lru_cache(maxsize=TEXTS_REMEMBERED)
def words(source: str) -> Words:
    """Return the names in the text of a cell, which need not be Python."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Words(frozenset(), frozenset())
    if _EVALUATED.search(source):
        text = words_of(source)
        return Words(text, text)
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
            case ast.alias(name=name, asname=alias):
                bound.add(alias or name.partition(".")[0])
            case _:
                bound.update(bound_by(node))
    only = bool(tree.body) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    return Words(
        frozenset(used.keys() | bound),
        frozenset(bound),
        frozenset(name for name, times in called.items() if times == used[name]),
        imports=only and "*" not in bound,
    )


def bound_by(node: ast.AST) -> Iterable[str]:
    """Return the names that a node binds without an `ast.Name`: definitions, arguments, handlers, patterns."""
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


@dataclass(frozen=True, eq=False)
class Group(Generic[K]):
    """Cells that are analyzed together: its `own` cells, and cells that only import what these use."""

    own: frozenset[K]
    cells: frozenset[K]


class Groups(Generic[K]):
    """The groups of a changing set of cells. Each cell is one of the `own` cells of exactly one group."""

    def __init__(self) -> None:
        self._words: dict[K, Words] = {}
        self._users: dict[str, set[K]] = {}
        self._binders: dict[str, set[K]] = {}
        self._shared: set[K] = set()  # cells that only import names that no other cell binds
        self._group: dict[K, Group[K]] = {}

    def all(self) -> set[Group[K]]:
        """Return all groups."""
        return set(self._group.values())

    def change(self, sources: Mapping[K, str | None]) -> tuple[list[Group[K]], list[Group[K]]]:
        """Apply new texts of cells, None for removed cells. Return the groups that are gone, and the new ones.

        A group is new if the text of a cell in it has changed, or if its set of cells has.
        """
        if sources.keys().isdisjoint(self._words):
            joined = self._joined(sources)
            if joined is not None:
                return joined
        touched = self._read(sources)
        gone = {self._group[cell] for cell in touched if cell in self._group}
        waiting = touched.union(*(group.own for group in gone)) & self._words.keys()
        for cell in sources.keys() - self._words.keys():
            self._group.pop(cell, None)
        new: list[Group[K]] = []
        while waiting:
            group = self._around(waiting.pop())
            waiting -= group.own
            gone.update(self._group[cell] for cell in group.own if cell in self._group)
            self._group.update(dict.fromkeys(group.own, group))
            new.append(group)
        return list(gone.difference(new)), new

    def _joined(self, sources: Mapping[K, str | None]) -> tuple[list[Group[K]], list[Group[K]]] | None:
        """Join one new cell to the groups that it is linked to; None if it changes the links of other cells."""
        added = [(cell, words(source)) for cell, source in sources.items() if source is not None]
        if len(added) != 1:
            return None
        cell, names = added[0]
        for name in names.bound:
            binders = self._binders.get(name, ())
            if (not binders and name in _BUILTINS) or any(self._words[binder].imports for binder in binders):
                return None
        if names.imports:
            return None
        gone: dict[Group[K], None] = {}
        imports = set[K]()
        for name in names.used:
            users: Iterable[K] = self._users.get(name, ())
            importer = self._importer(name)
            if importer is not None:
                imports.add(importer)
                continue
            if name in _BUILTINS and name not in self._binders:
                users = () if name in names.called else [user for user in users if self._is_link(user, name)]
            for other in users:
                gone[self._group[other]] = None
                break  # they are in one group
        self._read(sources)
        own = frozenset([cell]).union(*(group.own for group in gone))
        new = Group(own, own.union(imports, *(group.cells for group in gone)))
        self._group.update(dict.fromkeys(own, new))
        return list(gone), [new]

    def _read(self, sources: Mapping[K, str | None]) -> set[K]:
        """Index the new names of cells. Return these cells, and other cells whose links change."""
        rebound: set[str] = set()  # names that other cells bind now
        mentioned: set[str] = set()  # names of cells that only import and whose text has changed
        for cell, source in sources.items():
            before = self._words.pop(cell, _NO_WORDS)
            after = _NO_WORDS if source is None else words(source)
            if source is not None:
                self._words[cell] = after
            _reindex(self._users, cell, before.used, after.used)
            _reindex(self._binders, cell, before.bound, after.bound)
            rebound |= before.bound ^ after.bound
            for words_of_cell in (before, after):
                if words_of_cell.imports:
                    mentioned |= words_of_cell.bound
        for cell in sources.keys() | {binder for name in rebound for binder in self._binders.get(name, ())}:
            words_of_cell = self._words.get(cell, _NO_WORDS)
            shared = words_of_cell.imports and all(
                len(self._binders[name]) == 1 for name in words_of_cell.bound
            )
            (self._shared.add if shared else self._shared.discard)(cell)
        return {cell for name in rebound | mentioned for cell in self._users.get(name, ())} | sources.keys()

    def _around(self, cell: K) -> Group[K]:
        own, names, imports = {cell}, set[str](), set[K]()
        waiting = [] if cell in self._shared else [cell]
        while waiting:
            member = waiting.pop()
            for name in self._words[member].used - names:
                importer = self._importer(name)
                if importer is not None:
                    imports.add(importer)
                elif self._is_link(member, name):
                    joined = {user for user in self._users[name] - own if self._is_link(user, name)}
                    own |= joined
                    waiting += joined
                else:
                    continue  # it may be a link for another cell
                names.add(name)
        return Group(frozenset(own), frozenset(own | imports))

    def _is_link(self, cell: K, name: str) -> bool:
        """Return whether a name links a cell to others."""
        return cell not in self._shared and (
            name in self._binders or name not in _BUILTINS or name not in self._words[cell].called
        )

    def _importer(self, name: str) -> K | None:
        binders = self._binders.get(name, ())
        return next((cell for cell in binders if cell in self._shared), None) if len(binders) == 1 else None


_NO_WORDS: Final = Words(frozenset(), frozenset())


def _reindex(index: dict[str, set[K]], cell: K, before: frozenset[str], after: frozenset[str]) -> None:
    for name in before - after:
        index[name].discard(cell)
        if not index[name]:
            del index[name]
    for name in after - before:
        index.setdefault(name, set()).add(cell)
