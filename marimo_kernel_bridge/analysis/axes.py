"""The frames, series and indexes of pandas that may have one index object, whose name shows in all of them.

pandas copies data on write, but an index is given on as it is: by a constructor, by arithmetic, by an assignment to `index`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.syntax import is_true

if TYPE_CHECKING:
    from marimo_kernel_bridge.analysis.mutation import Mutation
    from marimo_kernel_bridge.analysis.name_facts import NameFacts

_AXES: Final = frozenset({"index", "columns"})
_NAMES: Final = frozenset({"name", "names"})
_NAMING: Final = frozenset({"rename", "set_names"})
_MADE_WITH: Final = frozenset(
    """pandas.DataFrame pandas.Series pandas.Index pandas.concat""".split()  # noqa: SIM905  # a list of words
)
_KEEPING: Final = frozenset(
    """add sub mul div truediv floordiv mod pow radd rsub rmul rdiv join rolling expanding rank pct_change set_axis apply
    transform""".split()  # noqa: SIM905  # a list of words
)
"""Methods whose results have the index, or the columns, of their object. Those of most others have their own."""


class SharedAxes:
    """Reads statements in order. Names of a group may have an index in common."""

    def __init__(self, facts: NameFacts) -> None:
        self._facts = facts
        self._groups: dict[str, set[str]] = {}
        self._indexes: set[str] = set()  # names of indexes themselves

    def read(self, statement: ast.stmt) -> None:
        """Read what a statement binds."""
        for node in ast.walk(statement):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._bind(target, self._given_on(value))
                        if isinstance(target, ast.Name):
                            (self._indexes.add if self._is_index(value) else self._indexes.discard)(target.id)

    def changed_with(self, mutation: Mutation) -> frozenset[str]:
        """Return the other names that show the name of an index which a mutation sets; none if it sets no such name."""
        if not self._names_axis(mutation):
            return frozenset()
        return frozenset(self._groups.get(mutation.name, ())) - {mutation.name}

    def _bind(self, target: ast.expr, given: set[str]) -> None:
        match target:
            case ast.Name(id=name):
                group = self._groups.pop(name, set())
                group.discard(name)
                self._unite({name, *(given - {name})} if given else set())
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if attribute in _AXES and given:
                self._unite({name, *given})

    def _unite(self, names: set[str]) -> None:
        whole = names.union(*(self._groups.get(name, ()) for name in names))
        for name in whole:
            self._groups[name] = whole

    def _given_on(self, value: ast.expr) -> set[str]:
        """Return the names whose index a value may have."""
        match value:
            case ast.Name(id=name):
                return {name}
            case ast.Attribute(value=inner, attr="index" | "columns") | ast.UnaryOp(operand=inner):
                return self._given_on(inner)
            case ast.BinOp(left=left, right=right):
                return self._given_on(left) | self._given_on(right)
            case ast.Call():
                return self._given_on_by_call(value)
        return set()

    def _given_on_by_call(self, call: ast.Call) -> set[str]:
        every = [*call.args, *(keyword.value for keyword in call.keywords)]
        match call.func:
            case ast.Attribute(value=value, attr=method) if method in _KEEPING:
                return self._names_in([value, *every])
            case ast.Attribute(value=ast.Call() as inner):  # `a.rolling(2).sum()`
                return self._given_on(inner)
        return self._names_in(every) if self._facts.origin_of(call.func) in _MADE_WITH else set()

    def _is_index(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            made = self._facts.origin_of(value.func)
            return made.startswith("pandas.") and ("Index" in made or made.endswith("_range"))
        return self._is_axis(value)

    def _names_in(self, nodes: list[ast.expr]) -> set[str]:
        names = {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}
        return {name for name in names if not self._facts.is_module(name) and name not in self._facts.effects}

    def _names_axis(self, mutation: Mutation) -> bool:
        """Return whether a mutation sets the name of an index: `df.index.name = "k"`, `index.rename("k", inplace=True)`."""
        for node in ast.walk(mutation.statement):
            match node:
                case ast.Attribute(value=value, attr=attribute, ctx=ast.Store()) if attribute in _NAMES:
                    pass
                case ast.Call(func=ast.Attribute(value=value, attr=method), keywords=keywords) if (
                    method in _NAMING
                    and any(each.arg == "inplace" and is_true(each.value) for each in keywords)
                ):
                    pass
                case _:
                    continue
            if root_of(value) is mutation.at and self._is_axis(value):
                return True
        return False

    def _is_axis(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in _AXES
        return isinstance(node, ast.Name) and node.id in self._indexes
