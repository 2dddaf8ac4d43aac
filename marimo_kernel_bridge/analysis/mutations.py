"""The mutations of objects by a cell, without binding a name: `df["a"] = 1`, `rows.append(1)`.

They are recognized by syntax: assignments to items and attributes, and methods that are known to mutate their object.
Calls of functions and classes of the notebook have the effects that `effects` finds in their definitions.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import effects
from marimo_kernel_bridge.analysis.changing_methods import (
    CHANGES_ARGUMENT,
    change_by_call,
    change_by_discarded_call,
    change_by_training,
)
from marimo_kernel_bridge.analysis.known_calls import BUILTINS
from marimo_kernel_bridge.analysis.mutation import Effects, How, Mutation
from marimo_kernel_bridge.analysis.object_kinds import (
    CONSUMED,
    drawing_behind,
    root_of,
    shared_with,
)
from marimo_kernel_bridge.analysis.observations import observed_in
from marimo_kernel_bridge.analysis.syntax import (
    calls,
    is_generator,
    is_repeatable,
    is_true,
    key_of,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.name_facts import NameFacts

_PUTTING: Final = frozenset({"append", "appendleft", "insert", "add", "setdefault", "put"})
_FETCHING: Final = frozenset({"fetchone", "fetchmany", "fetchall"})
_EXECUTING: Final = frozenset({"execute", "executemany", "executescript"})
_PANDAS_PARTS: Final = frozenset({"loc", "iloc", "at", "iat"})
_PANDAS_ATTRIBUTES: Final = frozenset({"columns", "index", "name", "names", "values"})


def mutations(tree: ast.Module, facts: NameFacts) -> list[Mutation]:
    """Return the mutations by a cell, in order, and record in `facts` what the cell binds."""
    return [mutation for found in by_statement(tree.body, facts) for mutation in found]


def by_statement(body: Sequence[ast.stmt], facts: NameFacts) -> Iterator[list[Mutation]]:
    """Yield the mutations by each statement, and record in `facts` what it binds."""
    finder = _Finder(facts)
    for statement in body:
        finder.found = []
        finder.statement(statement)
        yield finder.found


class _Finder:
    def __init__(self, facts: NameFacts) -> None:
        self.facts = facts
        self.found: list[Mutation] = []
        self._current: ast.stmt = ast.Pass()
        self._items: set[str] = set()  # variables of the loops around
        self._executed: set[str] = set()  # cursors that have run a statement in this cell

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912  # one case for each form
        was, self._current = self._current, node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if self.facts.thorough:
                    self._decorating(node)
                self.facts.effects[node.name] = self._decorated(node)
                advances = is_generator(node) or (
                    self.facts.thorough and effects.returns_closure_that_changes(node)
                )
                self.facts.bind(node.name, "generator" if advances else "value")
            case ast.ClassDef():
                if self.facts.thorough:
                    self._decorating(node)
                self._subclassed(node)
                self.facts.effects[node.name] = effects.of_class(node, self.facts, by_statement)
                self.facts.bind(node.name, "own")
                if any(self.facts.is_foreign(base) for base in node.bases):
                    self.facts.foreign.add(node.name)
            case ast.Import() | ast.ImportFrom():
                self.facts.bind_imports(node)
            case ast.Assign():
                if self.facts.thorough and isinstance(node.value, ast.Call) and _is_discarding(node.targets):
                    self._discarded(node.value)
                self._expression(node.value)
                for target in node.targets:
                    self._assign(target, node.value)
                    self._attach(target, node.value)
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
                self.facts.bind_items(stored(node.target), node.iter)
                around, self._items = self._items, self._items | set(stored(node.target))
                self._block(node.body)
                self._items = around
                self._block(node.orelse)
            case ast.Expr() if (observed := observed_in(node)) is not None:
                self._observed(observed)
            case ast.Expr(value=ast.Call() as call):
                self._discarded(call)
                self._expression(call)
            case _:
                self._children(node)
        self._current = was

    def _decorating(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """Find what decorators mutate where they decorate, as those do that register."""
        for decorator in node.decorator_list:
            called = isinstance(decorator, ast.Call)
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(function, ast.Name) and (of := self.facts.effects.get(function.id)) is not None:
                for name in sorted(of.globals | (of.within if called else set())):
                    self._add(Mutation(name, "call", function, node, held=True))
            elif isinstance(function, ast.Attribute) and (root := root_of(function)) is not None:
                self._method(ast.Call(function, [], []), root, function.attr)

    def _subclassed(self, node: ast.ClassDef) -> None:
        """Find what `__init_subclass__` of the base classes mutates."""
        for base in node.bases:
            if self.facts.thorough and isinstance(base, ast.Name) and base.id in self.facts.effects:
                for name in sorted(self.facts.effects[base.id].within):
                    self._add(Mutation(name, "call", base, node, held=True))

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Effects:
        """Return the effects of a function together with those of the functions that decorators put in its place."""
        own = effects.of_function(node, self.facts, by_statement)
        if not self.facts.thorough:
            return own
        held = set(own.held)
        for decorator in node.decorator_list:
            called = isinstance(decorator, ast.Call)
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(function, ast.Name) and (of := self.facts.effects.get(function.id)) is not None:
                held |= of.deeper if called else of.within
        return replace(own, held=held)

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
                        self.facts.bind(child.optional_vars.id, self.facts.kind_of(child.context_expr))
                case ast.ExceptHandler() | ast.match_case():
                    self._block(child.body)

    def _observed(self, subscript: ast.expr) -> None:
        """Take what a run has shown of the cell, see `observations`."""
        match subscript:
            case ast.Slice(lower=ast.Name(id=name), upper=ast.Name(id=other), step=step):
                self.facts.share(name, frozenset({other}))
                if step is not None:
                    self.facts.views.add(name)
            case ast.Slice(lower=ast.Name(id=name)):
                self.facts.kinds[name] = "live"
            case ast.Name():
                self._add(Mutation(subscript.id, "call", subscript, self._current))
                if self.found and self.found[-1].kind in {
                    "value",
                    "generator",
                }:  # a function with attributes, say
                    self.found[-1] = replace(self.found[-1], kind="own")

    # Binding

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target:
            case ast.Name():
                self.facts.bind_value(target.id, value)
            case ast.Tuple() | ast.List():
                self._assign_several(target, value)
            case ast.Starred():
                self._assign(target.value, value)
            case _:
                self._changed(target, value=value)
                root = root_of(target)
                if (
                    root is not None
                    and not _is_slice(target)
                    and (
                        self.facts.holds_iterator(value)
                        or (self.facts.thorough and self.facts.kind_of(value) in CONSUMED)
                    )
                ):
                    self.facts.hold_iterator(root.id, _text_key(target))
                if root is not None and self.facts.kinds.get(root.id) not in {"frame", "array"}:
                    given = shared_with(value, self.facts.kinds) - {root.id}
                    if given:
                        self.facts.share(root.id, given)

    def _assign_several(self, target: ast.Tuple | ast.List, value: ast.expr) -> None:
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            for element, part in zip(target.elts, value.elts, strict=True):
                self._assign(element, part)
            return
        for element in target.elts:
            inner = element.value if isinstance(element, ast.Starred) else element
            if isinstance(inner, ast.Name):
                self.facts.bind_part(inner.id, value)
            else:
                self._assign(inner, value)
        if self.facts.kind_of(value) == "plot":
            names = stored(target)
            for name in names[1:]:  # a figure and its axes are one object
                self.facts.shared[name] = frozenset({names[0]})

    def _augment(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            kind = self.facts.kind(node.target.id)
            if kind not in {"value", "generator", "unknown"}:
                self._add(Mutation(node.target.id, "augmented", node.target, node))
            elif self.facts.thorough and kind == "unknown" and node.target.id in self._items:
                self._add(Mutation(node.target.id, "train", node.target, node))
            return
        self._changed(node.target, repeatable=False)

    def _changed(self, target: ast.expr, *, value: ast.expr | None = None, repeatable: bool = True) -> None:
        root = root_of(target)
        if root is None:
            # A call on the way to the target: `f(x).attr = 1`, `df.iloc[0].values()[:] = 1`
            root = next((node for node in ast.walk(target) if isinstance(node, ast.Name)), None)
            if root is not None and self.facts.kinds.get(root.id) != "module":
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
            how = "item" if self.facts.kinds.get(root.id) == "frame" else how
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

    def _attach(self, target: ast.expr, value: ast.expr) -> None:
        """Read `Class.method = function`."""
        known = self.facts.effects
        match target, value:
            case ast.Attribute(value=ast.Name(id=owner), attr=name), ast.Name(id=function) if (
                owner in known and function in known and 0 in known[function].positions
            ):
                known[owner] = replace(known[owner], changes_self=known[owner].changes_self | {name})

    # Calls

    def _expression(self, node: ast.expr) -> None:
        shown = isinstance(self._current, ast.Expr) and self._current.value is node
        if not (shown and isinstance(node, ast.Name)):  # a lone name shows an iterator without advancing it
            self._consume(node)
        for call in calls(node):
            self._call(call)
        if isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value)

    def _consume(self, node: ast.expr) -> None:
        """Find the iterators and files that an expression advances: nearly every use does so."""
        if self.facts.holders:
            from marimo_kernel_bridge.analysis.holding import taken_from  # noqa: PLC0415  # not on a live kernel

            for name in taken_from(node, self.facts.holders):
                self._add(Mutation(name.id, "next", name, self._current))
        for inside in ast.walk(node):
            if isinstance(inside, ast.Name) and self.facts.kinds.get(inside.id) in CONSUMED:
                self._add(Mutation(inside.id, "next", inside, self._current))
            match inside:
                case ast.Call(func=ast.Name(id="next"), args=[ast.Name() as name, *_]):
                    self._add(Mutation(name.id, "next", name, self._current))
                    if self.facts.thorough and self.facts.kind(name.id) == "unknown":
                        self.facts.kinds[name.id] = "iterator"
                case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr=method)) if (
                    self.facts.thorough
                    and method in _FETCHING
                    and name.id not in self._executed
                    and not self.facts.is_module(name.id)
                ):
                    self._add(Mutation(name.id, "next", name, self._current))
                case ast.Call(func=ast.Name(id="next"), args=[ast.Subscript() | ast.Attribute() as part, *_]):
                    self._advance_part(part)

    def _advance_part(self, part: ast.expr) -> None:
        """Find the iterator in an object of which a cell takes the next item. On a live kernel, its run shows that."""
        root = root_of(part)
        if self.facts.thorough and root is not None and not self.facts.is_module(root.id):
            self._add(Mutation(root.id, "next", root, self._current))

    def _discarded(self, call: ast.Call) -> None:
        """Find the mutation by a call whose value is discarded."""
        if not isinstance(call.func, ast.Attribute):
            return
        root = root_of(call.func.value)
        if root is None or self.facts.is_module(root.id):
            return
        kind, origin = self.facts.kind(root.id), self.facts.origins.get(root.id, "")
        if self.facts.thorough and (how := change_by_training(call.func.attr, kind, origin, discarded=True)):
            self._add(Mutation(root.id, how, root, self._current, repeatable=how == "fit"))
            return
        change = change_by_discarded_call(call.func.attr, kind)
        if change is not None:
            how, repeatable = change
            in_container = kind in {"list", "dict"} and not isinstance(call.func.value, ast.Name)
            if (
                self.facts.thorough and in_container
            ):  # `models["a"].fit(X, y)` changes what the container holds
                how = "nested"
            self._add(Mutation(root.id, how, root, self._current, repeatable=repeatable))

    def _call(self, call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if isinstance(call.func, ast.Attribute):
            root = root_of(call.func.value)
            if root is not None and not self.facts.is_module(root.id):
                self._method(call, root, name)
        elif isinstance(call.func, ast.Name):
            name = call.func.id
        for mutation in (
            *_called_back(call, self.facts, self._current),
            *_drawn_behind(call, self.facts, self._current),
        ):
            self._add(mutation)
        called = self.facts.effects.get(name) if isinstance(call.func, ast.Name) else None
        if called is not None:
            self._known_call(call, called)
        else:
            self._library_call(call, name)
        for keyword in call.keywords:
            if keyword.arg == "ax" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "plot", keyword.value, self._current))
            if keyword.arg == "out" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "item", keyword.value, self._current, repeatable=True))

    def _library_call(self, call: ast.Call, name: str) -> None:
        """Find what a function of a library is known to change, and the generators that it is given: `random_state=rng`."""
        if name in CHANGES_ARGUMENT and len(call.args) > CHANGES_ARGUMENT[name]:
            self._argument(call.args[CHANGES_ARGUMENT[name]])
        if not self.facts.thorough or name in BUILTINS:
            return
        for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(given, ast.Name) and self.facts.kind(given.id) == "random":
                self._argument(given)

    def _method(self, call: ast.Call, root: ast.Name, name: str) -> None:
        assert isinstance(call.func, ast.Attribute)
        if self.facts.thorough and name in _PUTTING:
            from marimo_kernel_bridge.analysis.holding import is_kept_by  # noqa: PLC0415  # not on a live kernel

            if is_kept_by(call, self.facts.kind_of, self.facts.holders):
                self.facts.hold_iterator(root.id, None)
        direct = isinstance(call.func.value, ast.Name)
        class_name = self.facts.classes.get(root.id, "")
        of_class = self.facts.effects.get(class_name)
        if of_class is not None and direct and name in of_class.methods:
            self._default(call, of_class.methods[name], class_name, root, given=1)
        how: How | None
        if any(keyword.arg == "inplace" and is_true(keyword.value) for keyword in call.keywords):
            how = "inplace" if direct else "nested"
        elif of_class is not None and direct and name in of_class.changes_self:
            how = "call"
        else:
            how = change_by_call(name, self.facts.kind(root.id), direct=direct)
        discarded = isinstance(self._current, ast.Expr) and self._current.value is call
        if how is None and self.facts.thorough and not discarded:
            origin = self.facts.origins.get(root.id, "")
            how = change_by_training(name, self.facts.kind(root.id), origin, discarded=False)
        if how is None and name in _EXECUTING and root.id in self.facts.cursors:
            how = "other"  # what this cell fetches below is another result
            self._executed.add(root.id)
        if how is not None:
            self._add(Mutation(root.id, how, root, self._current, repeatable=how == "fit"))

    def _known_call(self, call: ast.Call, called: Effects) -> None:
        for number, argument in enumerate(call.args):
            if number in called.positions or _is_changed_by(
                self.facts, called.called_on.get(number), argument
            ):
                self._argument(argument)
        for keyword in call.keywords:
            name, value = keyword.arg, keyword.value
            if name in called.names or (
                name is not None and _is_changed_by(self.facts, called.called_on.get(name), value)
            ):
                self._argument(value)
        assert isinstance(call.func, ast.Name)
        for name in sorted(called.globals):
            self._add(Mutation(name, "call", call.func, self._current))
            if self.facts.thorough and name in self.facts.effects:
                self._is_own(name)  # its default
        for name in sorted(called.held):
            self._add(Mutation(name, "call", call.func, self._current, held=True))
        self._default(call, called, call.func.id, call.func)

    def _default(self, call: ast.Call, called: Effects, owner: str, at: ast.Name, given: int = 0) -> None:
        """Find the mutation of a default value, an object of the function or the class that has it."""
        if self.facts.thorough and _uses_default(call, called, given):
            self._add(Mutation(owner, "call", at, self._current))
            self._is_own(owner)

    def _is_own(self, name: str) -> None:
        """Say of the mutation that was just found that a function's object is changed, not its code."""
        if self.found and self.found[-1].name == name:
            self.found[-1] = replace(self.found[-1], kind="own")

    def _argument(self, argument: ast.expr) -> None:
        root = root_of(argument) or drawing_behind(argument, self.facts.kinds)
        if root is not None and not self.facts.is_module(root.id):
            self._add(Mutation(root.id, "call", root, self._current))

    def _add(self, mutation: Mutation) -> None:
        if mutation.how == "next":  # advances the iterator, and does not mutate what it iterates over
            self.found.append(replace(mutation, kind=self.facts.kind(mutation.name)))
        elif not self.facts.is_module(mutation.name):
            self.found.append(
                replace(
                    mutation,
                    kind=self.facts.kind(mutation.name),
                    together=self.facts.group(mutation.name) - {mutation.name},
                    viewed=not self.facts.views.isdisjoint(self.facts.group(mutation.name)),
                )
            )


def _called_back(call: ast.Call, facts: NameFacts, statement: ast.stmt) -> Iterator[Mutation]:
    """Yield what the functions change that a call is given: `map(put, rows)`, `map(log.append, rows)`."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)] if facts.thorough else []
    for argument in arguments:
        match argument:
            case ast.Name(id=name) if name in facts.effects:
                for changed in sorted(facts.effects[name].globals):
                    yield Mutation(changed, "call", argument, statement)
            case ast.Attribute(value=ast.Name() as owner, attr=method) if (
                change_by_call(method, facts.kind(owner.id), direct=True) == "method"
            ):
                yield Mutation(owner.id, "method", owner, statement)


def _drawn_behind(call: ast.Call, facts: NameFacts, statement: ast.stmt) -> Iterator[Mutation]:
    """Yield the drawing that a method of one of its parts changes: `ax.get_legend().remove()`."""
    if isinstance(call.func, ast.Attribute) and root_of(call.func.value) is None:
        drawing = drawing_behind(call.func.value, facts.kinds)
        how = None if drawing is None else change_by_call(call.func.attr, "plot", direct=False)
        if drawing is not None and how is not None:
            yield Mutation(drawing.id, how, drawing, statement)


def _is_slice(target: ast.expr) -> bool:
    """Return whether an assignment uses an iterator up: `a[:] = map(int, text)`."""
    return isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice)


def _text_key(target: ast.expr) -> str | None:
    """Return the key of `d["key"]` or `d.key`, None for any other place."""
    match target:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(key))):
            return key
        case ast.Attribute(value=ast.Name(), attr=key):
            return key
    return None


def _is_discarding(targets: Sequence[ast.expr]) -> bool:
    """Return whether a value is assigned to `_` alone."""
    return all(isinstance(target, ast.Name) and target.id == "_" for target in targets)


def _uses_default(call: ast.Call, called: Effects, given: int) -> bool:
    """Return whether a call leaves out a parameter whose default value the function changes."""
    named = {keyword.arg for keyword in call.keywords}
    return any(
        name not in named and (place is None or place >= given + len(call.args))
        for name, place in called.defaults.items()
    )


def _is_changed_by(facts: NameFacts, methods: AbstractSet[str] | None, argument: ast.expr) -> bool:
    """Return whether an argument is a figure, or an object of a class of the notebook, that some methods change."""
    kind = facts.kind_of(argument)
    if methods is None or kind == "plot":
        return methods is not None
    if kind == "random":
        return any(change_by_call(method, kind, direct=True) is not None for method in methods)
    if not facts.thorough or not isinstance(argument, ast.Name):
        return False
    of_class = facts.effects.get(facts.classes.get(argument.id, ""))
    return of_class is not None and not methods.isdisjoint(of_class.changes_self)
