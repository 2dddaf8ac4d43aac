"""Where a cell changes an object that a name stands for, without binding the name: `df["a"] = 1`, `rows.append(1)`.

Recognised by form: what is assigned to, and methods that are known to change their object. Functions and classes of
the notebook are read, so that a call counts for what they change of their arguments and of globals.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.changing_methods import (
    CHANGES_ARGUMENT,
    change_by_call,
    change_by_discarded_call,
)
from marimo_kernel_bridge.analysis.mutation import Effects, How, Known, Mutation
from marimo_kernel_bridge.analysis.object_kinds import (
    CONSUMED,
    Kind,
    is_view,
    kind_of,
    root_of,
    shared_with,
)
from marimo_kernel_bridge.analysis.syntax import (
    assigned_in,
    called_name,
    calls,
    is_generator,
    is_repeatable,
    is_true,
    key_of,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


_PANDAS_PARTS: Final = frozenset({"loc", "iloc", "at", "iat"})
_PANDAS_ATTRIBUTES: Final = frozenset({"columns", "index", "name", "names", "values"})


def mutations(tree: ast.Module, known: Known) -> list[Mutation]:
    """Find what a cell changes, in order, and put into `known` what it makes known."""
    finder = _Finder(known)
    for statement in tree.body:
        finder.statement(statement)
    return finder.found


class _Finder:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.found: list[Mutation] = []
        self._current: ast.stmt = ast.Pass()

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912  # one case for each form
        was, self._current = self._current, node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.known.effects[node.name] = effects_of(node, self.known)
                self._bind(node.name, "generator" if is_generator(node) else "value")
            case ast.ClassDef():
                self.known.effects[node.name] = _effects_of_class(node, self.known)
                self._bind(node.name, "own")
                if any(self._is_foreign(base) for base in node.bases):
                    self.known.foreign.add(node.name)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign():
                self._expression(node.value)
                for target in node.targets:
                    self._assign(target, node.value)
            case ast.AnnAssign() if node.value is not None:
                self._expression(node.value)
                self._assign(node.target, node.value)
            case ast.AugAssign():
                self._expression(node.value)
                self._augment(node)
            case ast.Delete():
                for target in node.targets:
                    if not isinstance(target, ast.Name):
                        self._changed(target, repeatable=False)
            case ast.For() | ast.AsyncFor():
                self._expression(node.iter)
                for name in stored(node.target):
                    self._bind(name, "unknown", shared_with(node.iter, self.known.kinds))
                    if kind_of(node.iter, self.known.kinds, self.known.modules) == "plot":
                        self.known.kinds[name] = "plot"
                self._block(node.body)
                self._block(node.orelse)
            case ast.Expr(value=ast.Call() as call):
                self._discarded(call)
                self._expression(call)
            case _:
                self._children(node)
        self._current = was

    def _block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def _children(self, node: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.stmt():
                    self.statement(child)
                case ast.expr():
                    self._expression(child)
                case ast.withitem():
                    self._expression(child.context_expr)
                    if isinstance(child.optional_vars, ast.Name):
                        kind = kind_of(child.context_expr, self.known.kinds, self.known.modules)
                        self._bind(child.optional_vars.id, kind)
                case ast.ExceptHandler() | ast.match_case():
                    self._block(child.body)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            origin = alias.name if alias.asname else bound
            if isinstance(node, ast.ImportFrom):
                origin = f"{node.module or ''}.{alias.name}"
            self._bind(bound, "module")
            self.known.modules[bound] = origin

    # Binding

    def _bind(self, name: str, kind: Kind, shared: frozenset[str] = frozenset()) -> None:
        self.known.kinds[name] = "frame" if kind == "unknown" and name in self.known.frames else kind
        self.known.modules.pop(name, None)
        self.known.classes.pop(name, None)
        if name in shared:  # it may still be what it was
            self.known.shared[name] = self.known.shared.get(name, frozenset()) | shared - {name}
            return
        for other, sources in list(self.known.shared.items()):
            if name in sources:
                self.known.shared[other] = sources - {name}
        self.known.shared.pop(name, None)
        if shared - {name}:  # most share nothing, and the rest is gone through for each name
            self.known.shared[name] = shared - {name}

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target:
            case ast.Name():
                self._assign_name(target.id, value)
            case ast.Tuple() | ast.List():
                self._assign_several(target, value)
            case ast.Starred():
                self._assign(target.value, value)
            case _:
                self._changed(target, value=value)
                root = root_of(target)
                if root is not None and self.known.kinds.get(root.id) not in {"frame", "array"}:
                    given = shared_with(value, self.known.kinds) - {root.id}
                    if given:
                        self.known.shared[root.id] = self.known.shared.get(root.id, frozenset()) | given

    def _assign_name(self, name: str, value: ast.expr) -> None:
        known = self.known
        kind = kind_of(value, known.kinds, known.modules)
        if kind == "own" and called_name(value) in known.foreign:
            kind = "live"
        viewed = is_view(value, known.kinds)
        self._bind(name, kind, shared_with(value, known.kinds))
        (known.views.add if viewed else known.views.discard)(name)
        if (called := called_name(value)) in known.effects and known.kinds.get(called) == "own":
            known.classes[name] = called
        elif isinstance(value, ast.Name) and value.id in known.classes:
            known.classes[name] = known.classes[value.id]
        if isinstance(value, ast.Lambda):
            known.effects[name] = Effects()

    def _assign_several(self, target: ast.Tuple | ast.List, value: ast.expr) -> None:
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            for element, part in zip(target.elts, value.elts, strict=True):
                self._assign(element, part)
            return
        for element in target.elts:
            inner = element.value if isinstance(element, ast.Starred) else element
            if isinstance(inner, ast.Name):
                kind = kind_of(value, self.known.kinds, self.known.modules)
                self._bind(inner.id, kind, shared_with(value, self.known.kinds))
            else:
                self._assign(inner, value)
        if kind_of(value, self.known.kinds, self.known.modules) == "plot":
            names = stored(target)
            for name in names[1:]:  # a figure and its axes are one
                self.known.shared[name] = frozenset({names[0]})

    def _augment(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            kind = self.known.kinds.get(node.target.id, "unknown")
            if kind not in {"value", "generator", "unknown"}:
                self._add(Mutation(node.target.id, "augmented", node.target, node))
            return
        self._changed(node.target, repeatable=False)

    def _changed(self, target: ast.expr, *, value: ast.expr | None = None, repeatable: bool = True) -> None:
        root = root_of(target)
        if root is None:
            # `f(x).attr = 1`, `df.iloc[0].values[:] = 1` with a call on the way
            root = next((node for node in ast.walk(target) if isinstance(node, ast.Name)), None)
            if root is not None and self.known.kinds.get(root.id) != "module":
                self._add(Mutation(root.id, "nested", root, self._current))
            return
        how: How = "item" if isinstance(target, ast.Subscript) else "attribute"
        assert isinstance(target, ast.Subscript | ast.Attribute | ast.Starred)
        inner = target.value
        key = key_of(target)
        if (
            isinstance(inner, ast.Attribute)
            and inner.attr in _PANDAS_PARTS
            and isinstance(inner.value, ast.Name)
        ):
            how, key = "item", None
        elif (
            isinstance(target, ast.Attribute)
            and target.attr in _PANDAS_ATTRIBUTES
            and isinstance(inner, ast.Name | ast.Attribute)
        ):
            how = "item" if self.known.kinds.get(root.id) == "frame" else how
        elif not isinstance(inner, ast.Name):
            how, key = "nested", None
        self._add(
            Mutation(
                root.id,
                how,
                root,
                self._current,
                key,
                repeatable=repeatable and value is not None and is_repeatable(root.id, key, value, target),
            )
        )

    # Calls

    def _expression(self, node: ast.expr) -> None:
        shown = isinstance(self._current, ast.Expr) and self._current.value is node
        if not (
            shown and isinstance(node, ast.Name)
        ):  # a name alone shows its object, and takes nothing from it
            self._consume(node)
        for call in calls(node):
            self._call(call)
        if isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value)

    def _consume(self, node: ast.expr) -> None:
        """See which iterators and files are moved on in: nearly all that one does with them does so."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and self.known.kinds.get(each.id) in CONSUMED:
                self._add(Mutation(each.id, "next", each, self._current))
            match each:
                case ast.Call(func=ast.Name(id="next"), args=[ast.Name() as name, *_]):
                    self._add(Mutation(name.id, "next", name, self._current))

    def _discarded(self, call: ast.Call) -> None:
        """See what a call is made for whose value nobody takes."""
        if not isinstance(call.func, ast.Attribute):
            return
        root = root_of(call.func.value)
        if root is None or self._is_module(root.id):
            return
        change = change_by_discarded_call(call.func.attr, self.known.kinds.get(root.id, "unknown"))
        if change is not None:
            how, repeatable = change
            self._add(Mutation(root.id, how, root, self._current, repeatable=repeatable))

    def _call(self, call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if isinstance(call.func, ast.Attribute):
            root = root_of(call.func.value)
            if root is not None and not self._is_module(root.id):
                self._method(call, root, name)
        elif isinstance(call.func, ast.Name):
            name = call.func.id
        called = self.known.effects.get(name) if isinstance(call.func, ast.Name) else None
        if called is not None:
            self._known_call(call, called)
        elif name in CHANGES_ARGUMENT and len(call.args) > CHANGES_ARGUMENT[name]:
            self._argument(call.args[CHANGES_ARGUMENT[name]])
        for keyword in call.keywords:
            if keyword.arg == "ax" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "plot", keyword.value, self._current))
            if keyword.arg == "out" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "item", keyword.value, self._current, repeatable=True))

    def _method(self, call: ast.Call, root: ast.Name, name: str) -> None:
        assert isinstance(call.func, ast.Attribute)
        direct = isinstance(call.func.value, ast.Name)
        of_class = self.known.effects.get(self.known.classes.get(root.id, ""))
        how: How | None
        if any(keyword.arg == "inplace" and is_true(keyword.value) for keyword in call.keywords):
            how = "inplace" if direct else "nested"
        elif of_class is not None and direct and name in of_class.changes_self:
            how = "call"
        else:
            how = change_by_call(name, self.known.kinds.get(root.id, "unknown"), direct=direct)
        if how is not None:
            self._add(Mutation(root.id, how, root, self._current))

    def _known_call(self, call: ast.Call, called: Effects) -> None:
        for number, argument in enumerate(call.args):
            if number in called.positions:
                self._argument(argument)
        for keyword in call.keywords:
            if keyword.arg in called.names:
                self._argument(keyword.value)
        assert isinstance(call.func, ast.Name)
        for name in sorted(called.globals):
            self._add(Mutation(name, "call", call.func, self._current))

    def _argument(self, argument: ast.expr) -> None:
        root = root_of(argument)
        if root is not None and not self._is_module(root.id):
            self._add(Mutation(root.id, "call", root, self._current))

    def _is_foreign(self, base: ast.expr) -> bool:
        if not isinstance(base, ast.Name):
            return True
        return base.id != "object" and (
            self.known.kinds.get(base.id) != "own" or base.id in self.known.foreign
        )

    def _is_module(self, name: str) -> bool:
        return self.known.kinds.get(name) == "module"

    def _add(self, mutation: Mutation) -> None:
        if mutation.how == "next":  # the iterator moves on, not what it goes through
            self.found.append(replace(mutation, kind=self.known.kinds.get(mutation.name, "unknown")))
        elif not self._is_module(mutation.name):
            self.found.append(
                replace(
                    mutation,
                    kind=self.known.kinds.get(mutation.name, "unknown"),
                    together=self.known.group(mutation.name) - {mutation.name},
                    viewed=not self.known.views.isdisjoint(self.known.group(mutation.name)),
                )
            )


def effects_of(node: ast.FunctionDef | ast.AsyncFunctionDef, known: Known) -> Effects:
    """Read what a function changes of its parameters and of global names."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    parameters = [argument.arg for argument in arguments]
    own = {*parameters, *(argument.arg for argument in node.args.kwonlyargs)}
    inner = Known(dict(known.kinds), dict(known.modules), dict(known.effects), dict(known.classes))
    for name in own:
        inner.kinds.pop(name, None)
        inner.classes.pop(name, None)
    assigned = assigned_in(node)
    finder = _Finder(inner)
    found = Effects()
    rebound: set[str] = set()
    for statement in node.body:
        count = len(finder.found)
        finder.statement(statement)
        for mutation in finder.found[count:]:
            for name in {mutation.name, *(() if mutation.name in rebound else mutation.together)}:
                if name in own and name not in rebound:
                    found.names.add(name)
                    if name in parameters:
                        found.positions.add(parameters.index(name))
                elif name not in own and name not in assigned:
                    found.globals.add(name)
        if isinstance(statement, ast.Assign):
            rebound |= {name for target in statement.targets for name in stored(target)}
    declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    found.globals |= declared & assigned
    return found


def _effects_of_class(node: ast.ClassDef, known: Known) -> Effects:
    """Read which methods of a class change their object, directly or through other methods of it."""
    methods = {
        each.name: each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found = Effects()
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in known.effects:
            found.changes_self |= known.effects[base.id].changes_self
    calls: dict[str, set[str]] = {}
    for name, method in methods.items():
        its = effects_of(method, known)
        found.globals |= its.globals if name == "__init__" else set()
        if 0 in its.positions and name != "__init__":
            found.changes_self.add(name)
        calls[name] = {
            call.func.attr
            for call in ast.walk(method)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "self"
        }
    while more := {
        name
        for name, called in calls.items()
        if name not in found.changes_self and called & found.changes_self
    }:
        found.changes_self |= more
    return found
