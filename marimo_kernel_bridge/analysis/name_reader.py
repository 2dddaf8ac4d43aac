"""The occurrences of global names in a cell: a visitor of its syntax tree.

Tracks Python's scopes, and the names that are certainly bound at each point.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis import name_places
from marimo_kernel_bridge.analysis.kept_functions import called_at_once, put_into
from marimo_kernel_bridge.analysis.occurrence import Occurrence
from marimo_kernel_bridge.analysis.positions import Text, fields
from marimo_kernel_bridge.analysis.scopes import (
    arguments_in,
    is_global,
    scope_of_class,
    scope_of_comprehension,
    scope_of_function,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.analysis.occurrence import Act, Form
    from marimo_kernel_bridge.analysis.scopes import Scope


class NameReader(ast.NodeVisitor):
    """A visitor of a cell in execution order, with the set of names that are certainly bound."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.occurrences: list[Occurrence] = []
        self._text = Text(source)
        self._scopes: list[Scope] = []
        self._statement = 0
        self._order = 0
        self._loops = 0
        self._owner: str | None = None
        self._bound: set[str] = set()
        self._assigned: str | None = None
        self._keepers: dict[ast.Lambda, str | None] = {}

    def read(self, tree: ast.Module) -> frozenset[str]:
        """Collect the occurrences of a cell, in order; return the names that are certainly bound at its end."""
        for number, statement in enumerate(tree.body):
            self._statement = number
            self._keepers = dict.fromkeys(called_at_once(statement))
            self._keepers |= {
                part: name for name, part in put_into(statement) if isinstance(part, ast.Lambda)
            }
            self.visit(statement)
        self.occurrences.sort(key=lambda use: use.order)
        return frozenset(self._bound)

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    # Blocks and what they bind

    def _branches(self, *bodies: Sequence[ast.stmt]) -> None:
        """Visit blocks of which one runs: names that all of them bind are bound afterwards."""
        before = frozenset(self._bound)
        after: list[frozenset[str]] = []
        for body in bodies:
            self._bound = set(before)
            self._visit_all(body)
            if not _leaves(body):
                after.append(frozenset(self._bound))
        self._bound = set(frozenset.intersection(*after)) if after else set(before)

    def _optional(self, body: Sequence[ast.stmt]) -> None:
        before = set(self._bound)
        self._visit_all(body)
        self._bound = before

    def visit_Assign(self, node: ast.Assign) -> None:
        for targets, value in _paired(node):
            outer, self._assigned = self._assigned, _only_name(targets)
            self.visit(value)
            self._assigned = outer
        for target in node.targets:
            self._target(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._name(node.target, "load", augmented=True)
            self.visit(node.value)
            self._name(node.target, "store", augmented=True)
        else:
            self._visit_all([node.target, node.value])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self._in_function:
            self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self._target(node.target)
        elif not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._loops += 1
        self._target(node.target, temporary=True)
        self._visit_all(node.body)  # a loop is assumed to run at least once
        self._loops -= 1
        self._optional(node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self._loops += 1
        self.visit(node.test)
        self._optional(node.body)
        self._loops -= 1
        self._optional(node.orelse)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._target(item.optional_vars, temporary=True)
        self._visit_all(node.body)

    visit_AsyncWith = visit_With

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """Visit `type X = ...` without its parameters, which are local to it."""
        self._visit_all(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = frozenset(self._bound)
        self._visit_all(node.body)
        self._visit_all(node.orelse)
        after = [frozenset(self._bound)]
        for handler in node.handlers:
            self._bound = set(before)
            if handler.type is not None:
                self.visit(handler.type)
            if handler.name is not None:
                start, _ = self._text.span(handler)
                self._named(handler.name, "store", start, r"\bas\s+", temporary=True)
            self._visit_all(handler.body)
            if not _leaves(handler.body):
                after.append(frozenset(self._bound))
        self._bound = set(frozenset.intersection(*after))
        self._visit_all(node.finalbody)

    visit_TryStar = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        before = frozenset(self._bound)
        after = [before]
        for case in node.cases:
            self._bound = set(before)
            self._pattern(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)
            self._visit_all(case.body)
            after.append(frozenset(self._bound))
        self._bound = set(frozenset.intersection(*after))

    def _pattern(self, pattern: ast.pattern) -> None:
        for child in ast.iter_child_nodes(pattern):
            if isinstance(child, ast.pattern):
                self._pattern(child)
            elif isinstance(child, ast.expr):
                self.visit(child)
        name = pattern.rest if isinstance(pattern, ast.MatchMapping) else getattr(pattern, "name", None)
        if name is not None:
            place = name_places.last(name, self.source, self._text.span(pattern))
            if self._is_global(name, "store"):
                self._add(name, "store", place, temporary=True)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._delete(target)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name():
                self._name(target, "delete")
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self._delete(element)
            case _:
                self.visit(target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._import(node, alias)

    visit_ImportFrom = visit_Import

    def _import(self, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
        bound = name_places.imported_name(node, alias, self._text)
        if bound is not None and self._is_global(bound.name, "store"):
            self._add(bound.name, "store", bound.span, origin=bound.origin, form=bound.form)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        start, end = self._text.span(node)
        for name in node.names:
            if self._is_global(name) and (match := re.search(rf"\b{name}\b", self.source[start + 6 : end])):
                at = start + 6 + match.start()
                self._add(name, "store" if isinstance(node, ast.Global) else "load", (at, at + len(name)))

    visit_Nonlocal = visit_Global

    # Functions and classes

    @property
    def _in_function(self) -> bool:
        return any(scope.kind == "function" for scope in self._scopes)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all(node.decorator_list)
        self._defaults(node.args)
        self._visit_all(argument.annotation for argument in arguments_in(node.args))
        self._visit_all([node.returns])
        self._body(node.args, node.body, node.name)
        start = self._text.offset(node.lineno, node.col_offset)
        self._named(node.name, "store", start, r"(?:async\s+)?def\s+")

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        self._body(node.args, node.body, self._keepers.get(node, self._assigned))

    def _defaults(self, arguments: ast.arguments) -> None:
        self._visit_all([*arguments.defaults, *arguments.kw_defaults])

    def _body(self, arguments: ast.arguments, body: Sequence[ast.stmt] | ast.expr, owner: str | None) -> None:
        bound, outer, loops = set(self._bound), self._owner, self._loops
        if self._owner is None:
            self._owner = owner
        self._scopes.append(scope_of_function(arguments, body))
        self._loops = 0
        self._visit_all([body] if isinstance(body, ast.expr) else body)
        self._scopes.pop()
        self._bound, self._owner, self._loops = bound, outer, loops

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all([*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)])
        scope = scope_of_class(node)
        outer = self._owner
        if self._owner is None:
            self._owner = node.name
        self._scopes.append(scope)
        before = set(self._bound)
        self._visit_all(node.body)
        self._bound = before | (self._bound & scope.global_)
        self._scopes.pop()
        self._owner = outer
        start = self._text.offset(node.lineno, node.col_offset)
        self._named(node.name, "store", start, r"class\s+")

    # Expressions

    def visit_Name(self, node: ast.Name) -> None:
        self._name(node, "store" if isinstance(node.ctx, ast.Store) else "load")

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._name(node.target, "store", skip_comprehensions=True)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        before = set(self._bound)
        self._visit_all(node.values[1:])
        self._bound = before

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        before = set(self._bound)
        for branch in (node.body, node.orelse):
            self._bound = set(before)
            self.visit(branch)
        self._bound = before

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self._name(node.func, "load", called=True)
        else:
            self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)
        for name, place in name_places.queried(node, self._text):
            if self._is_global(name):
                self._add(name, "load", place, form="quoted")
        expression = name_places.evaluated(node, self._text)
        if expression is not None:
            self._visit_quoted(*expression)

    def _visit_quoted(self, tree: ast.expr, text: Text) -> None:
        """Visit the expression in a string that is evaluated here."""
        saved, self._text = self._text, text
        count = len(self.occurrences)
        self.visit(tree)
        self._text = saved
        self.occurrences[count:] = [replace(use, form="quoted") for use in self.occurrences[count:]]

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for field in fields(*self._text.literal(node)):
            saved, self._text = self._text, field.text
            count = len(self.occurrences)
            self.visit(field.tree)
            self._text = saved
            if field.shows_itself and len(self.occurrences) == count + 1 and isinstance(field.tree, ast.Name):
                only = self.occurrences.pop()
                self._order -= 1
                self._add(only.name, "load", field.shows_itself, form="shown")

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        self._scopes.append(scope_of_comprehension(node.generators))
        before = set(self._bound)
        for number, generator in enumerate(node.generators):
            if number:
                self.visit(generator.iter)
            self._target(generator.target)
            self._visit_all(generator.ifs)
        self._visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self._bound = before
        self._scopes.pop()

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    # Names

    def _target(self, node: ast.expr, *, temporary: bool = False) -> None:
        match node:
            case ast.Name():
                self._name(node, "store", temporary=temporary)
            case ast.Tuple() | ast.List():
                for element in node.elts:
                    self._target(element, temporary=temporary)
            case ast.Starred():
                self._target(node.value, temporary=temporary)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.visit(child)

    def _is_global(self, name: str, act: Act = "load", *, skip_comprehensions: bool = False) -> bool:
        return is_global(name, self._scopes, stored=act == "store", skip_comprehensions=skip_comprehensions)

    def _name(
        self,
        node: ast.Name,
        act: Act,
        *,
        temporary: bool = False,
        called: bool = False,
        augmented: bool = False,
        skip_comprehensions: bool = False,
    ) -> None:
        if self._is_global(node.id, act, skip_comprehensions=skip_comprehensions):
            self._add(
                node.id,
                act,
                self._text.span(node),
                temporary=temporary,
                called=called,
                augmented=augmented,
            )

    def _named(self, name: str, act: Act, start: int, before: str, *, temporary: bool = False) -> None:
        """Add a name without a node of its own: the first one after `before`."""
        if self._is_global(name, act):
            self._add(name, act, name_places.after(before, name, self.source, start), temporary=temporary)

    def _add(
        self,
        name: str,
        act: Act,
        span: tuple[int, int],
        *,
        temporary: bool = False,
        called: bool = False,
        augmented: bool = False,
        form: Form = "name",
        origin: str | None = None,
    ) -> None:
        # A function without a name is assumed to be called where it is written.
        late = self._in_function and self._owner is not None
        self._order += 1
        self.occurrences.append(
            Occurrence(
                name=name,
                act=act,
                start=span[0],
                end=span[1],
                statement=self._statement,
                order=self._order,
                late=late,
                owner=self._owner,
                exposed=act != "store" and not late and name not in self._bound,
                looped=self._loops > 0,
                form=form,
                origin=origin,
                temporary=temporary,
                called=called,
                augmented=augmented,
            )
        )
        if not late:
            if act == "store":
                self._bound.add(name)
            elif act == "delete":
                self._bound.discard(name)


def _paired(node: ast.Assign) -> list[tuple[Sequence[ast.expr], ast.expr]]:
    """Return the values of an assignment with their targets: several for `f, g = a, b`."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(
            targets
        ) == len(values):
            return [([target], value) for target, value in zip(targets, values, strict=True)]
    return [(node.targets, node.value)]


def _only_name(targets: Sequence[ast.expr]) -> str | None:
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise | ast.Return | ast.Continue | ast.Break)
