"""The walk over cells that records in `owners` which names may reach which objects."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import plain_classes
from marimo_kernel_bridge.analysis.habits import Habits, habits_of
from marimo_kernel_bridge.analysis.mutations import by_statement
from marimo_kernel_bridge.analysis.name_facts import NameFacts
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.owners import (
    IMMUTABLE,
    NOTHING,
    OUTSIDE,
    RESULT,
    Depth,
    Link,
    Owners,
    Reach,
    together,
)
from marimo_kernel_bridge.analysis.reach import Reaches
from marimo_kernel_bridge.analysis.syntax import assigned_in, is_generator, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DEEPEST: Final = 6  # functions inside of functions


class Ownership:
    """Reads statements in order. The graph after those read so far is `owners`."""

    def __init__(self, facts: NameFacts, habits: dict[str, Habits] | None = None, nesting: int = 0) -> None:
        self.facts = facts
        self.owners = Owners()
        self.habits: dict[str, Habits] = {} if habits is None else habits
        self.reaches = Reaches(facts, self.owners, self.habits)
        self._nesting = nesting

    def read(self, node: ast.stmt, *, certain: bool = True) -> None:  # noqa: C901, PLR0912, PLR0915  # one case for each form
        """Read a statement. `certain`: it is sure to run."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.ClassDef():
                self._class(node)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self.owners.bind(alias.asname or alias.name.partition(".")[0], IMMUTABLE, certain=certain)
            case ast.Assign(targets=targets, value=value):
                reach = self.reaches.of(value)
                exact = self._name_alone(value) or next(
                    (t.id for t in targets if isinstance(t, ast.Name)), None
                )
                several = len(targets) > 1 or self._name_alone(value) is not None
                for target in targets:
                    self._assign(target, value, reach, certain=certain, exact=exact if several else None)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value, self.reaches.of(value), certain=certain)
            case ast.AugAssign(target=target, value=value):
                self._augment(target, value)
            case ast.For() | ast.AsyncFor():
                item = self._item(node.iter)
                self._bind_target(node.target, item)
                self._block((*node.body, *node.orelse))
                self._block(node.body)  # what the first round makes, the next one sees
            case ast.While():
                self.reaches.of(node.test)
                self._block((*node.body, *node.orelse))
                self._block(node.body)
            case ast.With() | ast.AsyncWith():
                for entered in node.items:
                    reach = self.reaches.of(entered.context_expr)
                    if entered.optional_vars is not None:
                        names = reach.names()
                        self._bind_target(entered.optional_vars, Reach(names, names, names), certain=certain)
                for statement in node.body:
                    self.read(statement, certain=certain)
            case ast.Return(value=value):
                reach = self.reaches.of(value) if value is not None else IMMUTABLE
                self.owners.bind(RESULT, self._whole(reach), certain=False)
            case ast.Match(subject=subject, cases=cases):
                reach = self.reaches.of(subject)
                item = together((reach, self.reaches.item(reach)))
                for case in cases:
                    for inside in ast.walk(case.pattern):
                        name = getattr(inside, "name", None) or getattr(inside, "rest", None)
                        if isinstance(name, str):
                            self.owners.bind(name, item, certain=False)
                    self._block(case.body)
            case ast.Expr(value=value):
                reach = self.reaches.of(value)
                if isinstance(value, ast.Yield | ast.YieldFrom):
                    self.owners.bind(RESULT, self._whole(reach.as_item()), certain=False)
            case _:
                for child in ast.iter_child_nodes(node):
                    match child:
                        case ast.stmt():
                            self.read(child, certain=False)
                        case ast.expr():
                            self.reaches.of(child)
                        case ast.ExceptHandler() | ast.match_case():
                            self._block(child.body)

    def _block(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            self.read(statement, certain=False)

    # Binding

    @staticmethod
    def _name_alone(value: ast.expr) -> str | None:
        return value.id if isinstance(value, ast.Name) else None

    def _item(self, node: ast.expr) -> Reach:
        """Return the reach of an item of what a `for` goes over."""
        reach = self.reaches.of(node)
        kind = self.facts.kind_of(node)
        if reach.depth <= Depth.FLAT and kind != "array":
            return IMMUTABLE
        if kind == "array":
            return Reach(reach.same, reach.within, depth=Depth.FLAT)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"zip", "enumerate", "map"}
        ):
            return together((self.reaches.item(reach), self.reaches.item(self.reaches.item(reach))))
        return self.reaches.item(reach)

    def _assign(
        self, target: ast.expr, value: ast.expr, reach: Reach, *, certain: bool, exact: str | None = None
    ) -> None:
        match target:
            case ast.Name(id=name):
                same = (
                    exact
                    if exact != name and (exact in reach.same or not isinstance(value, ast.Name))
                    else None
                )
                self.owners.bind(name, self._whole(reach), certain=certain, exact=same)
                if exact is not None and exact != name and not isinstance(value, ast.Name):
                    both = Reach({exact: Link.SHOWN}, depth=reach.depth)
                    self.owners.link(name, both)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(targets):
                    self._assign_together(targets, value.elts, certain=certain)
                    return
                for element in targets:
                    self._bind_target(element, self._part(reach, value), certain=certain)
            case ast.Starred(value=inner):
                self._bind_target(inner, reach.as_item(), certain=certain)
            case _:
                self._store(target, reach)

    def _assign_together(
        self, targets: Sequence[ast.expr], values: Sequence[ast.expr], *, certain: bool
    ) -> None:
        """Bind several targets at once: `a, b = b, a`."""
        reaches = [self.reaches.of(value) for value in values]
        between = [f"={place}" for place in range(len(values))]  # no names
        for name, reach in zip(between, reaches, strict=True):
            self.owners.bind(name, reach)
        for target, value, name, reach in zip(targets, values, between, reaches, strict=True):
            through = Reach({name: Link.SHOWN}, depth=reach.depth) if reach.names() else reach
            self._assign(target, value, through, certain=certain)
        for name in between:
            self.owners.bind(name, IMMUTABLE)

    def _part(self, reach: Reach, value: ast.expr) -> Reach:
        """Return the reach of what unpacking a value gives."""
        if self.facts.kind_of(value) == "array":
            return Reach(reach.same, reach.within, depth=Depth.FLAT)
        return self.reaches.item(reach)

    def _bind_target(self, target: ast.expr, reach: Reach, *, certain: bool = False) -> None:
        nested = isinstance(target, ast.Tuple | ast.List)
        for name in stored(target):
            deeper = together((reach, self.reaches.item(reach))) if nested else reach
            self.owners.bind(name, self._whole(deeper), certain=certain)
        for inside in ast.walk(target):
            if isinstance(inside, ast.Attribute | ast.Subscript) and isinstance(inside.ctx, ast.Store):
                self._store(inside, reach)

    @staticmethod
    def _whole(reach: Reach) -> Reach:
        """Return a reach without links that say nothing: of a value."""
        return IMMUTABLE if reach.depth is Depth.VALUE and not reach.names() else reach

    def _store(self, target: ast.expr, reach: Reach) -> None:
        """Record that a value is put into a part of a name's object: `x.y[0] = value`."""
        assert isinstance(target, ast.Attribute | ast.Subscript)
        into = self.reaches.of(target.value)
        root = root_of(target)
        if root is not None and self.facts.kind(root.id) in {"frame", "array"}:
            return
        names = into.names() if root is None or root.id not in into.names() else {root.id: Link.SHOWN}
        for name in names:
            self.owners.put_into(name, reach)
        if root is not None and self.facts.is_module(root.id):
            self.owners.put_into(OUTSIDE, reach)

    def _augment(self, target: ast.expr, value: ast.expr) -> None:
        reach = self.reaches.of(value)
        if isinstance(target, ast.Name):
            if (
                self.facts.kind(target.id) not in {"value", "array", "frame"}
                and reach.depth is not Depth.VALUE
            ):
                self.owners.put_into(target.id, together((IMMUTABLE, self.reaches.item(reach))))
        else:
            self._store(target, self.reaches.item(reach))

    # Functions and classes

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        reach = self._held_by_definition(node)
        self.owners.bind(node.name, reach)
        self.habits.pop(node.name, None)
        if self._nesting < _DEEPEST and not node.decorator_list:
            self.habits[node.name] = self._habits(node, {})

    def _held_by_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Reach:
        """Return what a function holds: default arguments, and in a function the names around it; see decorators."""
        defaults = [*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)]
        held = [self.reaches.of(value) for value in defaults]
        if self.reaches.closing is not None:
            names = {inside.id for inside in ast.walk(node) if isinstance(inside, ast.Name)}
            held += [Reach({name: Link.SHOWN}) for name in sorted(names & self.reaches.closing)]
        reach = together((IMMUTABLE, *held))
        mutable = reach.names() or reach.depth > Depth.VALUE
        reach = together((reach.as_item(), NOTHING)) if mutable else IMMUTABLE
        return together((reach, *self._decorated(node)))

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[Reach]:
        reaches = []
        for decorator in node.decorator_list:
            if not plain_classes.is_dataclass(decorator, self.facts):
                reach = self.reaches.of(decorator)
                reaches.append(reach.by(Link.RECEIVER))
        return reaches

    def _habits(self, node: ast.FunctionDef | ast.AsyncFunctionDef, classes: dict[str, str]) -> Habits:
        facts, arguments = self.facts, node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
        parameters = [argument.arg for argument in every]
        inner = NameFacts(
            dict(facts.kinds),
            dict(facts.modules),
            dict(facts.effects),
            {**facts.classes, **classes},
            foreign=set(facts.foreign),
            frames=facts.frames,
            copies_on_write=facts.copies_on_write,
        )
        outside = {
            name for inside in ast.walk(node) if isinstance(inside, ast.Global) for name in inside.names
        }
        local = (assigned_in(node) | set(parameters)) - outside
        for name in local:
            inner.kinds.pop(name, None)
            inner.modules.pop(name, None)
        for name in parameters:
            if name in facts.frames:
                inner.kinds[name] = "frame"
        body = Ownership(inner, dict(self.habits), self._nesting + 1)
        body.habits.pop(node.name, None)
        body.reaches.closing = local
        for name in parameters:
            body.owners.bind(name, Reach(depth=Depth.PLAIN))
        body.owners.bind(RESULT, IMMUTABLE)
        for statement, _ in zip(node.body, by_statement(node.body, inner), strict=True):
            body.read(statement)
        blurred = frozenset(name for name in parameters if body.owners.depth(name) is Depth.OPAQUE)
        habits = habits_of(node, body.owners, frozenset(local), blurred)
        if is_generator(node):  # holds its arguments until it ends
            every_name = frozenset(parameters) | habits.same
            return replace(habits, same=frozenset(), held=habits.held | every_name, depth=Depth.OPAQUE)
        if isinstance(node, ast.AsyncFunctionDef):
            return replace(habits, held=habits.held | frozenset(parameters))
        return habits

    def _class(self, node: ast.ClassDef) -> None:
        held = [self.reaches.of(base) for base in node.bases] + self._decorated(node)
        attribute = together((IMMUTABLE, *self._attributes(node)))
        self.owners.bind(node.name, together((attribute.as_item(), *held)))
        shared = attribute.depth > Depth.VALUE or attribute.names()
        of_class = {node.name: Link.SHOWN} if shared else {}
        for base in node.bases:
            if isinstance(base, ast.Name):
                known = self.habits.get(base.id)
                of_class |= {base.id: Link.SHOWN} if known is not None and known.of_class else {}
                self._inherit(node.name, base.id)
        self.habits[node.name] = Habits(of_class=of_class)
        if self._nesting >= _DEEPEST:
            return
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.decorator_list:
                own = method.args.args[0].arg if method.args.args else ""
                self.habits[f"{node.name}.{method.name}"] = self._habits(
                    method, {own: node.name} if own else {}
                )
        if not of_class and plain_classes.is_plain(node, self.facts, self.habits):
            self.habits[node.name] = Habits(plain=True)

    def _attributes(self, node: ast.ClassDef) -> Iterator[Reach]:
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                if not plain_classes.is_plain_field(statement.value, self.facts):
                    yield self.reaches.of(statement.value)
            elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield self._held_by_definition(statement)

    def _inherit(self, name: str, base: str) -> None:
        for known, habits in list(self.habits.items()):
            if known.startswith(f"{base}."):
                self.habits[f"{name}.{known.partition('.')[2]}"] = habits
